import { TraceError } from '../error.ts';

// The DER (ITU-T X.690 §10) that certificates and ECDSA signatures need: single-byte tags, definite shortest lengths.

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const OID = 0x06;
export const UTF8_STRING = 0x0c;
export const PRINTABLE_STRING = 0x13;
export const UTC_TIME = 0x17;
export const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;
export const SET = 0x31;
/** The constructed context-specific tag [n]. */
export const context = (n: number): number => 0xa0 | n;

export interface Element {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content: what is signed or compared. */
  readonly whole: Uint8Array;
}

function malformed(message: string): never {
  throw new TraceError('DER_MALFORMED', message);
}

/** Reads the elements of `bytes` one after the other. Every method throws DER_MALFORMED on anything else than asked for. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Whether another element follows; of this tag, when one is given. */
  has(tag?: number): boolean {
    return this.#at < this.#bytes.length && (tag === undefined || this.#bytes[this.#at] === tag);
  }

  next(tag?: number): Element {
    if (!this.has(tag))
      malformed(tag === undefined ? 'an element is missing' : `no element of tag ${tag} here`);
    const start = this.#at;
    const found = this.#bytes[this.#at++]!;
    if ((found & 31) === 31) malformed('a tag of several bytes');
    const size = this.#readLength();
    const content = this.#bytes.subarray(this.#at, this.#at + size);
    if (content.length !== size) malformed('an element ends too early');
    this.#at += size;
    return { tag: found, content, whole: this.#bytes.subarray(start, this.#at) };
  }

  /** A reader of the next element's content. */
  enter(tag: number): DerReader {
    return new DerReader(this.next(tag).content);
  }

  end(): void {
    if (this.has()) malformed('bytes follow where the structure ends');
  }

  #readLength(): number {
    const first = this.#bytes[this.#at++] ?? malformed('a length is missing');
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count < 1 || count > 3) malformed('a length is indefinite or too large');
    let size = 0;
    for (let i = 0; i < count; i++)
      size = size * 256 + (this.#bytes[this.#at++] ?? malformed('a length ends too early'));
    if (size < 0x80 || size < 256 ** (count - 1)) malformed('a length is not in its shortest form');
    return size;
  }
}

/** The big-endian bytes of a positive INTEGER, without the zero that only keeps it positive (X.690 §8.3). */
export function positiveInteger(reader: DerReader): Uint8Array {
  const { content } = reader.next(INTEGER);
  const first = content[0] ?? malformed('an integer is empty');
  if (first >= 0x80) malformed('an integer is negative');
  if (first > 0) return content;
  if ((content[1] ?? 0) < 0x80) malformed('an integer is zero or not in its shortest form');
  return content.subarray(1);
}

/** The bytes of a BIT STRING of whole bytes: signatures and keys. */
export function wholeBitString(reader: DerReader): Uint8Array {
  const { content } = reader.next(BIT_STRING);
  if (content[0] !== 0) malformed('a bit string does not end at a byte');
  return content.subarray(1);
}

/** A BOOLEAN DEFAULT FALSE: DER leaves the default out and writes true as 0xff (X.690 §11.1, §11.5). */
export function trueOrAbsent(reader: DerReader): boolean {
  if (!reader.has(BOOLEAN)) return false;
  const { content } = reader.next(BOOLEAN);
  if (content.length !== 1 || content[0] !== 0xff) malformed('a boolean is not the one that DER allows here');
  return true;
}
