import type { Wallet } from 'ethers';
import type { Signer } from '@yaoji/api/chain/signers';

/** A key in memory. */
export const walletSigner = (wallet: Wallet): Signer => ({
  address: () => Promise.resolve(wallet.address.toLowerCase()),
  sign: (transaction) => wallet.signTransaction(transaction),
});
