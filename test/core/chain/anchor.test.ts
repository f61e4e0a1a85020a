import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { RlpStructuredDataish } from 'ethers';
import {
  anchorRoot,
  at as keyOf,
  canonical,
  checkpointsOf,
  fromBase64url,
  fromUtf8,
  leafHash,
  printCheckpoint,
  readBundle,
  readView,
  rootFromInclusion,
  toBase64url,
  toTrust,
  utf8,
  verify,
  type Asked,
  type Bundle,
  type Facts,
  type KnownBlock,
  type Report,
  type Trust,
} from '@yaoji/chaincode/core';
import { checkAnchor } from '@yaoji/chaincode/core/chain/anchor';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { ANCHORED, CHAIN, CONTRACT, evidenceOf, withAnchor } from '../../support/anchors.ts';
import {
  anchored,
  anchoredView,
  bundleOf,
  endorsers,
  TAKEN,
  trustOf,
  type AnchorPlan,
} from '../../support/bundles.ts';
import { KEYS, ledgerAfter, reference, TOKEN, until, type TestLedger } from '../../support/consortium.ts';
import { refusal } from '../fabric/refusal.ts';

const { sha256 } = verifierSuite;
const hashOf = (seed: number): string => toBase64url(new Uint8Array(32).fill(seed));
const log = (size: number, seed = size): object => ({ batch: 1, size, root: hashOf(seed), frontier: [] });

describe('the root of a set of checkpoints', () => {
  const values = new Map<string, unknown>([
    ['log~b', log(3)],
    ['log~a', log(2)],
    ['member~a', { kind: 'hospital' }],
    ['log~c', undefined],
    ['log~Z', log(1)],
  ]);

  it('is of the logs that there are, sorted by their origins as UTF-16 has them', () => {
    const found = checkpointsOf(values, 'channel');
    expect(found.map(({ origin, size }) => [origin, size])).to.deep.equal([
      ['channel/Z', 1],
      ['channel/a', 2],
      ['channel/b', 3],
    ]);
    const reversed = new Map([...values].toReversed());
    expect(checkpointsOf(reversed, 'channel')).to.deep.equal(found);
  });

  it('lets one checkpoint be shown without the others', () => {
    const found = checkpointsOf(values, 'channel');
    const leaves = found.map((checkpoint) => leafHash(utf8(printCheckpoint(checkpoint)), sha256));
    const node = (a: Uint8Array, b: Uint8Array): Uint8Array => sha256(Uint8Array.of(1, ...a, ...b));
    const root = anchorRoot(found, sha256);
    expect(root).to.deep.equal(node(node(leaves[0]!, leaves[1]!), leaves[2]!));
    expect(rootFromInclusion(leaves[1]!, 1, 3, [leaves[0]!, leaves[2]!], sha256)).to.deep.equal(root);
  });

  it('changes with every size, root, organisation and channel', () => {
    const rootOf = (change: object = {}, channel = 'channel'): string =>
      toBase64url(anchorRoot(checkpointsOf(new Map(Object.entries(change)), channel), sha256));
    const roots = [
      rootOf({ 'log~a': log(2) }),
      rootOf({ 'log~a': log(2) }, 'other'),
      rootOf({ 'log~a': log(3, 2) }),
      rootOf({ 'log~a': log(2, 3) }),
      rootOf({ 'log~b': log(2) }),
      rootOf({ 'log~a': log(2), 'log~b': log(2) }),
      rootOf(),
    ];
    expect(new Set(roots).size).to.equal(roots.length);
  });

  it('is not made of what is no log', async () => {
    for (const bad of [
      null,
      1,
      'x',
      [],
      {},
      { size: 1 },
      { size: -1, root: hashOf(1) },
      { size: 1, root: 'AA' },
    ])
      expect((await refusal(() => checkpointsOf(new Map([['log~a', bad]]), 'c')))?.code).to.equal(
        'VIEW_MALFORMED',
      );
    // An organisation of two lines would be two lines of its checkpoint.
    for (const org of ['a\n7\nAA', 'a\n'])
      expect((await refusal(() => checkpointsOf(new Map([[`log~${org}`, log(1)]]), 'c')))?.code).to.equal(
        'VIEW_MALFORMED',
      );
  });
});

describe('the check of an anchor', function () {
  this.timeout(20_000);

  const NOW = TAKEN + 60_000;
  let now: TestLedger;
  let older: TestLedger;
  let block: KnownBlock;
  let bundle: Bundle;

  const make = (plan: Partial<AnchorPlan> = {}) =>
    bundleOf(now).then((plain) => anchored(plain, { ledger: older, ...plan }));
  const trusting = async (anchor?: Partial<NonNullable<Trust['anchor']>>, trust: Partial<Trust> = {}) =>
    toTrust({
      ...(await trustOf(trust)),
      anchor: { chain: CHAIN, contract: CONTRACT, development: false, blocks: [block], ...anchor },
    });
  const report = async (value: unknown, asked: Partial<Asked> = {}): Promise<Report> =>
    verify(JSON.parse(JSON.stringify(value)), {
      trust: await trusting(),
      token: TOKEN,
      now: NOW,
      suite: verifierSuite,
      ...asked,
    });
  const says = ({ checks }: Report, id = 'anchor'): [string, string] => {
    const { outcome, detail } = checks.find((check) => check.id === id)!;
    return [outcome, detail];
  };

  before(async () => {
    now = await ledgerAfter(reference());
    older = await ledgerAfter(until('COURIER_ACCEPTED'));
    ({ bundle, block } = await make());
  });

  it('passes against a header that the reader knows, and says since when and which records came after it', async () => {
    const found = await report(bundle);
    expect([found.ok, ...says(found)]).to.deep.equal([
      true,
      'passed',
      `public since ${new Date(TAKEN - 19 * 60_000).toISOString().slice(0, 16)}Z in block 1207 of eip155:1; ` +
        '5 records came after it: from /trails/0/records/3 on',
    ]);
    expect(found.facts).to.deep.equal({
      taken: TAKEN,
      signed: 4,
      organisations: 4,
      threshold: 3,
      anchor: {
        chain: CHAIN,
        contract: CONTRACT,
        seq: 1,
        block: 1207,
        hash: block.hash,
        time: Math.floor((TAKEN - 19 * 60_000) / 1000) * 1000,
        later: 5,
      },
    } satisfies Facts);
  });

  it('says nothing of later records where there are none', async () => {
    const whole = await make({ ledger: now });
    block = whole.block;
    const found = await report(whole.bundle);
    expect(says(found)[1]).to.match(/^public since \S+ in block 1207 of eip155:1$/);
    expect(found.facts?.anchor?.later).to.equal(0);
  });

  it('passes at any place of a block of any size, and for every form of receipt', async () => {
    for (const plan of [
      { transactions: 1, index: 0 },
      { transactions: 2, index: 1, type: 0 },
      { transactions: 17, index: 16 },
      { transactions: 129, index: 128, type: 3 },
      { transactions: 300, index: 255, fields: 15 },
      { transactions: 300, index: 256, fields: 16, number: 0 },
    ]) {
      const made = await make(plan);
      block = made.block;
      expect(says(await report(made.bundle))[0], JSON.stringify(plan)).to.equal('passed');
    }
  });

  it('is not made where nothing is anchored yet', async () => {
    const found = await report(await bundleOf(now));
    expect([found.ok, ...says(found)]).to.deep.equal([true, 'not-checked', 'nothing is anchored yet']);
    expect(found.facts).not.to.have.property('anchor');
  });

  it('names what is to be looked up when the reader brings no hash for the block', async () => {
    const made = await make();
    block = made.block;
    const trust = await trusting({ blocks: [] });
    const hint = `to be looked up: whether block 1207 of eip155:1 has the hash ${block.hash}`;
    for (const blocks of [undefined, [], [{ ...block, number: 1206 }]]) {
      const found = await report(made.bundle, { trust, ...(blocks && { blocks }) });
      expect([found.ok, ...says(found)]).to.deep.equal([true, 'not-checked', hint]);
      // What to look up is in the facts as well.
      expect(found.facts?.anchor?.hash).to.equal(block.hash);
    }
    const typed = [{ number: 1207, hash: block.hash.toUpperCase().replace('0X', '0x') }];
    expect(says(await report(made.bundle, { trust, blocks: typed }))[0]).to.equal('passed');
  });

  it('fails against another hash of the block, whoever brings it', async () => {
    const made = await make();
    block = made.block;
    const other = { ...block, hash: `0x${'0'.repeat(64)}` };
    const foreign = [
      'failed',
      '/anchor/header: a foreign header: the known block 1207 of eip155:1 has another hash',
    ];
    expect(says(await report(made.bundle, { blocks: [other] }))).to.deep.equal(foreign);
    const trust = await trusting({ blocks: [other, block] });
    expect(says(await report(made.bundle, { trust }))).to.deep.equal(foreign);
  });

  it('is not made without a trusted chain, and fails on another one or another contract', async () => {
    const made = await make();
    block = made.block;
    expect(says(await report(made.bundle, { trust: await trustOf() }))).to.deep.equal([
      'not-checked',
      'the trust file names no chain',
    ]);
    const chain = await report(made.bundle, { trust: await trusting({ chain: 'eip155:5' }) });
    expect(says(chain)).to.deep.equal(['failed', '/anchor/chain: eip155:1 is not the trusted eip155:5']);
    const contract = `0x${'1'.repeat(40)}`;
    const elsewhere = await report(made.bundle, { trust: await trusting({ contract }) });
    expect(says(elsewhere)).to.deep.equal([
      'failed',
      `/anchor/contract: ${CONTRACT} is not the trusted ${contract}`,
    ]);
  });

  it('is not made on a chain that one operator runs, and still fails there', async () => {
    const made = await make();
    block = made.block;
    const trust = await trusting({ development: true });
    const [outcome, detail] = says(await report(made.bundle, { trust }));
    expect([outcome, detail.endsWith(', but one operator runs this chain')]).to.deep.equal([
      'not-checked',
      true,
    ]);
    const wrong = await make({ root: new Uint8Array(32).fill(7) });
    expect(says(await report(wrong.bundle, { trust }))[0]).to.equal('failed');
  });

  it('looks at all of the evidence even where no chain is trusted', async () => {
    const trust = await trustOf();
    const cases: [Partial<AnchorPlan>, string][] = [
      [{ root: new Uint8Array(32).fill(7) }, '/anchor/view: the chain holds the root of other checkpoints'],
      [{ reverted: true }, '/anchor/receipt: the transaction was reverted'],
      [
        { channel: 'other' },
        '/anchor/view: the view is of another channel or chaincode than the view of the logs',
      ],
      [
        { chaincode: 'other' },
        '/anchor/view: the view is of another channel or chaincode than the view of the logs',
      ],
      [{ taken: TAKEN + 1001 }, '/anchor/view: the view is newer than the view of the logs'],
      [{ fields: 14 }, '/anchor/header: the header has fewer than 15 fields'],
    ];
    for (const [plan, detail] of cases) {
      const found = await report((await make(plan)).bundle, { trust });
      expect(says(found)).to.deep.equal(['failed', detail]);
      expect(found.facts).not.to.have.property('anchor');
    }
  });

  it('takes the evidence for what the bundle says of it, and not for more', async () => {
    const { anchor } = (await make()).bundle;
    const other = evidenceOf(new Uint8Array(32), { contract: `0x${'a'.repeat(40)}`, seq: 9 });
    for (const [change, place] of [
      [{ contract: other.contract }, '/anchor/contract'],
      [{ seq: 2 }, '/anchor/seq'],
      [{ seq: Number.MAX_SAFE_INTEGER }, '/anchor/seq'],
      [{ header: other.header }, '/anchor/receipt/proof/0'],
      [{ receipt: other.receipt }, '/anchor/receipt/proof/0'],
      [{ header: other.header, receipt: other.receipt }, '/anchor/contract'],
    ] as const) {
      const found = await report({ ...bundle, anchor: { ...anchor!, ...change } });
      expect(says(found)[1].split(':')[0]).to.equal(place);
    }
  });

  it('takes only the event of the contract, wherever it stands among others', async () => {
    const { anchor } = (await make()).bundle;
    const values = new Map(
      Object.entries(JSON.parse(fromUtf8(readView(fromBase64url(anchor!.view)).payload)) as object),
    );
    const root = anchorRoot(checkpointsOf(values, 'test'), sha256);
    const one = `0x${'1'.padStart(64, '0')}`;
    const own = [CONTRACT, [ANCHORED, one, root], '0x'];
    const foreign = [`0x${'a'.repeat(40)}`, [ANCHORED, one, new Uint8Array(32)], '0x'];
    const next = [CONTRACT, [ANCHORED, `0x${'2'.padStart(64, '0')}`, new Uint8Array(32)], '0x'];
    const found = async (...logs: RlpStructuredDataish[]): Promise<string> => {
      const made = await make({ logs });
      block = made.block;
      const [outcome, detail] = says(await report(made.bundle));
      return outcome === 'failed' ? detail.split(':')[0]! : outcome;
    };
    expect(await found(own)).to.equal('passed');
    expect(await found(foreign, next, own)).to.equal('passed');
    expect(await found(own, next)).to.equal('passed');
    expect(await found()).to.equal('/anchor/contract');
    expect(await found(foreign)).to.equal('/anchor/contract');
    expect(await found([CONTRACT, [root, one, root], '0x'])).to.equal('/anchor/contract');
    expect(await found([CONTRACT, [ANCHORED, one], root])).to.equal('/anchor/contract');
    expect(await found([CONTRACT, [ANCHORED, one, root, root], '0x'])).to.equal('/anchor/contract');
    expect(await found([CONTRACT, [ANCHORED, one, root], '0x00'])).to.equal('/anchor/contract');
    expect(await found([CONTRACT, [ANCHORED, root, one], '0x'])).to.equal('/anchor/seq');
    expect(await found(foreign, next)).to.equal('/anchor/seq');
    expect(await found([CONTRACT, [ANCHORED, one, one], '0x'])).to.equal('/anchor/view');
  });

  it('shows nothing of a box none of whose records was anchored', async () => {
    const made = await make({ ledger: await ledgerAfter(until('MIXED')) });
    block = made.block;
    const found = await report(made.bundle);
    expect([found.ok, ...says(found)]).to.deep.equal([
      true,
      'not-checked',
      'no record of the box is anchored yet',
    ]);
    expect(made.bundle.anchor!.trails[0]).to.deep.equal({ records: 0, inclusion: [] });
    const claimed = structuredClone(made.bundle);
    claimed.anchor!.trails[0]!.inclusion.push(hashOf(1));
    expect(says(await report(claimed))).to.deep.equal([
      'failed',
      '/anchor/trails/0/inclusion: nothing is there to be proven',
    ]);
  });

  it('wants a view that shows fewer logs to claim fewer records', async () => {
    // The courier had not joined when the view was taken.
    const made = await make({ organisations: ['HospitalMSP', 'CentreMSP'] });
    block = made.block;
    expect(made.bundle.anchor!.trails[0]!.records).to.equal(2);
    expect(says(await report(made.bundle))[0]).to.equal('passed');
  });

  it('never has a log larger than it is viewed, nor with two roots at one size', async () => {
    const key = keyOf.log('CentreMSP');
    const as = async (change: object): Promise<[string, string]> => {
      const forked = older.fork();
      forked.values.set(key, canonical({ ...forked.get<object>(key), ...change }));
      const view = await anchoredView({ ledger: forked });
      return says(await report(withAnchor(await bundleOf(now), view, () => []).bundle));
    };
    const { size } = now.get<{ size: number }>(key)!;
    expect(await as({ size: size + 1 })).to.deep.equal([
      'failed',
      '/anchor/view: the log of test/CentreMSP was larger than it is now viewed',
    ]);
    expect(await as({ size, root: hashOf(1) })).to.deep.equal([
      'failed',
      '/anchor/view: the log of test/CentreMSP had another root at the size at which it is viewed',
    ]);
  });

  it('finds an anchored log that holds a later record without an earlier one', async () => {
    // The centre's log as it was before the box, the courier's as it is: no ledger ever stood like that.
    const forked = older.fork();
    const key = keyOf.log('CentreMSP');
    forked.values.set(key, (await ledgerAfter(until('MIXED'))).values.get(key)!);
    const found = await report((await make({ ledger: forked })).bundle);
    expect(says(found)).to.deep.equal([
      'failed',
      '/anchor/trails/0/records: the anchored logs hold a later record without an earlier one',
    ]);
  });

  it('leaves it to the check of endorsement who signed the anchored view', async () => {
    const all = await endorsers();
    const made = await make({ endorsers: all.slice(0, 2) });
    block = made.block;
    const found = await report(made.bundle);
    expect(says(found, 'endorsement')).to.deep.equal([
      'failed',
      '/anchor/view: 2 trusted organisations signed, 3 are needed',
    ]);
    expect(says(found)[0]).to.equal('passed');
    expect(found.facts).not.to.have.property('signed');
    const three = await report((await make({ endorsers: all.slice(1) })).bundle);
    expect(three.facts?.signed).to.equal(3);
  });

  it('has failed where it is required and could not be made', async () => {
    const made = await make();
    block = made.block;
    const trust = await trusting({}, { required: ['anchor'] });
    expect((await report(made.bundle, { trust })).ok).to.equal(true);
    const unknown = await trusting({ blocks: [] }, { required: ['anchor'] });
    expect((await report(made.bundle, { trust: unknown })).ok).to.equal(false);
    expect((await report(await bundleOf(now), { trust })).ok).to.equal(false);
  });

  it('carries an anchor for every reader and set of trails', async () => {
    for (const trails of [
      [KEYS.package, KEYS.fulfilment, KEYS.prescription],
      [KEYS.package, KEYS.prescription, KEYS.fulfilment],
    ]) {
      const made = await anchored(await bundleOf(now, { trails, reader: 'regulator' }), { ledger: older });
      block = made.block;
      expect(says(await report(made.bundle))[0]).to.equal('passed');
    }
  });
});

describe('the recorded evidence of an anchor', function () {
  this.timeout(60_000);

  // Of a block of 140 transactions that anvil 1.7.1 made.
  const good = JSON.parse(
    readFileSync(new URL('../../../vectors/anchor/good/bundle.json', import.meta.url), 'utf8'),
  ) as Bundle;
  const read = readBundle(good);
  const anchor = read.anchor!;
  const { hash } = checkAnchor(anchor, read, verifierSuite);

  /** Every byte with one bit changed, and every cut. */
  function* changes(bytes: Uint8Array): Generator<Uint8Array> {
    for (let i = 0; i < bytes.length; i++) {
      const changed = Uint8Array.from(bytes);
      changed[i]! ^= 1 << (i % 8);
      yield changed;
      yield bytes.subarray(0, i);
    }
  }

  it('holds for no other header', async () => {
    for (const header of changes(anchor.header)) {
      let found: string | undefined;
      const refused = await refusal(() => {
        found = checkAnchor({ ...anchor, header }, read, verifierSuite).hash;
      });
      expect(refused === undefined ? found !== hash : refused.place.startsWith('/anchor/')).to.equal(true);
    }
  });

  it('holds for no other node of the proof', async () => {
    const { index, proof } = anchor.receipt;
    for (const [i, node] of proof.entries())
      for (const changed of changes(node)) {
        const receipt = { index, proof: proof.with(i, changed) };
        const refused = await refusal(() => checkAnchor({ ...anchor, receipt }, read, verifierSuite));
        expect(refused?.place).to.equal(`/anchor/receipt/proof/${i}`);
      }
  });

  it('holds for no other place in the block', async () => {
    for (const index of [0, 1, 127, 129, 130, 255, 256, 0xffff_ffff]) {
      const receipt = { ...anchor.receipt, index };
      const refused = await refusal(() => checkAnchor({ ...anchor, receipt }, read, verifierSuite));
      expect(refused?.place).to.match(/^\/anchor\/receipt\/proof/);
    }
  });

  it('holds for no other inclusion', async () => {
    for (const [t, { inclusion }] of anchor.trails.entries())
      for (const [k, element] of inclusion.entries())
        for (const changed of changes(element)) {
          const trails = structuredClone(anchor.trails);
          trails[t]!.inclusion[k] = changed;
          const refused = await refusal(() => checkAnchor({ ...anchor, trails }, read, verifierSuite));
          expect(refused?.place).to.equal(`/anchor/trails/${t}/inclusion`);
        }
  });
});
