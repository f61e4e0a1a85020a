import { getBytes, hexlify } from 'ethers';
import { expect } from 'chai';
import fc from 'fast-check';
import { equal } from '@yaoji/chaincode/core';
import { rlpOfNumber } from '@yaoji/chaincode/core/chain/rlp';
import { valueInTrie } from '@yaoji/chaincode/core/chain/trie';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { trieOf } from '../../support/trie.ts';
import { code, refusal } from '../fabric/refusal.ts';
import { receipts, recorded } from './recorded.ts';

const { keccak256 } = verifierSuite;
const bytes = (text: string): Uint8Array =>
  text.startsWith('0x') ? getBytes(text) : Uint8Array.from(Buffer.from(text));
const word = (end: string): string => `0x${end.padStart(64, '0')}`;
const padded = (start: string): string => `0x${start.padEnd(64, '0')}`;

/** github.com/ethereum/tests, TrieTests: what a trie holds in the end, and its root. */
const KNOWN: [name: string, root: string, values: { [key: string]: string }][] = [
  [
    'emptyValues',
    '0x5991bb8c6514148a29db676a14ac506cd2cd5775ace63c30a4fe457715e9ac84',
    { do: 'verb', horse: 'stallion', doge: 'coin', dog: 'puppy' },
  ],
  [
    'jeff',
    '0x9f6221ebb8efe7cff60a716ecb886e67dd042014be444669f0159d8e68b42100',
    {
      [word('45')]: '0x22b224a1420a802ab51d326e29fa98e34c4f24ea',
      [word('46')]: padded('67706c207633'),
      [word('697c7b8c961b56f675d570498424ac8de1a918f6')]: padded(
        '6f6f6f6820736f2067726561742c207265616c6c6c793f',
      ),
      [word('7ef9e639e2733cb34e4dfc576d4b23f72db776b2')]: padded('4655474156'),
      [word('ec4f34c97e43fbb2816cfd95e388353c7181dab1')]: padded('4e616d65526567'),
      [padded('4655474156')]: '0x7ef9e639e2733cb34e4dfc576d4b23f72db776b2',
      [padded('4e616d65526567')]: '0xec4f34c97e43fbb2816cfd95e388353c7181dab1',
      [padded('6f6f6f6820736f2067726561742c207265616c6c6c793f')]:
        '0x697c7b8c961b56f675d570498424ac8de1a918f6',
    },
  ],
  [
    'insert-middle-leaf',
    '0xcb65032e2f76c48b82b5c24b3db8f670ce73982869d38cd39a624f23d62a9e89',
    {
      key1aa: '0123456789012345678901234567890123456789xxx',
      key1: '0123456789012345678901234567890123456789Very_Long',
      key2bb: 'aval3',
      key2: 'short',
      key3cc: 'aval3',
      key3: '1234567890123456789012345678901',
    },
  ],
  ['foo', '0x17beaa1648bafa633cda809c90c04af50fc8aed3cb40d16efbddee6fdf63c4c3', { foo: 'bar', food: 'bass' }],
  [
    'smallValues',
    '0x3f67c7a47520f79faa29255d2d3c084a7a6df0453116ed7232ff10277a8be68b',
    { be: 'e', dog: 'puppy', bed: 'd' },
  ],
  [
    'testy',
    '0x8452568af70d8d140f58d941338542f645fcca50094b20f3c3d8c3df49337928',
    { test: 'test', te: 'testy' },
  ],
  [
    'dogs',
    '0x8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3',
    { doe: 'reindeer', dog: 'puppy', dogglesworth: 'cat' },
  ],
];

/** Tries of up to a few dozen keys, many of them beginnings of others, with values small enough to stand inside. */
const anyPairs = fc.uniqueArray(
  fc.tuple(
    fc.oneof(
      fc.array(fc.constantFrom(0x00, 0x01, 0x10, 0x11), { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(255), { minLength: 1, maxLength: 3 }),
    ),
    fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.uint8Array({ minLength: 30, maxLength: 80 })),
  ),
  { minLength: 1, maxLength: 30, selector: ([key]) => key.join() },
);
const pairsOf = (list: [number[], Uint8Array][]): [Uint8Array, Uint8Array][] =>
  list.map(([key, value]) => [Uint8Array.from(key), value]);

describe('a proof in a Merkle-Patricia trie', function () {
  this.timeout(60_000);

  for (const [name, root, values] of KNOWN)
    it(`leads to every value of Ethereum's own ${name}`, () => {
      const trie = trieOf(Object.entries(values).map(([key, value]) => [bytes(key), bytes(value)]));
      expect(hexlify(trie.root)).to.equal(root);
      for (const [key, value] of Object.entries(values))
        expect(valueInTrie(getBytes(root), bytes(key), trie.proof(bytes(key)), keccak256)).to.deep.equal(
          bytes(value),
        );
    });

  it('leads to every receipt of a block of a real node', () => {
    const key = (index: number): Uint8Array => rlpOfNumber(index);
    const trie = trieOf(receipts.map((receipt, i) => [key(i), receipt]));
    expect(hexlify(trie.root)).to.equal(recorded.receiptsRoot);
    const depths = new Set<number>();
    for (const [i, receipt] of receipts.entries()) {
      const proof = trie.proof(key(i));
      depths.add(proof.length);
      expect(valueInTrie(getBytes(recorded.receiptsRoot), key(i), proof, keccak256)).to.deep.equal(receipt);
    }
    expect(Math.max(...depths)).to.be.greaterThan(3);
  });

  it('leads to every value that a trie has, and to nothing else', () => {
    fc.assert(
      fc.property(anyPairs, fc.nat(), (list, pick) => {
        const pairs = pairsOf(list);
        const trie = trieOf(pairs);
        for (const [key, value] of pairs)
          expect(valueInTrie(trie.root, key, trie.proof(key), keccak256)).to.deep.equal(value);
        const [key] = pairs[pick % pairs.length]!;
        for (const absent of [
          Uint8Array.of(...key, 0x11),
          key.subarray(0, -1),
          Uint8Array.of(0x77, ...key),
        ]) {
          if (pairs.some(([known]) => equal(known, absent))) continue;
          expect(() => valueInTrie(trie.root, absent, trie.proof(absent), keccak256)).to.throw();
          expect(() => valueInTrie(trie.root, absent, trie.proof(key), keccak256)).to.throw();
        }
      }),
      { numRuns: 200 },
    );
  });

  it('is refused with any bit changed, any node left out, doubled, added or moved', async () => {
    await fc.assert(
      fc.asyncProperty(anyPairs, fc.nat(), async (list, pick) => {
        const pairs = pairsOf(list);
        const trie = trieOf(pairs);
        const [key] = pairs[pick % pairs.length]!;
        const proof = trie.proof(key);
        const refused = async (changed: readonly Uint8Array[]): Promise<void> => {
          const found = await code(() => valueInTrie(trie.root, key, changed, keccak256));
          expect(found).to.be.oneOf(['PROOF_WRONG', 'PROOF_MALFORMED']);
        };
        for (const [i, node] of proof.entries()) {
          const changed = Uint8Array.from(node);
          changed[pick % node.length]! ^= 1 << (pick % 8);
          await refused(proof.with(i, changed));
          await refused(proof.with(i, node.subarray(0, -1)));
          await refused(proof.toSpliced(i, 1));
          await refused(proof.toSpliced(i, 0, node));
          await refused([...proof, node]);
          if (i > 0) await refused([...proof.slice(i), ...proof.slice(0, i)]);
        }
        await refused([]);
      }),
      { numRuns: 100 },
    );
  });

  // Nodes that no trie has, under a root that was made for them.
  const made = async (...nodes: Uint8Array[]): Promise<string | undefined> =>
    (await refusal(() => valueInTrie(keccak256(nodes[0]!), Uint8Array.of(0x12), nodes, keccak256)))?.message;
  const hex = (text: string): Uint8Array => getBytes(`0x${text}`);
  const hash = 'a0' + '11'.repeat(32);

  it('is refused for a node that is none', async () => {
    expect(await made(hex('80'))).to.equal('a trie node is not a list');
    expect(await made(hex('c0'))).to.equal('a trie node has neither 2 nor 17 items');
    expect(await made(hex('c3010203'))).to.equal('a trie node has neither 2 nor 17 items');
    expect(await made(hex('c58220128101'))).to.equal('a single byte is written with a length');
    expect(await made(hex('c4c1128107'))).to.equal('a single byte is written with a length');
    expect(await made(hex('c3c11207'))).to.equal('the path of a trie node is not a string of bytes');
    expect(await made(hex('c482201205'))).to.equal(undefined);
  });

  it('is refused for a path that is not in its one form', async () => {
    expect(await made(hex('c28005'))).to.equal('the path of a trie node has unknown flags');
    expect(await made(hex('c482401205'))).to.equal('the path of a trie node has unknown flags');
    expect(await made(hex('c482231205'))).to.equal('the path of a trie node is padded with something');
    expect(await made(hex(`e200${hash}`))).to.equal('an extension of the trie has no path');
    expect(await made(hex('c482201305'))).to.equal('the proof leads to another key');
    expect(await made(hex('c482312305'))).to.equal('the proof leads to another key');
    expect(await made(hex('c23105'))).to.equal('the proof leads to another key');
  });

  it('is refused where a node refers to nothing, or to something else than a node', async () => {
    expect(await made(hex(`d1${'80'.repeat(17)}`))).to.equal('the trie has nothing under this key');
    expect(await made(hex(`d1${'01'.repeat(17)}`))).to.equal(
      'a trie node refers to another by something else than a hash',
    );
    expect(await made(hex('c482201280'))).to.equal('the trie has nothing under this key');
    expect(await made(hex('c4822012c0'))).to.equal("the trie's value is not a string of bytes");
    expect(await made(hex(`e211${hash}`))).to.equal('the proof ends before the value');
  });

  it('is refused without end of work, however the nodes are nested', async () => {
    // An extension inside an extension inside …: each takes a nibble of the key, which is short.
    let nested = 'c23105';
    for (let i = 0; i < 14; i++) {
      const body = `11${nested}`;
      nested = (0xc0 + body.length / 2).toString(16) + body;
    }
    expect(await made(hex(nested))).to.equal('the proof leads to another key');
  });

  it('never ends in anything but a value or a refusal', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 6 }),
        fc.array(fc.uint8Array({ maxLength: 60 }), { minLength: 1, maxLength: 4 }),
        async (key, nodes) => {
          await refusal(() => valueInTrie(keccak256(nodes[0]!), key, nodes, keccak256));
          await refusal(() => valueInTrie(nodes[0]!, key, nodes, keccak256));
        },
      ),
      { numRuns: 500 },
    );
  });
});
