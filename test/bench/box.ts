import { randomBytes } from 'node:crypto';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  append,
  at as keyOf,
  canonical,
  fromBase64url,
  inclusionElements,
  root,
  toBase64url,
  type Bundle,
  type Coordinate,
  type Frontier,
  type Log,
  type Trust,
} from '@yaoji/chaincode/core';
import { CHAIN, CONTRACT } from '../support/anchors.ts';
import { anchored, bundleOf, TAKEN, trustOf } from '../support/bundles.ts';
import { ledgerAfter, reference, TOKEN, type TestLedger } from '../support/consortium.ts';

/** What a reader has in hand. */
export interface Box {
  readonly bundle: Bundle;
  readonly trust: Trust;
  readonly token: string;
  /** ms since the epoch */
  readonly now: number;
}

/** How many records a log has, and how many of them were anchored. */
export const RECORDS = 1_000_000;
const ANCHORED = 999_000;
/** The anchor's block is one of a busy chain. */
const BLOCK = { transactions: 200, index: 133 };

/** The box of the reference story, anchored and passed in full, in logs of a million records each. */
export async function makeBox(): Promise<Box> {
  const story = await ledgerAfter(reference());
  const then = filled(story, ANCHORED);
  const now = filled(then, RECORDS);
  const { bundle, block } = await anchored(await bundleOf(now), { ledger: then, ...BLOCK });
  const trust = await trustOf({
    anchor: { chain: CHAIN, contract: CONTRACT, development: false, blocks: [block] },
  });
  const required: Trust['required'] = [...trust.required, 'anchor'];
  return { bundle, trust: { ...trust, required }, token: TOKEN, now: TAKEN + 60_000 };
}

/** The ledger once every log of the story has so many records: the others are of other boxes, so random hashes stand for them. */
function filled(before: TestLedger, size: number): TestLedger {
  const ledger = before.fork();
  const places = ledger.kept.map(({ record: { entry, index } }) => ({ org: entry.org, index }));
  for (const org of new Set(places.map((place) => place.org))) {
    const name = ({ level, index }: Coordinate): string => `${org}/${level}/${index}`;
    // All nodes would be two million a log; the proofs of the story's records take a few dozen.
    const needed = new Set(
      places
        .filter((place) => place.org === org)
        .flatMap(({ index }) => [ANCHORED, RECORDS].flatMap((last) => inclusionElements(index, last)))
        .flatMap((part) => part.map(name)),
    );
    const log = ledger.get<Log>(keyOf.log(org))!;
    let frontier: Frontier = { size: log.size, nodes: log.frontier.map(fromBase64url) };
    while (frontier.size < size)
      frontier = append(frontier, randomBytes(32), nodeSuite.sha256, (at, hash) => {
        if (needed.has(name(at))) ledger.nodes.set(name(at), hash);
      });
    const grown = {
      ...log,
      size,
      root: toBase64url(root(frontier, nodeSuite.sha256)),
      frontier: frontier.nodes.map(toBase64url),
    };
    ledger.values.set(keyOf.log(org), canonical(grown));
  }
  return ledger;
}
