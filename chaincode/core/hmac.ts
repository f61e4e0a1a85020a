import { concat } from './bytes.ts';
import type { Suite } from './suite.ts';

/** HMAC-SHA-256 (RFC 2104): 32 bytes. */
export function hmac(key: Uint8Array, message: Uint8Array, sha256: Suite['sha256']): Uint8Array {
  const block = new Uint8Array(64);
  block.set(key.length > 64 ? sha256(key) : key);
  const padded = (byte: number): Uint8Array => block.map((value) => value ^ byte);
  return sha256(concat(padded(0x5c), sha256(concat(padded(0x36), message))));
}
