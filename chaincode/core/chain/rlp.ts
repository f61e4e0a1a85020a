import { TraceError } from '../error.ts';

// RLP, Ethereum's serialisation (yellow paper, appendix B), read strictly: what is read has exactly one encoding, this one.

/** Bytes, or a list of values. */
export type Rlp = Uint8Array | readonly Rlp[];

/** Far above any block header, and any trie node that holds the receipt of an anchor. */
export const MAX_RLP = 65_536;
const MAX_DEPTH = 16;

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

function malformed(message: string): never {
  throw new TraceError('RLP_MALFORMED', message);
}

/** The one value that the bytes hold, to the last byte; its parts share their memory. Throws RLP_MALFORMED. */
export function decodeRlp(bytes: Uint8Array): Rlp {
  if (bytes.length > MAX_RLP) malformed(`longer than ${MAX_RLP} bytes`);
  const cursor = { bytes, at: 0 };
  const value = readValue(cursor, bytes.length, 0);
  if (cursor.at < bytes.length) malformed('bytes follow the value');
  return value;
}

function readValue(cursor: Cursor, end: number, depth: number): Rlp {
  const start = cursor.at++;
  if (start >= end) malformed('a value is missing');
  const first = cursor.bytes[start]!;
  if (first < 0x80) return cursor.bytes.subarray(start, start + 1);
  const isList = first >= 0xc0;
  const size = readSize(cursor, end, first - (isList ? 0xc0 : 0x80));
  if (size > end - cursor.at) malformed('a value is cut off');
  const last = cursor.at + size;
  if (!isList) {
    const content = cursor.bytes.subarray(cursor.at, last);
    if (size === 1 && content[0]! < 0x80) malformed('a single byte is written with a length');
    cursor.at = last;
    return content;
  }
  if (depth === MAX_DEPTH) malformed('nested too deeply');
  const items: Rlp[] = [];
  while (cursor.at < last) items.push(readValue(cursor, last, depth + 1));
  return items;
}

/** A size up to 55 stands in the first byte itself; of a larger one, the first byte says how many bytes it has. */
function readSize(cursor: Cursor, end: number, first: number): number {
  if (first <= 55) return first;
  const count = first - 55;
  if (count > 3) malformed('a length is too large');
  if (count > end - cursor.at) malformed('a length is cut off');
  let size = 0;
  for (let i = 0; i < count; i++) size = size * 256 + cursor.bytes[cursor.at++]!;
  if (size <= 55 || size < 256 ** (count - 1)) malformed('a length is not in its shortest form');
  return size;
}

/** The items of a list. Throws RLP_MALFORMED for bytes; `what` names it. */
export function listOf(value: Rlp | undefined, what: string): readonly Rlp[] {
  if (value === undefined || value instanceof Uint8Array) malformed(`${what} is not a list`);
  return value;
}

/** Bytes, of this size if one is given. Throws RLP_MALFORMED; `what` names them. */
export function bytesOf(value: Rlp | undefined, what: string, size?: number): Uint8Array {
  if (!(value instanceof Uint8Array)) malformed(`${what} is not a string of bytes`);
  if (size !== undefined && value.length !== size) malformed(`${what} has not ${size} bytes`);
  return value;
}

/** A number up to 2^53 − 1: big-endian bytes without leading zeros. Throws RLP_MALFORMED; `what` names it. */
export function numberOf(value: Rlp | undefined, what: string): number {
  const bytes = bytesOf(value, what);
  if (bytes[0] === 0) malformed(`${what} has a leading zero`);
  const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  if (!Number.isSafeInteger(number)) malformed(`${what} is too large`);
  return number;
}

/** The RLP of a safe integer, 0 or more. */
export function rlpOfNumber(number: number): Uint8Array {
  const bytes: number[] = [];
  for (let left = number; left > 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return bytes.length === 1 && bytes[0]! < 0x80
    ? Uint8Array.from(bytes)
    : Uint8Array.of(0x80 + bytes.length, ...bytes);
}
