import { readFileSync } from 'node:fs';
import { fromBase64url } from '@yaoji/chaincode/core';

/**
 * A block of 140 transactions that anvil 1.7.1 made (test/vectors/anvil-1.7.1): transfers with and without a type (some to
 * precompiled contracts, which fail), and at 128
 * to 131 an anchor, its repetition (reverted), another anchor and one in another contract.
 */
interface Recorded {
  /** what the node itself said of it */
  readonly hash: string;
  readonly number: number;
  /** seconds since the epoch */
  readonly timestamp: number;
  readonly receiptsRoot: string;
  /** base64url: the header's RLP, which hashes to `hash`, and the receipts as they stand in the trie */
  readonly header: string;
  readonly receipts: readonly string[];
}

export const recorded: Recorded = JSON.parse(
  readFileSync(new URL('../../../vectors/anvil-1.7.1/block.json', import.meta.url), 'utf8'),
);
export const header = fromBase64url(recorded.header);
export const receipts = recorded.receipts.map(fromBase64url);
