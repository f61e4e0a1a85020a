import { TraceError } from '../error.ts';
import { bytesOf, decodeRlp, listOf, numberOf } from './rlp.ts';

/** What an anchor needs of a block's header. */
export interface Header {
  readonly receiptsRoot: Uint8Array;
  readonly number: number;
  /** seconds since the epoch */
  readonly timestamp: number;
}

/** Year 9999: what printMinute can print. */
const MAX_SECONDS = 253_402_300_799;

/**
 * The header in its RLP (yellow paper, section 4.4): 15 fields, then those that forks have added since and will add, all
 * strings of bytes. Throws RLP_MALFORMED.
 */
export function readHeader(bytes: Uint8Array): Header {
  const fields = listOf(decodeRlp(bytes), 'the header').map((field, i) => bytesOf(field, `field ${i}`));
  if (fields.length < 15) throw new TraceError('RLP_MALFORMED', 'the header has fewer than 15 fields');
  const timestamp = numberOf(fields[11], "the block's time");
  if (timestamp > MAX_SECONDS) throw new TraceError('RLP_MALFORMED', "the block's time does not exist");
  return {
    receiptsRoot: bytesOf(fields[5], "the receipts' root", 32),
    number: numberOf(fields[8], "the block's number"),
    timestamp,
  };
}
