import { TraceError } from '../error.ts';
import { bytesOf, decodeRlp, listOf, type Rlp } from './rlp.ts';

/** What an anchor needs of a transaction's receipt. */
export interface Receipt {
  /** whether its execution succeeded: status 1 (EIP-658) */
  readonly succeeded: boolean;
  readonly logs: readonly ChainLog[];
}
/** What a contract logged: its address, up to four topics of 32 bytes, data. */
export interface ChainLog {
  readonly address: Uint8Array;
  readonly topics: readonly Uint8Array[];
  readonly data: Uint8Array;
}

function malformed(message: string): never {
  throw new TraceError('RLP_MALFORMED', message);
}

/**
 * The receipt as it stands in the receipt trie: RLP of [status, gas, bloom, logs] (yellow paper, section 4.4.1), behind one
 * byte for its transaction's type where it has one (EIP-2718). Throws RLP_MALFORMED, also for the receipts from before status
 * codes, which carried a state root.
 */
export function readReceipt(bytes: Uint8Array): Receipt {
  const isTyped = bytes.length > 0 && bytes[0]! < 0x80;
  const [status, gas, bloom, logs, ...more] = listOf(
    decodeRlp(isTyped ? bytes.subarray(1) : bytes),
    'the receipt',
  );
  if (logs === undefined || more.length) malformed('the receipt has not 4 fields');
  const code = bytesOf(status, 'the status');
  if (code.length > 1 || (code.length === 1 && code[0] !== 1)) malformed('the receipt carries no status');
  bytesOf(gas, 'the gas');
  bytesOf(bloom, 'the bloom filter', 256);
  return { succeeded: code.length === 1, logs: listOf(logs, "the receipt's logs").map(readLog) };
}

function readLog(log: Rlp): ChainLog {
  const [address, topics, data, ...more] = listOf(log, 'a log');
  if (data === undefined || more.length) malformed('a log has not 3 fields');
  const words = listOf(topics, "a log's topics").map((topic) => bytesOf(topic, 'a topic', 32));
  if (words.length > 4) malformed('a log has more than 4 topics');
  return {
    address: bytesOf(address, "a log's address", 20),
    topics: words,
    data: bytesOf(data, "a log's data"),
  };
}
