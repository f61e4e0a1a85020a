import { fromBase64url, toBase64url } from '../bytes.ts';
import type { Window } from './world.ts';

/** How many numbers back an entry may come: the anti-replay window of IPsec (RFC 4303 §3.4.3). */
export const WINDOW = 1024;

/** The window with n spent, or why n cannot be: spent already, or too far behind the newest. */
export function spend(window: Window | undefined, n: number): Window | 'N_USED' | 'N_TOO_OLD' {
  const ring = window ? fromBase64url(window.ring) : new Uint8Array(WINDOW / 8);
  const top = window?.top ?? 0;
  if (n <= top - WINDOW) return 'N_TOO_OLD';
  const place = (k: number): [byte: number, bit: number] => [Math.floor((k % WINDOW) / 8), 1 << (k % 8)];
  const [byte, bit] = place(n);
  if (n <= top && ring[byte]! & bit) return 'N_USED';
  // The numbers that n leaps over have not been seen: their places still hold bits of numbers a whole ring older.
  for (let k = Math.max(top + 1, n - WINDOW + 1); k < n; k++) {
    const [skippedByte, skippedBit] = place(k);
    ring[skippedByte]! &= ~skippedBit;
  }
  ring[byte]! |= bit;
  return { top: Math.max(top, n), ring: toBase64url(ring) };
}
