import { encodeRlp, getBytes, hexlify, id, type RlpStructuredDataish } from 'ethers';
import { expect } from 'chai';
import fc from 'fast-check';
import { readHeader } from '@yaoji/chaincode/core/chain/header';
import { readReceipt } from '@yaoji/chaincode/core/chain/receipt';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { browserSuite } from '@yaoji/web/suite';
import { code, refusal } from '../fabric/refusal.ts';
import { header, receipts, recorded } from './recorded.ts';

const { keccak256 } = verifierSuite;
const rlp = (value: RlpStructuredDataish): Uint8Array => getBytes(encodeRlp(value));
const zeros = (size: number): Uint8Array => new Uint8Array(size);

describe('Keccak-256', () => {
  it("is Ethereum's, not SHA-3, in Node and in the browser", async () => {
    const browser = await browserSuite();
    for (const [text, digest] of [
      ['', 'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'],
      ['abc', '4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45'],
    ] as const)
      for (const suite of [verifierSuite, browser])
        expect(Buffer.from(suite.keccak256(Buffer.from(text))).toString('hex')).to.equal(digest);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 700 }), (bytes) => {
        expect(browser.keccak256(bytes)).to.deep.equal(keccak256(bytes));
      }),
    );
  });
});

describe("a block's header", () => {
  it('of a real node is read, and its hash is the one that the node says', () => {
    const { receiptsRoot, number, timestamp } = readHeader(header);
    expect([hexlify(receiptsRoot), number, timestamp]).to.deep.equal([
      recorded.receiptsRoot,
      recorded.number,
      recorded.timestamp,
    ]);
    expect(hexlify(keccak256(header))).to.equal(recorded.hash);
  });

  /** The fields of a header, with some replaced. */
  const fields = (change: { [place: number]: RlpStructuredDataish } = {}): RlpStructuredDataish[] =>
    Array.from({ length: 15 }, (_, i) => change[i] ?? [zeros(32), '0x0c'][+(i === 8 || i === 11)]!);

  it('may have any number of fields after the first 15, as forks add them', async () => {
    for (const more of [0, 1, 2, 5, 6, 50]) {
      const { number } = readHeader(rlp([...fields(), ...Array<string>(more).fill('0x01')]));
      expect(number).to.equal(12);
    }
    expect((await refusal(() => readHeader(rlp(fields().slice(1)))))?.message).to.equal(
      'the header has fewer than 15 fields',
    );
  });

  it('has a root of 32 bytes, a number, a time that exists, and no lists inside', async () => {
    const says = async (change: { [place: number]: RlpStructuredDataish }): Promise<string | undefined> =>
      (await refusal(() => readHeader(rlp(fields(change)))))?.message;
    expect(await says({})).to.equal(undefined);
    expect(await says({ 5: zeros(31) })).to.equal("the receipts' root has not 32 bytes");
    expect(await says({ 8: '0x000c' })).to.equal("the block's number has a leading zero");
    expect(await says({ 8: zeros(32).fill(1) })).to.equal("the block's number is too large");
    expect(await says({ 11: '0x3afff4417f' })).to.equal(undefined);
    expect(await says({ 11: '0x3afff44180' })).to.equal("the block's time does not exist");
    expect(await says({ 3: [] })).to.equal('field 3 is not a string of bytes');
    expect((await refusal(() => readHeader(Uint8Array.of(0x80))))?.message).to.equal(
      'the header is not a list',
    );
  });

  it('is refused with every cut and every byte added', async () => {
    for (let size = 0; size < header.length; size++)
      expect(await code(() => readHeader(header.subarray(0, size)))).to.equal('RLP_MALFORMED');
    expect(await code(() => readHeader(Uint8Array.of(...header, 0)))).to.equal('RLP_MALFORMED');
  });
});

describe("a transaction's receipt", () => {
  it('of a real node is read, with and without a type', () => {
    const all = receipts.map(readReceipt);
    expect(new Set(receipts.map(([first]) => first! < 0x80))).to.deep.equal(new Set([true, false]));
    expect(all.flatMap(({ succeeded }, i) => (succeeded ? [] : [i]))).to.deep.equal([0, 1, 129, 132, 133]);
    expect(all.flatMap(({ logs }, i) => (logs.length ? [i] : []))).to.deep.equal([128, 130, 131]);
    const [anchor] = all[128]!.logs;
    expect([
      anchor!.address.length,
      hexlify(anchor!.topics[0]!),
      Number(hexlify(anchor!.topics[1]!)),
    ]).to.deep.equal([20, id('Anchored(uint256,bytes32)'), 7]);
    expect([anchor!.topics.length, anchor!.data.length]).to.deep.equal([3, 0]);
  });

  const receipt = (change: { [place: number]: RlpStructuredDataish } = {}): RlpStructuredDataish[] =>
    ['0x01', '0x5208', zeros(256), []].map((value, i) => change[i] ?? value);
  const log = (...topics: Uint8Array[]): RlpStructuredDataish => [zeros(20), topics, '0x'];
  const says = async (value: RlpStructuredDataish, type?: number): Promise<string | undefined> => {
    const body = rlp(value);
    const bytes = type === undefined ? body : Uint8Array.of(type, ...body);
    return (await refusal(() => readReceipt(bytes)))?.message;
  };

  it('has a status: 1 succeeded, 0 reverted, and nothing else', async () => {
    expect(readReceipt(rlp(receipt())).succeeded).to.equal(true);
    expect(readReceipt(rlp(receipt({ 0: '0x' }))).succeeded).to.equal(false);
    // Before Byzantium, a state root stood there.
    for (const status of ['0x00', '0x02', '0x0001', zeros(32)])
      expect(await says(receipt({ 0: status }))).to.equal('the receipt carries no status');
  });

  it('has a type below 128 or none', async () => {
    for (const type of [0, 1, 2, 3, 4, 0x7f]) expect(await says(receipt(), type)).to.equal(undefined);
    for (const type of [0x80, 0xb8, 0xc0, 0xff]) expect(await says(receipt(), type)).to.match(/\S/);
    expect((await refusal(() => readReceipt(zeros(0))))?.code).to.equal('RLP_MALFORMED');
    expect((await refusal(() => readReceipt(zeros(1))))?.code).to.equal('RLP_MALFORMED');
  });

  it('has four fields of their forms', async () => {
    expect(await says(receipt().slice(0, 3))).to.equal('the receipt has not 4 fields');
    expect(await says([...receipt(), '0x'])).to.equal('the receipt has not 4 fields');
    expect(await says(receipt({ 1: [] }))).to.equal('the gas is not a string of bytes');
    expect(await says(receipt({ 2: zeros(255) }))).to.equal('the bloom filter has not 256 bytes');
    expect(await says(receipt({ 3: '0x' }))).to.equal("the receipt's logs is not a list");
  });

  it('has logs of their forms', async () => {
    const word = zeros(32);
    expect(await says(receipt({ 3: [log(), log(word, word, word, word)] }))).to.equal(undefined);
    expect(await says(receipt({ 3: [log(word, word, word, word, word)] }))).to.equal(
      'a log has more than 4 topics',
    );
    expect(await says(receipt({ 3: [log(zeros(31))] }))).to.equal('a topic has not 32 bytes');
    expect(await says(receipt({ 3: [[zeros(19), [], '0x']] }))).to.equal("a log's address has not 20 bytes");
    expect(await says(receipt({ 3: [[zeros(20), []]] }))).to.equal('a log has not 3 fields');
    expect(await says(receipt({ 3: [[zeros(20), [], '0x', '0x']] }))).to.equal('a log has not 3 fields');
    expect(await says(receipt({ 3: [[zeros(20), [], []]] }))).to.equal(
      "a log's data is not a string of bytes",
    );
  });

  it('is refused with every cut and every byte added', async () => {
    const [anchor] = [receipts[128]!];
    for (let size = 0; size < anchor.length; size++)
      expect(await code(() => readReceipt(anchor.subarray(0, size)))).to.equal('RLP_MALFORMED');
    expect(await code(() => readReceipt(Uint8Array.of(...anchor, 0)))).to.equal('RLP_MALFORMED');
  });

  it('never ends in anything but a receipt or a refusal', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        await refusal(() => readReceipt(bytes));
        await refusal(() => readHeader(bytes));
      }),
    );
  });
});
