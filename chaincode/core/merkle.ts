import { concat, equal } from './bytes.ts';
import { TraceError, invariant } from './error.ts';
import type { Suite } from './suite.ts';

// The Merkle tree of RFC 6962 §2.1: leaf = H(0x00 ‖ record), node = H(0x01 ‖ left ‖ right), empty tree = H(""). Sizes are
// safe integers, so halving is division: bit operators would cut them at 2^31.

type Hash = Suite['sha256'];

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

export const leafHash = (record: Uint8Array, sha256: Hash): Uint8Array => sha256(concat(LEAF, record));
const nodeHash = (left: Uint8Array, right: Uint8Array, sha256: Hash): Uint8Array =>
  sha256(concat(NODE, left, right));

/** What suffices to append to a log and to know its root: the roots of its perfect subtrees, largest first. */
export interface Frontier {
  readonly size: number;
  readonly nodes: readonly Uint8Array[];
}
export const EMPTY: Frontier = { size: 0, nodes: [] };

/** A perfect subtree: the 2^level leaves from index · 2^level on. */
export interface Coordinate {
  level: number;
  index: number;
}

/** The frontier with one leaf more. `completed` is told every perfect subtree that this leaf completes, itself first. */
export function append(
  frontier: Frontier,
  leaf: Uint8Array,
  sha256: Hash,
  completed?: (at: Coordinate, hash: Uint8Array) => void,
): Frontier {
  const nodes = [...frontier.nodes];
  let hash = leaf;
  let level = 0;
  let index = frontier.size;
  completed?.({ level, index }, hash);
  while (index % 2 === 1) {
    hash = nodeHash(nodes.pop()!, hash, sha256);
    level++;
    index = (index - 1) / 2;
    completed?.({ level, index }, hash);
  }
  nodes.push(hash);
  return { size: frontier.size + 1, nodes };
}

/** The root of the log whose perfect subtrees these are. */
export function root(frontier: Pick<Frontier, 'nodes'>, sha256: Hash): Uint8Array {
  return frontier.nodes.length ? joined(frontier.nodes, sha256) : sha256(new Uint8Array());
}

function joined(hashes: readonly Uint8Array[], sha256: Hash): Uint8Array {
  return hashes.reduceRight((right, left) => nodeHash(left, right, sha256));
}

/** The largest power of two smaller than n, n ≥ 2 (RFC 6962 §2.1, "k"). */
function split(n: number): number {
  let k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

/** The perfect subtrees that make up the leaves [from, to) of a split of the tree, largest first. */
function subtrees(from: number, to: number): Coordinate[] {
  const out: Coordinate[] = [];
  for (let at = from; at < to;) {
    let level = 0;
    let width = 1;
    while (width * 2 <= to - at && at % (width * 2) === 0) {
      level++;
      width *= 2;
    }
    out.push({ level, index: at / width });
    at += width;
  }
  return out;
}

/** One element of a proof, as the perfect subtrees whose hashes `element` joins to it. */
export type Element = readonly Coordinate[];
export const element = (hashes: readonly Uint8Array[], sha256: Hash): Uint8Array => joined(hashes, sha256);

/** What the inclusion proof of leaf `index` in the first `size` leaves consists of, leaf to root (RFC 6962 §2.1.1). index < size. */
export function inclusionElements(index: number, size: number): Element[] {
  invariant(index >= 0 && index < size, 'the index is inside the tree');
  const path = (from: number, to: number): Element[] => {
    if (to - from === 1) return [];
    const middle = from + split(to - from);
    return index < middle
      ? [...path(from, middle), subtrees(middle, to)]
      : [...path(middle, to), subtrees(from, middle)];
  };
  return path(0, size);
}

/** What the consistency proof between the first `older` and the first `size` leaves consists of (RFC 6962 §2.1.2). 0 < older ≤ size. */
export function consistencyElements(older: number, size: number): Element[] {
  invariant(older > 0 && older <= size, 'the older tree is not empty and not larger');
  const path = (from: number, to: number, whole: boolean): Element[] => {
    if (to === older) return whole ? [] : [subtrees(from, to)];
    const middle = from + split(to - from);
    return older <= middle
      ? [...path(from, middle, whole), subtrees(middle, to)]
      : [...path(middle, to, false), subtrees(from, middle)];
  };
  return path(0, size, true);
}

/** The root that an inclusion proof leads to (RFC 9162 §2.1.3.2). Throws PROOF_MALFORMED when its length does not fit. */
export function rootFromInclusion(
  leaf: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  sha256: Hash,
): Uint8Array {
  // The index and the size come from a bundle, so from anyone.
  if (!(Number.isSafeInteger(index) && Number.isSafeInteger(size) && index >= 0 && index < size))
    throw malformed();
  let hash = leaf;
  let at = index;
  let last = size - 1;
  let used = 0;
  while (last > 0) {
    if (at % 2 === 1 || at < last) {
      const sibling = proof[used++];
      if (sibling?.length !== 32) throw malformed();
      hash = at % 2 === 1 ? nodeHash(sibling, hash, sha256) : nodeHash(hash, sibling, sha256);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  if (used !== proof.length) throw malformed();
  return hash;
}

/** Throws PROOF_WRONG unless the leaf stands at `index` in the log of this size and root. */
export function verifyInclusion(
  leaf: Uint8Array,
  index: number,
  checkpoint: { size: number; root: Uint8Array },
  proof: readonly Uint8Array[],
  sha256: Hash,
): void {
  if (!equal(rootFromInclusion(leaf, index, checkpoint.size, proof, sha256), checkpoint.root))
    throw new TraceError('PROOF_WRONG', 'the inclusion proof leads to another root');
}

/** The older and the newer root that a consistency proof leads to (RFC 9162 §2.1.4.2). Throws PROOF_MALFORMED. */
export function rootsFromConsistency(
  older: { size: number; root: Uint8Array },
  size: number,
  proof: readonly Uint8Array[],
  sha256: Hash,
): { older: Uint8Array; newer: Uint8Array } {
  if (!(
    Number.isSafeInteger(older.size) &&
    Number.isSafeInteger(size) &&
    older.size > 0 &&
    older.size <= size
  ))
    throw malformed();
  if (older.size === size) {
    if (proof.length) throw malformed();
    return { older: older.root, newer: older.root };
  }
  if (proof.some((hash) => hash.length !== 32)) throw malformed();
  let at = older.size - 1;
  let last = size - 1;
  while (at % 2 === 1) {
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  // The older tree is one perfect subtree: its root is the first element, and the proof leaves it out.
  const elements = at === 0 ? [older.root, ...proof] : proof;
  if (!elements[0]) throw malformed();
  let before = elements[0];
  let after = elements[0];
  let used = 1;
  while (last > 0) {
    if (at % 2 === 1 || at < last) {
      const sibling = elements[used++];
      if (!sibling) throw malformed();
      if (at % 2 === 1) {
        before = nodeHash(sibling, before, sha256);
        after = nodeHash(sibling, after, sha256);
      } else after = nodeHash(after, sibling, sha256);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  if (used !== elements.length) throw malformed();
  return { older: before, newer: after };
}

/** Throws PROOF_WRONG unless the older log is a prefix of the newer one. */
export function verifyConsistency(
  older: { size: number; root: Uint8Array },
  newer: { size: number; root: Uint8Array },
  proof: readonly Uint8Array[],
  sha256: Hash,
): void {
  const roots = rootsFromConsistency(older, newer.size, proof, sha256);
  if (!equal(roots.older, older.root) || !equal(roots.newer, newer.root))
    throw new TraceError('PROOF_WRONG', 'the consistency proof leads to other roots');
}

const malformed = (): TraceError =>
  new TraceError('PROOF_MALFORMED', 'the proof has another length than its tree');
