import { encodeRlp, getBytes, keccak256, toBeHex, type RlpStructuredDataish } from 'ethers';

// The Merkle Patricia trie of a block's receipts (Ethereum Yellow Paper, appendix D): the key is RLP(transaction index).
// Bytes are hex strings here, 0x first, as ethers' RLP wants them; paths are their nibbles without it.

/** A node as RLP will write it: a leaf and an extension are pairs, a branch has 17 parts. */
type Node = RlpStructuredDataish;
interface Item {
  path: string;
  value: string;
}

/** The trie's root (0x and hex), and the nodes from it down to the leaf of `index`, each as the RLP that its hash is of. */
export function receiptTrie(
  receipts: readonly string[],
  index: number,
): { root: string; proof: Uint8Array[] } {
  const items = receipts.map((value, i) => ({ path: pathOf(i), value }));
  const proof: string[] = [];
  const root = encodeRlp(nodeOf(items, 0, pathOf(index), proof));
  return { root: keccak256(root), proof: [root, ...proof].map((node) => getBytes(node)) };
}

const pathOf = (index: number): string => encodeRlp(index === 0 ? '0x' : toBeHex(index)).slice(2);

/** The node of these items, whose paths agree up to `depth`. The nodes below it on the wanted path are put in `proof`. */
function nodeOf(items: readonly Item[], depth: number, wanted: string, proof: string[]): Node {
  if (items.length === 0) return '0x';
  const first = items[0]!;
  if (items.length === 1) return [hexPrefix(first.path.slice(depth), true), first.value];
  const below = (some: readonly Item[], at: number): Node => reference(some, at, wanted, proof);
  const shared = sharedPrefix(items, depth);
  if (shared > depth) return [hexPrefix(first.path.slice(depth, shared), false), below(items, shared)];
  // No key is the beginning of another (RLP), so a branch has no value.
  const children = '0123456789abcdef'.split('').map((nibble) => {
    const some = items.filter(({ path }) => path[depth] === nibble);
    return some.length ? below(some, depth + 1) : '0x';
  });
  return [...children, '0x'];
}

/** How a node's parent names it: by its hash, or itself where it is shorter than that. */
function reference(items: readonly Item[], depth: number, wanted: string, proof: string[]): Node {
  const onPath = items.some(({ path }) => path === wanted);
  const deeper: string[] = [];
  const node = nodeOf(items, depth, wanted, deeper);
  const encoded = encodeRlp(node);
  const isShort = encoded.length < 2 + 2 * 32;
  if (onPath) proof.push(...(isShort ? [] : [encoded]), ...deeper);
  return isShort ? node : keccak256(encoded);
}

function sharedPrefix(items: readonly Item[], depth: number): number {
  const [first, ...others] = items.map(({ path }) => path);
  let end = depth;
  while (end < first!.length && others.every((path) => path[end] === first![end])) end++;
  return end;
}

/** Nibbles as bytes, with a flag for a leaf and for an odd number (appendix C). */
function hexPrefix(nibbles: string, isLeaf: boolean): string {
  const flag = (isLeaf ? 2 : 0) + (nibbles.length % 2);
  return `0x${flag}${nibbles.length % 2 ? '' : '0'}${nibbles}`;
}
