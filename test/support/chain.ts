import { Wallet } from 'ethers';
import { chmodSync, writeFileSync } from 'node:fs';
import { deployAnchor } from '@yaoji/api/chain/deploy';
import { connectRpc } from '@yaoji/api/chain/rpc';
import type { Signer } from '@yaoji/api/chain/signers';
import { startAnvil, type Anvil, type AnvilOptions } from './anvil.ts';

/** A key in memory. */
export const walletSigner = (wallet: Wallet): Signer => ({
  address: () => Promise.resolve(wallet.address.toLowerCase()),
  sign: (transaction) => wallet.signTransaction(transaction),
});

/** A development chain with the contract on it, and the operator's wallet, which has one unit of its money. */
export interface AnchorChain {
  readonly anvil: Anvil;
  readonly operator: Wallet;
  readonly contract: string;
  /** writes the operator's key as the API wants it */
  writeKey(path: string, mode?: number): void;
}

export async function startAnchorChain(options: AnvilOptions = {}, key?: Wallet): Promise<AnchorChain> {
  const anvil = await startAnvil(options);
  try {
    const operator = key ?? new Wallet(Wallet.createRandom().privateKey);
    const contract = await deployOn(anvil, operator);
    return {
      anvil,
      operator,
      contract,
      writeKey(path, mode = 0o600) {
        writeFileSync(path, `${operator.privateKey}\n`, { mode });
        chmodSync(path, mode);
      },
    };
  } catch (error) {
    await anvil.kill();
    throw error;
  }
}

/** Gives the operator money and deploys; mines a block for it where the chain does not by itself. */
export async function deployOn(anvil: Anvil, operator: Wallet): Promise<string> {
  await anvil.rpc('anvil_setBalance', operator.address, '0xde0b6b3a7640000');
  const isAuto = await anvil.rpc('anvil_getAutomine');
  const deploying = deployAnchor(connectRpc(anvil.url), walletSigner(operator));
  const mining = isAuto ? undefined : setInterval(() => void anvil.rpc('evm_mine').catch(() => {}), 200);
  try {
    return (await deploying).address;
  } finally {
    clearInterval(mining);
  }
}
