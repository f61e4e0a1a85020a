import { encodeRlp, getBytes, keccak256 } from 'ethers';

// Makes the tries whose proofs core reads, with ethers' RLP: the other half of the yellow paper's appendix D.

type Structure = Uint8Array | Structure[];
type Pair = readonly [path: readonly number[], value: Uint8Array];

interface Node {
  /** what stands in the node, with children below 32 bytes inside */
  readonly structure: Structure[];
  readonly children: ReadonlyMap<number, Node>;
  /** the nibbles that an extension or a leaf stands for */
  readonly path: readonly number[];
}

export interface Trie {
  readonly root: Uint8Array;
  /** the nodes from the root to a key's value, without those that stand inside another */
  proof(key: Uint8Array): Uint8Array[];
}

const encoded = ({ structure }: Node): Uint8Array => getBytes(encodeRlp(structure));
const nibblesOf = (bytes: Uint8Array): number[] => [...bytes].flatMap((byte) => [byte >> 4, byte & 15]);
const referenceTo = (node: Node): Structure => {
  const bytes = encoded(node);
  return bytes.length < 32 ? node.structure : getBytes(keccak256(bytes));
};

function hexPrefix(path: readonly number[], isLeaf: boolean): Uint8Array {
  const odd = path.length % 2;
  const nibbles = [(isLeaf ? 2 : 0) + odd, ...(odd ? [] : [0]), ...path];
  return Uint8Array.from(
    { length: nibbles.length / 2 },
    (_, i) => nibbles[2 * i]! * 16 + nibbles[2 * i + 1]!,
  );
}

function nodeOf(pairs: readonly Pair[]): Node {
  const [[first, value]] = pairs as [Pair];
  if (pairs.length === 1)
    return { structure: [hexPrefix(first, true), value], children: new Map(), path: first };
  let common = 0;
  while (common < first.length && pairs.every(([path]) => path[common] === first[common])) common++;
  if (common > 0) {
    const child = nodeOf(pairs.map(([path, item]) => [path.slice(common), item]));
    const path = first.slice(0, common);
    const structure = [hexPrefix(path, false), referenceTo(child)];
    return { structure, children: new Map([[first[common - 1]!, child]]), path };
  }
  const children = new Map<number, Node>();
  for (let nibble = 0; nibble < 16; nibble++) {
    const below = pairs.filter(([path]) => path[0] === nibble);
    if (below.length) children.set(nibble, nodeOf(below.map(([path, item]) => [path.slice(1), item])));
  }
  const own = pairs.find(([path]) => path.length === 0)?.[1] ?? new Uint8Array();
  const structure = Array.from({ length: 16 }, (_, nibble) => {
    const child = children.get(nibble);
    return child ? referenceTo(child) : new Uint8Array();
  });
  return { structure: [...structure, own], children, path: [] };
}

/** The trie of these keys, each once, and values. At least one. */
export function trieOf(pairs: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): Trie {
  const top = nodeOf(pairs.map(([key, value]) => [nibblesOf(key), value]));
  return {
    root: getBytes(keccak256(encoded(top))),
    proof(key) {
      const nodes = [encoded(top)];
      let at = 0;
      const path = nibblesOf(key);
      for (let node = top; ;) {
        const isBranch = node.structure.length === 17;
        at += node.path.length;
        const child = isBranch ? node.children.get(path[at++] ?? 16) : [...node.children.values()][0];
        if (!child) return nodes;
        const bytes = encoded(child);
        if (bytes.length >= 32) nodes.push(bytes);
        node = child;
      }
    },
  };
}
