import { fromUtf8 } from '../bytes.ts';
import { TraceError } from '../error.ts';

// Fabric hashes and signs concatenations of messages without their lengths, so a lenient reader would let a prover cut
// the same bytes elsewhere (GHSA-v9w2-543f-h69m). Here one message has exactly one serialisation: the one that Go's and
// JavaScript's protobuf libraries write.

/**
 * How the bytes of a field are read. `uint`, `text` and `bytes` are proto3 scalars, absent when they hold their default;
 * `message` keeps absent (undefined) apart from empty; `repeated` is a list of messages or bytes.
 */
type Kind = 'uint' | 'text' | 'bytes' | 'message' | 'repeated';

interface Values {
  uint: number;
  text: string;
  bytes: Uint8Array;
  message: Uint8Array | undefined;
  repeated: Uint8Array[];
}

/** The fields of a message by name: each its number in the .proto file and how it is read. */
export type Fields = Readonly<Record<string, readonly [number: number, kind: Kind]>>;
export type Message<F extends Fields> = { [Name in keyof F]: Values[F[Name][1]] };

interface Cursor {
  readonly bytes: Uint8Array;
  at: number;
}

function malformed(message: string, cause?: unknown): never {
  throw new TraceError('PROTOBUF_MALFORMED', message, cause === undefined ? {} : { cause });
}

/** Eight bytes hold 56 bits, more than a safe integer has: no value that we could not hold exactly is read. */
const LAST_SCALE = 2 ** 49;

function readVarint(cursor: Cursor): number {
  let value = 0;
  for (let scale = 1; scale <= LAST_SCALE; scale *= 128) {
    const byte = cursor.bytes[cursor.at++] ?? malformed('a number ends too early');
    value += (byte & 127) * scale;
    if (byte < 128) {
      if (byte === 0 && scale > 1) malformed('a number is not in its shortest form');
      return Number.isSafeInteger(value) ? value : malformed('a number is too large');
    }
  }
  return malformed('a number is too large');
}

function readDelimited(cursor: Cursor): Uint8Array {
  const size = readVarint(cursor);
  const bytes = cursor.bytes.subarray(cursor.at, cursor.at + size);
  if (bytes.length !== size) malformed('a field ends too early');
  cursor.at += size;
  return bytes;
}

function readText(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch (cause) {
    return malformed('a text field is not UTF-8', cause);
  }
}

function readValue(cursor: Cursor, kind: Kind): number | string | Uint8Array {
  if (kind === 'uint') return readVarint(cursor) || malformed('a default value is written out');
  const bytes = readDelimited(cursor);
  if (bytes.length === 0 && (kind === 'text' || kind === 'bytes'))
    malformed('a default value is written out');
  return kind === 'text' ? readText(bytes) : bytes;
}

function absent(kind: Kind): Values[Kind] {
  if (kind === 'uint') return 0;
  if (kind === 'text') return '';
  if (kind === 'message') return undefined;
  return kind === 'bytes' ? new Uint8Array() : [];
}

/**
 * Reads one message whole (https://protobuf.dev/programming-guides/encoding/): the declared fields only, ascending, each
 * once unless repeated, in the shortest form, to the last byte. Nested messages stay bytes, for the caller to read: so
 * depth and work are bounded by what the caller declares. Throws PROTOBUF_MALFORMED.
 */
export function readMessage<F extends Fields>(bytes: Uint8Array, fields: F): Message<F>;
export function readMessage(bytes: Uint8Array, fields: Fields): Message<Fields> {
  const message: Record<string, Values[Kind]> = {};
  const byNumber = new Map<number, readonly [name: string, kind: Kind]>();
  for (const [name, [number, kind]] of Object.entries(fields)) {
    byNumber.set(number, [name, kind]);
    message[name] = absent(kind);
  }
  const cursor = { bytes, at: 0 };
  for (let last = 0; cursor.at < bytes.length;) {
    const tag = readVarint(cursor);
    const number = Math.floor(tag / 8);
    const [name, kind] = byNumber.get(number) ?? malformed(`field ${number} is not known here`);
    if (tag % 8 !== (kind === 'uint' ? 0 : 2)) malformed(`${name} has another wire type`);
    if (number < last || (number === last && kind !== 'repeated'))
      malformed(`${name} is repeated or out of order`);
    const value = readValue(cursor, kind);
    const list = message[name];
    if (Array.isArray(list) && value instanceof Uint8Array) list.push(value);
    else message[name] = value;
    last = number;
  }
  return message;
}
