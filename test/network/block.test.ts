import { readFileSync } from 'node:fs';

import { common } from '@hyperledger/fabric-protos';
import { blockParts, dataHash, headerBytes, quorum } from '@yaoji/network/local/block';
import { readJudged } from '@yaoji/network/local/validation';
import { expect } from 'chai';

// Recorded from a Fabric v3.1.5 network.
const VECTORS = new URL('../../vectors/fabric-3.1.5/', import.meta.url);

describe('Block bytes', () => {
  const block = common.Block.deserializeBinary(readFileSync(new URL('10.block', VECTORS)));
  const { header, envelopes } = blockParts(block);

  it("are Fabric's for a recorded block's header", () => {
    const index = readFileSync(new URL('index.json', VECTORS), 'utf8');
    expect(index).to.include(`"${headerBytes(header).toString('hex')}"`);
  });

  it("hash to Fabric's for a recorded block's envelopes", () => {
    expect(dataHash(envelopes).equals(header.getDataHash_asU8())).to.equal(true);
  });

  it('are read as Fabric wrote them', () => {
    const [envelope = new Uint8Array()] = envelopes;
    const { txId, sets } = readJudged(envelope, 0);
    expect(txId).to.match(/^[0-9a-f]{64}$/);
    expect(sets.map(({ namespace }) => namespace)).to.deep.equal(['_lifecycle', 'yaoji']);
  });

  it('encode numbers as DER does', () => {
    const encoded = [0, 127, 128, 255, 256, 65_536].map((number) => {
      const sample = new common.BlockHeader();
      sample.setNumber(number);
      return headerBytes(sample).toString('hex');
    });
    const expected = ['020100', '02017f', '02020080', '020200ff', '02020100', '0203010000'];
    for (const [index, integer] of expected.entries())
      expect(encoded[index]?.slice(4)).to.equal(`${integer}04000400`);
  });

  it('need a quorum that f lying orderers cannot make', () => {
    expect([1, 4, 5, 7, 10].map(quorum)).to.deep.equal([1, 3, 4, 5, 7]);
  });
});
