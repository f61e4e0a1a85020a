import { setTimeout as sleep } from 'node:timers/promises';
import { getCreateAddress } from 'ethers';
import * as z from 'zod/mini';
import { ANCHOR } from './artifact.ts';
import { feesOf, nonceOf, toTransaction } from './fees.ts';
import { address20, bytesUpTo, count, hash32, type Rpc } from './rpc.ts';
import type { Signer } from './signers.ts';
import { ChainTrouble } from './trouble.ts';

const receiptSchema = z.nullable(
  z.object({ status: count, gasUsed: count, contractAddress: z.nullable(address20) }),
);

/**
 * Deploys the contract; the signer becomes its operator for ever. Resolves when the deployment is in a block: the address
 * (0x and lower hex) follows from the signer's address and its nonce alone, so the same key with the same nonce gets the same
 * address on a chain that has forgotten everything. Throws ChainTrouble; after TRANSACTION_STUCK (no block within `patience`,
 * ms) the deployment may still happen.
 */
export async function deployAnchor(
  rpc: Rpc,
  signer: Signer,
  { patience = 120_000 } = {},
): Promise<{ address: string; gasUsed: number }> {
  const from = await signer.address();
  const chainId = await rpc.call('eth_chainId', [], count);
  const data = ANCHOR.bytecode;
  const gas = await rpc.call('eth_estimateGas', [{ from, data }], count);
  const nonce = await nonceOf(rpc, from);
  const fees = await feesOf(rpc);
  const raw = await signer.sign(toTransaction({ chainId, nonce, data, gas, fees }));
  const hash = await rpc.call('eth_sendRawTransaction', [raw], hash32);
  for (const end = Date.now() + patience; Date.now() < end; await sleep(100)) {
    const receipt = await rpc.call('eth_getTransactionReceipt', [hash], receiptSchema);
    if (!receipt) continue;
    const address = getCreateAddress({ from, nonce }).toLowerCase();
    const code = await rpc.call('eth_getCode', [address, 'latest'], bytesUpTo(65_536));
    if (receipt.status !== 1 || code === '0x')
      throw new ChainTrouble('CONTRACT_MISSING', `the deployment ${hash} has failed`);
    return { address, gasUsed: receipt.gasUsed };
  }
  throw new ChainTrouble('TRANSACTION_STUCK', `no block has taken the deployment ${hash}`);
}
