import { toBase64url, utf8 } from './bytes.ts';
import { TraceError } from './error.ts';
import { hmac } from './hmac.ts';
import type { Suite } from './suite.ts';

// The token: the 130 random bits in the box's QR, as 26 characters of Crockford's base32 (no I, L, O, U).

const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const TOKEN = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/** The token made of at least 17 random bytes: their first 130 bits. */
export function tokenFrom(random: Uint8Array): string {
  if (random.length < 17) throw new TraceError('TOKEN_MALFORMED', 'a token needs 130 random bits');
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of random.subarray(0, 17)) {
    held = ((held << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5 && text.length < 26) {
      bits -= 5;
      text += ALPHABET[(held >> bits) & 31]!;
    }
  }
  return text;
}

/**
 * The token that somebody typed or scanned: upper case, with Crockford's look-alikes read as what they are meant for and
 * separators dropped. Throws TOKEN_MALFORMED.
 */
export function parseToken(text: string): string {
  const token = text.replaceAll(/[\s-]/g, '').toUpperCase().replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  if (text.length > 64 || !TOKEN.test(token))
    throw new TraceError('TOKEN_MALFORMED', 'this is not the code of a box');
  return token;
}

/** What the ledger knows of a token. Not salted: 130 random bits cannot be guessed. base64url, 32 bytes. */
export const tokenCommitment = (token: string, sha256: Suite['sha256']): string =>
  toBase64url(sha256(utf8(`yaoji token\n${token}`)));

/** What the ledger knows of a box's seal: HMAC(token, seal number). base64url, 32 bytes. */
export const sealCommitment = (token: string, sealNo: string, sha256: Suite['sha256']): string =>
  toBase64url(hmac(utf8(token), utf8(sealNo), sha256));

/**
 * Who did it, so that the ledger can enforce different persons and nobody can follow one from fulfilment to fulfilment:
 * HMAC(centre's key, fulfilment ‖ staff code). base64url, 32 bytes.
 */
export const pseudonym = (
  key: Uint8Array,
  fulfilment: string,
  staff: string,
  sha256: Suite['sha256'],
): string => toBase64url(hmac(key, utf8(`${fulfilment}\n${staff}`), sha256));
