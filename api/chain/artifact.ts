import { readFileSync } from 'node:fs';
import type { InterfaceAbi } from 'ethers';

/** What the compiler made of anchor.sol. */
export interface AnchorArtifact {
  abi: InterfaceAbi;
  /** what deploys it, 0x and hex */
  bytecode: string;
  /** what then stands at its address, with zeros where the operator's address goes, 0x and hex */
  runtime: string;
  /** where in the runtime code the operator's address stands, as 32-byte words: their first bytes */
  operatorAt: number[];
}

/** The committed artifact (`node scripts/dist/compile-anchor.js` makes it). Not compiled, so seen from dist/chain/. */
export const ANCHOR = JSON.parse(
  readFileSync(new URL('../../chain/anchor.json', import.meta.url), 'utf8'),
) as AnchorArtifact;
