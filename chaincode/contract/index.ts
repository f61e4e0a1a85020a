import { CustodyContract } from './custody-contract.ts';

// fabric-chaincode-node takes the contracts by this name.
export const contracts = [CustodyContract];
