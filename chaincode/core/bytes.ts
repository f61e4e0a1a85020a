import { TraceError } from './error.ts';

// The only byte functions of core. It has neither Node nor DOM, so no Buffer and no TextEncoder.

/** The UTF-8 bytes of a well-formed string. Throws ENCODING_BAD on a lone surrogate (RFC 3629 §3 has no bytes for it). */
export function utf8(text: string): Uint8Array {
  const ascii = new Uint8Array(text.length);
  let start = 0;
  // Nearly all that is hashed here is ASCII.
  for (let code = 0; start < text.length && (code = text.charCodeAt(start)) < 0x80; start++)
    ascii[start] = code;
  if (start === text.length) return ascii;
  const out = new Uint8Array(start + (text.length - start) * 3);
  out.set(ascii.subarray(0, start));
  let size = start;
  for (let i = start; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if (code >= 0xd800 && code < 0xe000) {
      const low = text.charCodeAt(i + 1);
      if (code >= 0xdc00 || !(low >= 0xdc00 && low < 0xe000))
        throw new TraceError('ENCODING_BAD', 'the text has a lone surrogate');
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      i++;
    }
    if (code < 0x80) out[size++] = code;
    else if (code < 0x800) {
      out[size++] = 0xc0 | (code >> 6);
      out[size++] = 0x80 | (code & 63);
    } else if (code < 0x10000) {
      out[size++] = 0xe0 | (code >> 12);
      out[size++] = 0x80 | ((code >> 6) & 63);
      out[size++] = 0x80 | (code & 63);
    } else {
      out[size++] = 0xf0 | (code >> 18);
      out[size++] = 0x80 | ((code >> 12) & 63);
      out[size++] = 0x80 | ((code >> 6) & 63);
      out[size++] = 0x80 | (code & 63);
    }
  }
  return out.subarray(0, size);
}

/** The string of UTF-8 bytes, read strictly (RFC 3629): ENCODING_BAD on overlong forms, surrogates and stray bytes. */
export function fromUtf8(bytes: Uint8Array): string {
  const bad = (): never => {
    throw new TraceError('ENCODING_BAD', 'the bytes are not UTF-8');
  };
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < bytes.length;) {
    let end = i;
    while (end < bytes.length && end - i < 4096 && bytes[end]! < 0x80) end++;
    if (end > i) {
      parts.push(part, String.fromCharCode(...bytes.subarray(i, end)));
      part = '';
      i = end;
      continue;
    }
    const first = bytes[i++]!;
    let code = first;
    if (first >= 0x80) {
      const more = first >= 0xf0 && first < 0xf5 ? 3 : first >= 0xe0 ? 2 : first >= 0xc2 ? 1 : bad();
      if (first >= 0xf5) bad();
      code = first & (0x3f >> more);
      for (let k = 0; k < more; k++) {
        const next = bytes[i++] ?? bad();
        if ((next & 0xc0) !== 0x80) bad();
        code = (code << 6) | (next & 63);
      }
      if (code < [0, 0x80, 0x800, 0x10000][more]! || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        bad();
    }
    part += String.fromCodePoint(code);
    if (part.length > 4096) {
      parts.push(part);
      part = '';
    }
  }
  parts.push(part);
  return parts.join('');
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const STANDARD = `${ALPHABET}+/`;
const URL_SAFE = `${ALPHABET}-_`;

function toText(bytes: Uint8Array, alphabet: string): string {
  let out = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i;
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out += alphabet[group >> 18]! + alphabet[(group >> 12) & 63]!;
    if (left > 1) out += alphabet[(group >> 6) & 63]!;
    if (left > 2) out += alphabet[group & 63]!;
  }
  return out;
}

function valuesOf(alphabet: string): Int8Array {
  const values = new Int8Array(128).fill(-1);
  for (let i = 0; i < 64; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
}
const STANDARD_VALUES = valuesOf(STANDARD);
const URL_SAFE_VALUES = valuesOf(URL_SAFE);

function fromText(text: string, values: Int8Array): Uint8Array {
  const bad = (): never => {
    throw new TraceError('ENCODING_BAD', 'the text is not base64 in its one canonical form');
  };
  if (text.length % 4 === 1) bad();
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let size = 0;
  for (let i = 0; i < text.length; i++) {
    const value = values[text.charCodeAt(i)] ?? -1;
    if (value < 0) bad();
    held = ((held << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[size++] = (held >> bits) & 255;
    }
  }
  // Two texts must never mean the same bytes: the unused bits are zero (RFC 4648 §3.5).
  if (held & ((1 << bits) - 1)) bad();
  return out;
}

/** base64url without padding (RFC 4648 §5). */
export const toBase64url = (bytes: Uint8Array): string => toText(bytes, URL_SAFE);
/** Strict inverse of toBase64url: ENCODING_BAD on padding, foreign characters and non-zero unused bits. */
export const fromBase64url = (text: string): Uint8Array => fromText(text, URL_SAFE_VALUES);

/** base64 with padding (RFC 4648 §4), as C2SP checkpoints and PEM write it. */
export function toBase64(bytes: Uint8Array): string {
  const text = toText(bytes, STANDARD);
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}
/** Strict inverse of toBase64. Throws ENCODING_BAD. */
export function fromBase64(text: string): Uint8Array {
  const bytes = fromText(text.replace(/={1,2}$/, ''), STANDARD_VALUES);
  if (toBase64(bytes) !== text) throw new TraceError('ENCODING_BAD', 'the text is not padded base64');
  return bytes;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
export function toHex(bytes: Uint8Array): string {
  let out = '';
  for (const byte of bytes) out += HEX[byte]!;
  return out;
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let different = 0;
  for (let i = 0; i < a.length; i++) different |= a[i]! ^ b[i]!;
  return different === 0;
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}
