import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  append,
  consistencyElements,
  element,
  EMPTY,
  inclusionElements,
  leafHash,
  root,
  rootFromInclusion,
  rootsFromConsistency,
  toHex,
  verifyConsistency,
  verifyInclusion,
  type Element,
  type Frontier,
} from '@yaoji/chaincode/core';
import { code } from './fabric/refusal.ts';

const sha256 = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest();

// RFC 6962 §2.1, word for word and nothing shared with core: the oracle.

const H = (...parts: (Uint8Array | number[])[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(Uint8Array.from(part));
  return hash.digest();
};
const largestPowerBelow = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));
function MTH(d: readonly Uint8Array[]): Buffer {
  if (d.length === 0) return H();
  if (d.length === 1) return H([0], d[0]!);
  const k = largestPowerBelow(d.length);
  return H([1], MTH(d.slice(0, k)), MTH(d.slice(k)));
}
function PATH(m: number, d: readonly Uint8Array[]): Buffer[] {
  if (d.length === 1) return [];
  const k = largestPowerBelow(d.length);
  return m < k
    ? [...PATH(m, d.slice(0, k)), MTH(d.slice(k))]
    : [...PATH(m - k, d.slice(k)), MTH(d.slice(0, k))];
}
function SUBPROOF(m: number, d: readonly Uint8Array[], b: boolean): Buffer[] {
  if (m === d.length) return b ? [] : [MTH(d)];
  const k = largestPowerBelow(d.length);
  return m <= k
    ? [...SUBPROOF(m, d.slice(0, k), b), MTH(d.slice(k))]
    : [...SUBPROOF(m - k, d.slice(k), false), MTH(d.slice(0, k))];
}

const record = (i: number): Uint8Array => Buffer.from(`record ${i}`);
const SIZE = 64;
const RECORDS = Array.from({ length: SIZE }, (_, i) => record(i));
const LEAVES = RECORDS.map((bytes) => leafHash(bytes, sha256));
const ROOTS = Array.from({ length: SIZE + 1 }, (_, size) => MTH(RECORDS.slice(0, size)));

/** A tree grown leaf by leaf, with every node that `append` told of. */
function grown(leaves: readonly Uint8Array[]): { frontiers: Frontier[]; nodes: Map<string, Uint8Array> } {
  const frontiers: Frontier[] = [EMPTY];
  const nodes = new Map<string, Uint8Array>();
  for (const leaf of leaves)
    frontiers.push(
      append(frontiers.at(-1)!, leaf, sha256, ({ level, index }, hash) =>
        nodes.set(`${level}/${index}`, hash),
      ),
    );
  return { frontiers, nodes };
}
const { frontiers, nodes } = grown(LEAVES);
const hashesOf = (elements: readonly Element[], from = nodes): Uint8Array[] =>
  elements.map((part) =>
    element(
      part.map(({ level, index }) => from.get(`${level}/${index}`)!),
      sha256,
    ),
  );
const hex = (list: readonly Uint8Array[]): string[] => list.map(toHex);

describe('the Merkle tree', () => {
  it("has the reference roots of Certificate Transparency's own tests", () => {
    const leaves = [
      '',
      '00',
      '10',
      '2021',
      '3031',
      '40414243',
      '5051525354555657',
      '606162636465666768696a6b6c6d6e6f',
    ];
    const roots = [
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
      'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
      '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
      '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
      'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
      '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
    ];
    const { frontiers: sizes } = grown(leaves.map((text) => leafHash(Buffer.from(text, 'hex'), sha256)));
    expect(sizes.map((frontier) => toHex(root(frontier, sha256)))).to.deep.equal(roots);
  });

  it('knows the root at every size from its frontier alone', () => {
    expect(hex(frontiers.map((frontier) => root(frontier, sha256)))).to.deep.equal(hex(ROOTS));
  });

  it('keeps as many hashes as the size has one bits', () => {
    for (const { size, nodes: kept } of frontiers)
      expect(kept.length).to.equal(size.toString(2).replaceAll('0', '').length);
  });

  it('appends without changing the frontier it began with', () => {
    const older = frontiers[7]!;
    const copy = hex(older.nodes);
    append(older, LEAVES[7]!, sha256);
    expect(hex(older.nodes)).to.deep.equal(copy);
  });

  it('tells of each perfect subtree once, and they suffice for every inclusion proof', () => {
    let count = 0;
    for (let width = 1; width <= SIZE; width *= 2) count += SIZE / width;
    expect(nodes.size).to.equal(count);
    for (let size = 1; size <= SIZE; size++)
      for (let index = 0; index < size; index++) {
        const proof = hashesOf(inclusionElements(index, size));
        expect(hex(proof)).to.deep.equal(hex(PATH(index, RECORDS.slice(0, size))));
        expect(toHex(rootFromInclusion(LEAVES[index]!, index, size, proof, sha256))).to.equal(
          toHex(ROOTS[size]!),
        );
      }
  });

  it('proves every size to be a prefix of every larger one', () => {
    for (let size = 1; size <= SIZE; size++)
      for (let older = 1; older <= size; older++) {
        const proof = hashesOf(consistencyElements(older, size));
        expect(hex(proof)).to.deep.equal(hex(SUBPROOF(older, RECORDS.slice(0, size), true)));
        verifyConsistency({ size: older, root: ROOTS[older]! }, { size, root: ROOTS[size]! }, proof, sha256);
      }
  });

  it('does the same at sizes in the thousands', () => {
    const many = Array.from({ length: 3000 }, (_, i) => record(i));
    const tree = grown(many.map((bytes) => leafHash(bytes, sha256)));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: many.length }), fc.nat(), fc.nat(), (size, a, b) => {
        const index = a % size;
        const older = (b % size) + 1;
        const part = many.slice(0, size);
        expect(hex(hashesOf(inclusionElements(index, size), tree.nodes))).to.deep.equal(
          hex(PATH(index, part)),
        );
        expect(hex(hashesOf(consistencyElements(older, size), tree.nodes))).to.deep.equal(
          hex(SUBPROOF(older, part, true)),
        );
      }),
      { numRuns: 15 },
    );
  });

  it('keeps its arithmetic beyond 2^32 leaves', () => {
    const size = 2 ** 40 + 3;
    expect(inclusionElements(2 ** 40, size).at(-1)).to.deep.equal([{ level: 40, index: 0 }]);
    const proof = inclusionElements(5, size).map((_, i) => H([i]));
    expect(rootFromInclusion(LEAVES[0]!, 5, size, proof, sha256).length).to.equal(32);
  });

  const wrong = ['PROOF_WRONG', 'PROOF_MALFORMED'];
  const other = H([9]);

  it('refuses every inclusion proof with a wrong leaf, index, size, root or element', async () => {
    for (let size = 1; size <= 18; size++)
      for (let index = 0; index < size; index++) {
        const proof = hashesOf(inclusionElements(index, size));
        const tries: [
          leaf: Uint8Array,
          index: number,
          size: number,
          root: Uint8Array,
          proof: Uint8Array[],
        ][] = [
          [other, index, size, ROOTS[size]!, proof],
          [LEAVES[index]!, index, size, other, proof],
          [LEAVES[index]!, -1, size, ROOTS[size]!, proof],
          [LEAVES[index]!, size, size, ROOTS[size]!, proof],
          [LEAVES[index]!, index + 0.5, size, ROOTS[size]!, proof],
          [LEAVES[index]!, index, size, ROOTS[size]!, [...proof, other]],
          ...proof.flatMap((_, i): (typeof tries)[number][] => [
            [LEAVES[index]!, index, size, ROOTS[size]!, proof.with(i, other)],
            [LEAVES[index]!, index, size, ROOTS[size]!, proof.toSpliced(i, 1)],
            [LEAVES[index]!, index, size, ROOTS[size]!, proof.with(i, proof[i]!.subarray(1))],
            [LEAVES[index]!, index, size, ROOTS[size]!, proof.toSpliced(i, 0, other)],
          ]),
        ];
        for (let another = 0; another < size; another++)
          if (another !== index) tries.push([LEAVES[index]!, another, size, ROOTS[size]!, proof]);
        for (const [leaf, at, of, top, path] of tries)
          expect(
            await code(() => verifyInclusion(leaf, at, { size: of, root: top }, path, sha256)),
            `${index}/${size}`,
          ).to.be.oneOf(wrong);
      }
  });

  it('refuses an inclusion proof at another size, unless the leaf has the same path there', async () => {
    // A proof at (index, size) is one at (index, size') too where the root is the same: it never is.
    for (let size = 1; size <= 18; size++)
      for (let index = 0; index < size; index++)
        for (let another = index + 1; another <= 20; another++) {
          if (another === size) continue;
          const proof = hashesOf(inclusionElements(index, size));
          const found = await code(() =>
            verifyInclusion(LEAVES[index]!, index, { size: another, root: ROOTS[another]! }, proof, sha256),
          );
          expect(found, `${index} of ${size} at ${another}`).to.be.oneOf(wrong);
        }
  });

  it('refuses every consistency proof with a wrong size, root or element', async () => {
    for (let size = 1; size <= 18; size++)
      for (let older = 1; older <= size; older++) {
        const proof = hashesOf(consistencyElements(older, size));
        const from = { size: older, root: ROOTS[older]! };
        const to = { size, root: ROOTS[size]! };
        const tries: [older: typeof from, newer: typeof to, proof: Uint8Array[]][] = [
          [{ ...from, root: other }, to, proof],
          [from, { ...to, root: other }, proof],
          [{ ...from, size: 0 }, to, proof],
          [{ ...from, size: size + 1 }, to, proof],
          [from, to, [...proof, other]],
          ...proof.flatMap((_, i): (typeof tries)[number][] => [
            [from, to, proof.with(i, other)],
            [from, to, proof.toSpliced(i, 1)],
            [from, to, proof.with(i, new Uint8Array(31))],
          ]),
        ];
        for (const [a, b, path] of tries)
          expect(await code(() => verifyConsistency(a, b, path, sha256)), `${older}→${size}`).to.be.oneOf(
            wrong,
          );
      }
  });

  it('computes both roots of a consistency proof, and compares in another function', () => {
    const proof = hashesOf(consistencyElements(5, 13));
    const roots = rootsFromConsistency({ size: 5, root: ROOTS[5]! }, 13, proof, sha256);
    expect(hex([roots.older, roots.newer])).to.deep.equal(hex([ROOTS[5]!, ROOTS[13]!]));
  });
});
