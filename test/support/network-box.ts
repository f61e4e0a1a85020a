import { readFileSync } from 'node:fs';
import type { Bundle, Trust } from '@yaoji/chaincode/core';

/**
 * The box of the reference prescription as a real Fabric network of four organisations (BFT, v3.1.5) vouched for it: what
 * `npm run demo -- --ledger fabric` wrote, and when, ms.
 */
export function readNetworkBox(): { bundle: Bundle; trust: Trust; token: string; taken: number } {
  const text = (name: string): string =>
    readFileSync(new URL(`../../vectors/fabric-network/${name}`, import.meta.url), 'utf8');
  return {
    bundle: JSON.parse(text('bundle.json')) as Bundle,
    trust: JSON.parse(text('trust.json')) as Trust,
    token: text('token.txt').trim(),
    taken: Number(text('taken.txt')),
  };
}
