import { readFileSync } from 'node:fs';
import { common } from '@hyperledger/fabric-protos';
import { readBlock, writesOf } from '@yaoji/api/ledger/blocks';
import { readBatch } from '@yaoji/api/ledger/submit';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  append,
  at as keyOf,
  checkView,
  DEFAULT_RULE_SET,
  EMPTY,
  fromUtf8,
  leafHash,
  parseCheckpoint,
  parseEntry,
  printMinute,
  readView,
  recordBytes,
  root,
  toBase64url,
  versionOf,
  type Log,
} from '@yaoji/chaincode/core';
import { expect } from 'chai';
import { headerBytes, quorumOf, readConsenters, sha256, signersOf } from '../../support/blocks.ts';
import { present } from '../../support/fabric-messages.ts';

// Blocks of a real network (BFT, v3.1.5): the first, one with a batch of which an entry was refused, and its successor, with two
// batches that follow the same, of which one was overtaken; and a view taken after them. As a peer gave them; there are no
// keys in them.

const FOLDER = new URL('../../../vectors/fabric-network/blocks/', import.meta.url);
const ORG = 'HospitalMSP';

interface Index {
  readonly chaincode: string;
  readonly sha256: Readonly<Record<string, string>>;
  readonly batch: { readonly block: number; readonly txId: string };
  readonly overtaken: {
    readonly block: number;
    readonly txIds: readonly string[];
    readonly codes: readonly number[];
  };
  readonly prescription: string;
  readonly organisations: readonly { readonly mspId: string; readonly ca: string }[];
}

const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(name, FOLDER)));
const index = JSON.parse(readFileSync(new URL('index.json', FOLDER), 'utf8')) as Index;
const blockAt = (number: number): common.Block => common.Block.deserializeBinary(bytesOf(`${number}.block`));

describe('recorded blocks of a real Fabric network', () => {
  const first = blockAt(index.batch.block);
  const next = blockAt(index.overtaken.block);

  it('are the bytes that were recorded', () => {
    for (const [name, hash] of Object.entries(index.sha256))
      expect(sha256(bytesOf(name)).toString('hex'), name).to.equal(hash);
  });

  it('give the valid transactions of the contract, and leave out the overtaken one', () => {
    const { chaincode, batch, overtaken } = index;
    const ids = (block: common.Block): string[] =>
      readBlock(block, chaincode).transactions.map(({ txId }) => txId);
    expect(ids(first)).to.deep.equal([batch.txId]);
    expect(overtaken.codes.toSorted((a, b) => a - b)).to.deep.equal([0, 11]);
    expect(ids(next)).to.deep.equal([overtaken.txIds[overtaken.codes.indexOf(0)]]);
    expect(ids(blockAt(0))).to.deep.equal([]);
    expect(readBlock(first, 'another').transactions).to.deep.equal([]);
  });

  it('give a batch whose answer and writes are what anybody can make of its lines', () => {
    const { envelope } = readBlock(first, index.chaincode).transactions[0]!;
    const { after, at, lines, answer } = readBatch(envelope);
    expect(after).to.equal(0);
    if (answer.stale !== undefined) throw new Error('stale');
    expect(answer.refused).to.deep.equal([{ code: 'SUBJECT_EXISTS', i: 2 }]);
    let prev = '';
    let log = EMPTY;
    for (const entry of lines.filter((_, i) => i !== 2).map(parseEntry)) {
      const place = { seq: log.size + 1, prev, index: log.size };
      const record = { entry, ...place, at: printMinute(at), rules: DEFAULT_RULE_SET };
      const leaf = leafHash(recordBytes(record), nodeSuite.sha256);
      log = append(log, leaf, nodeSuite.sha256);
      prev = toBase64url(leaf);
    }
    const made = toBase64url(root(log, nodeSuite.sha256));
    expect(toBase64url(parseCheckpoint(answer.checkpoint).root)).to.equal(made);
    const writes = new Map(writesOf(envelope, index.chaincode));
    expect([...writes.keys()].toSorted()).to.deep.equal(
      [keyOf.log(ORG), keyOf.subject(index.prescription), keyOf.window('connector')].toSorted(),
    );
    expect(JSON.parse(writes.get(keyOf.log(ORG))!) as Log).to.include({ batch: 1, size: 3, root: made });
    expect(JSON.parse(writes.get(keyOf.subject(index.prescription))!)).to.include({ seq: 3, head: prev });
  });

  it('hold together: each has the hash of its transactions, and of the block before it', () => {
    const header = (block: common.Block): common.BlockHeader => present(block.getHeader());
    for (const block of [first, next])
      expect(
        sha256(...present(block.getData()).getDataList_asU8()).equals(header(block).getDataHash_asU8()),
      ).to.equal(true);
    expect(
      sha256(headerBytes(header(first))).equals(Buffer.from(header(next).getPreviousHash_asU8())),
    ).to.equal(true);
  });

  it('are signed by a quorum of the orderers that the first names, and not once a bit of them is changed', () => {
    const consenters = readConsenters(blockAt(0));
    expect([consenters.size, quorumOf(consenters.size)]).to.deep.equal([4, 3]);
    for (const block of [first, next]) {
      expect(signersOf(block, consenters).size).to.be.at.least(3);
      const changed = block.clone();
      const hash = Buffer.from(present(changed.getHeader()).getDataHash_asU8());
      hash[0]! ^= 1;
      changed.getHeader()!.setDataHash(hash);
      expect(signersOf(changed, consenters).size).to.equal(0);
    }
  });

  it('stand behind the view that all four organisations signed: it names the block that each value comes from', async () => {
    const view = readView(bytesOf('view.payload'));
    const cas = new Map(index.organisations.map(({ mspId, ca }) => [mspId, ca]));
    const { organisations, unknown } = await checkView(view, cas, nodeSuite);
    expect([organisations.toSorted(), unknown]).to.deep.equal([[...cas.keys()].toSorted(), []]);
    const version = (key: string) => versionOf(view, index.chaincode, key);
    expect(version(keyOf.subject(index.prescription))).to.deep.equal({ block: index.batch.block, tx: 0 });
    const tx = present(next.getData())
      .getDataList_asU8()
      .findIndex((_, i) => codeOf(next, i) === 0);
    expect(version(keyOf.log(ORG))).to.deep.equal({ block: index.overtaken.block, tx });
    const shown = JSON.parse(fromUtf8(view.payload)) as Record<string, Log>;
    expect(shown[keyOf.log(ORG)]).to.include({ batch: 2, size: 4 });
  });
});

const codeOf = (block: common.Block, i: number): number | undefined =>
  block.getMetadata()?.getMetadataList_asU8()[common.BlockMetadataIndex.TRANSACTIONS_FILTER]?.[i];
