import { equal } from '../bytes.ts';
import { TraceError } from '../error.ts';
import type { VerifierSuite } from '../suite.ts';
import { bytesOf, decodeRlp, listOf, type Rlp } from './rlp.ts';

// The modified Merkle-Patricia trie (yellow paper, appendix D). Its root fixes every node on the way to a key, so a proof is
// those nodes and nothing else.

function malformed(message: string): never {
  throw new TraceError('PROOF_MALFORMED', message);
}
function wrong(message: string, place = ''): never {
  throw new TraceError('PROOF_WRONG', message, { place });
}

/**
 * The value under a key of the trie that has this root. `proof`: the nodes that are referred to by their hashes, from the root
 * down, each exactly once; nodes below 32 bytes stand inside the one above them. Throws PROOF_WRONG when a node is another than
 * its parent names (place: its index) or the key has no value, PROOF_MALFORMED when nodes are missing, left over or no nodes,
 * RLP_MALFORMED.
 */
export function valueInTrie(
  root: Uint8Array,
  key: Uint8Array,
  proof: readonly Uint8Array[],
  keccak256: VerifierSuite['keccak256'],
): Uint8Array {
  const path = nibblesOf(key);
  let used = 0;
  const nodeAt = (reference: Rlp | undefined): readonly Rlp[] => {
    if (!(reference instanceof Uint8Array)) return listOf(reference, 'a trie node');
    if (reference.length === 0) wrong('the trie has nothing under this key');
    if (reference.length !== 32) malformed('a trie node refers to another by something else than a hash');
    const bytes = proof[used] ?? malformed('the proof ends before the value');
    if (!equal(keccak256(bytes), reference))
      wrong('the node is another than the one above it names', `/${used}`);
    used++;
    return listOf(decodeRlp(bytes), 'a trie node');
  };

  let value: Rlp | undefined;
  let at = 0;
  for (let node = nodeAt(root); value === undefined;) {
    if (node.length === 17) {
      if (at === path.length) value = node[16];
      else node = nodeAt(node[path[at++]!]);
    } else if (node.length === 2) {
      const { isLeaf, nibbles } = readPath(bytesOf(node[0], 'the path of a trie node'));
      if (nibbles.some((nibble, i) => nibble !== path[at + i])) wrong('the proof leads to another key');
      at += nibbles.length;
      if (!isLeaf) node = nodeAt(node[1]);
      else if (at === path.length) value = node[1];
      else wrong('the proof leads to another key');
    } else malformed('a trie node has neither 2 nor 17 items');
  }
  if (used !== proof.length) malformed('nodes are left over after the value');
  const bytes = bytesOf(value, "the trie's value");
  return bytes.length ? bytes : wrong('the trie has nothing under this key');
}

const nibblesOf = (bytes: Uint8Array): number[] => [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);

/** The hex-prefix encoding of a path (yellow paper, appendix C): the first nibble says whether it is odd, and a leaf's. */
function readPath(bytes: Uint8Array): { isLeaf: boolean; nibbles: number[] } {
  const [flags = 16, ...nibbles] = nibblesOf(bytes);
  if (flags > 3) malformed('the path of a trie node has unknown flags');
  const isLeaf = flags >= 2;
  const isOdd = flags % 2 === 1;
  if (!isOdd && nibbles.shift() !== 0) malformed('the path of a trie node is padded with something');
  if (!isLeaf && !nibbles.length) malformed('an extension of the trie has no path');
  return { isLeaf, nibbles };
}
