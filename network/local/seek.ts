import type { orderer } from '@hyperledger/fabric-protos';

/** The block a stream begins with. No position means the next block. */
export function startBlock(position: orderer.SeekPosition | undefined, height: number): number {
  if (position?.hasSpecified()) return position.getSpecified()?.getNumber() ?? 0;
  if (position?.hasOldest()) return 0;
  if (position?.hasNewest()) return height - 1;
  return height;
}
