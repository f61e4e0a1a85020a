import type { Signer } from '@yaoji/api/chain/signers';
import type { Wallet } from 'ethers';

/** A key in memory. */
export const walletSigner = (wallet: Wallet): Signer => ({
  address: () => Promise.resolve(wallet.address.toLowerCase()),
  sign: (transaction) => wallet.signTransaction(transaction),
});
