import { resolve } from 'node:path';
import { deployAnchor } from '@yaoji/api/chain/deploy';
import { connectRpc, count } from '@yaoji/api/chain/rpc';
import { endpointSigner, fileSigner } from '@yaoji/api/chain/signers';
import { ChainTrouble } from '@yaoji/api/chain/trouble';

/** Where the contract goes, and who will be its operator: the key in a file, or a signer's one account. */
export interface DeployOptions {
  readonly rpc: string;
  readonly key?: string;
  readonly signer?: string;
}

/**
 * Deploys the anchor's contract and prints where it is, what it took and the API's settings for it. Asks for nothing. Exit
 * code: 0, 1 when chain, signer or key file give no contract (one sentence says why), 2 when the request makes no sense.
 */
export async function deployContract({ rpc: url, key, signer: endpoint }: DeployOptions): Promise<number> {
  if ((key === undefined) === (endpoint === undefined)) {
    process.stderr.write('the operator is either --key FILE or --signer URL\n');
    return 2;
  }
  const signer =
    key === undefined ? endpointSigner(connectRpc(endpoint!, { who: 'signer' })) : fileSigner(key);
  const rpc = connectRpc(url);
  try {
    const operator = await signer.address();
    const chainId = await rpc.call('eth_chainId', [], count);
    const { address, gasUsed } = await deployAnchor(rpc, signer);
    process.stdout
      .write(`The anchor's contract is on chain ${chainId}, for ${gasUsed} gas. Its operator is ${operator}, for ever.
For the API:

CHAIN_RPC=${url}
CHAIN_ID=${chainId}
CHAIN_CONTRACT=${address}
${key === undefined ? `CHAIN_SIGNER=${endpoint}` : `CHAIN_KEY=${resolve(key)}`}
`);
    return 0;
  } catch (error) {
    if (!(error instanceof ChainTrouble)) throw error;
    process.stderr.write(`${error.code}: ${error.message}\n`);
    return 1;
  }
}
