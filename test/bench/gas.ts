import { randomBytes } from 'node:crypto';
import { Interface, Wallet } from 'ethers';
import { ANCHOR } from '@yaoji/api/chain/artifact';
import { deployAnchor } from '@yaoji/api/chain/deploy';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { startAnvil } from '../support/anvil.ts';
import { walletSigner } from '../support/wallet.ts';

/** What the contract's deployment and an anchor take, as receipts of a real node say. */
export async function gasUsed(): Promise<{ deployment: number; anchor: number }> {
  const anvil = await startAnvil();
  try {
    const wallet = new Wallet(Wallet.createRandom().privateKey);
    await anvil.rpc('anvil_setBalance', wallet.address, '0xde0b6b3a7640000');
    const { address, gasUsed: deployment } = await deployAnchor(connectRpc(anvil.url), walletSigner(wallet));
    await anvil.rpc('anvil_impersonateAccount', wallet.address);
    // A root without a zero byte: each would be cheaper.
    const rootBytes = randomBytes(32).map((byte) => byte || 1);
    const data = new Interface(ANCHOR.abi).encodeFunctionData('anchor', [100_000, rootBytes]);
    const hash = await anvil.rpc('eth_sendTransaction', { from: wallet.address, to: address, data });
    // It answers before the block is made.
    let receipt: { gasUsed: string } | null;
    do receipt = (await anvil.rpc('eth_getTransactionReceipt', hash)) as { gasUsed: string } | null;
    while (!receipt);
    return { deployment, anchor: Number(receipt.gasUsed) };
  } finally {
    await anvil.stop();
  }
}
