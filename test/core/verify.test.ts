import { expect } from 'chai';
import {
  at as keyOf,
  canonical,
  CHECKS,
  verify,
  type Bundle,
  type CheckId,
  type Log,
  type Reader,
  type Report,
  type Station,
  type Trust,
} from '@yaoji/chaincode/core';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { bundleOf, endorsers, TAKEN, trustOf } from '../support/bundles.ts';
import {
  before as upTo,
  changed,
  DEVICES,
  keyFrom,
  KEYS,
  ledgerAfter,
  reference,
  the,
  TOKEN,
  until,
} from '../support/consortium.ts';
import { handedOn, prescribed, collected, takenOn } from './rules/variants.ts';

const NOW = TAKEN + 60_000;
const trails = [KEYS.package, KEYS.fulfilment, KEYS.prescription];

interface Case {
  trust?: Partial<Trust>;
  token?: string | undefined;
  now?: number;
  nonce?: Uint8Array;
}
const report = async (bundle: unknown, { trust, now = NOW, ...rest }: Case = {}): Promise<Report> => {
  const token = 'token' in rest ? rest.token : TOKEN;
  return verify(bundle, {
    trust: await trustOf(trust),
    now,
    suite: verifierSuite,
    ...(token === undefined ? {} : { token }),
    ...(rest.nonce && { nonce: rest.nonce }),
  });
};
const outcome = ({ checks }: Report, id: CheckId): string => checks.find((check) => check.id === id)!.outcome;
const detail = ({ checks }: Report, id: CheckId): string => checks.find((check) => check.id === id)!.detail;
const outcomes = ({ checks }: Report): object =>
  Object.fromEntries(checks.map(({ id, outcome: what }) => [id, what]));
const failing = ({ checks }: Report): string[] =>
  checks.filter(({ outcome: what }) => what === 'failed').map(({ id }) => id);

const ALL_GOOD = {
  ...Object.fromEntries(CHECKS.map((id) => [id, 'passed'])),
  ordering: 'not-checked',
  anchor: 'not-checked',
};

describe('verify', function () {
  this.timeout(20_000);

  it('passes a good bundle, for every reader and every set of trails', async () => {
    const ledger = await ledgerAfter(reference());
    for (const reader of [
      'anyone',
      'patient',
      'centre',
      'hospital',
      'courier',
      'regulator',
    ] satisfies Reader[])
      for (const shown of [trails, trails.slice(0, 2), trails.toReversed()]) {
        const bundle = await bundleOf(ledger, {
          reader,
          trails: [KEYS.package, ...shown.filter((key) => key !== KEYS.package)],
        });
        const found = await report(bundle);
        expect([found.ok, outcomes(found)], JSON.stringify(found.checks)).to.deep.equal([true, ALL_GOOD]);
      }
  });

  it('fails the trail of a box without the trail of its fulfilment', async () => {
    const ledger = await ledgerAfter(reference());
    const found = await report(await bundleOf(ledger, { trails: [KEYS.package] }));
    expect(failing(found)).to.deep.equal(['trail']);
    expect(detail(found, 'trail')).to.contain("the trail of the box's fulfilment is missing");
  });

  it('passes it at every point of the way', async () => {
    for (let k = until('LABELLED').length; k <= reference().length; k++) {
      const ledger = await ledgerAfter(reference().slice(0, k));
      const found = await report(await bundleOf(ledger, { trails }));
      expect(found.ok, JSON.stringify(found.checks)).to.equal(true);
    }
  });

  it('passes other stories: several runs and boxes, a handover between couriers, a box fetched at the counter', async () => {
    const handed = await ledgerAfter([
      ...until('COURIER_ACCEPTED'),
      handedOn('2026-03-10T08:00Z'),
      takenOn('2026-03-10T08:01Z'),
      the('HUB_SCANNED'),
      the('OUT_FOR_DELIVERY', { by: 'other-phone' }),
    ]);
    const late = await report(await bundleOf(handed, { trails }));
    expect([late.ok, detail(late, 'rules')]).to.deep.equal([
      true,
      'every step was legal; noted: OUT_OF_PHASE',
    ]);
    const fetched = await ledgerAfter([
      ...prescribed(until('RELEASED'), { mode: 'SELF' }),
      collected('2026-03-10T06:00Z'),
    ]);
    expect((await report(await bundleOf(fetched, { trails }))).ok).to.equal(true);
    const two = ['box 1', 'box 2'].map((name) => ({ package: keyFrom(name), bags: 7 }));
    const boxes = await ledgerAfter([
      ...upTo('MIXED'),
      the('MIXED'),
      the('PACKED', { payload: { packages: two } }),
      the('LABELLED', { subject: keyFrom('box 1'), payload: { bags: 7 } }),
      the('LABELLED', {
        subject: keyFrom('box 2'),
        payload: { bags: 7, token: keyFrom('t').padEnd(43, 'A') },
      }),
      the('QC_DONE'),
    ]);
    const found = await report(
      await bundleOf(boxes, { trails: [keyFrom('box 1'), keyFrom('box 2'), KEYS.fulfilment] }),
    );
    expect(found.ok, JSON.stringify(found.checks)).to.equal(true);
  });

  it('passes the trail of a device, which begins with its registration and not with a record', async () => {
    const ledger = await ledgerAfter(reference());
    const found = await report(
      await bundleOf(ledger, { trails: [KEYS.package, KEYS.fulfilment, DEVICES[0]!] }),
    );
    expect(found.ok, JSON.stringify(found.checks)).to.equal(true);
  });

  it('names what was noted about accepted steps', async () => {
    const ledger = await ledgerAfter([
      ...until('HANDED_OVER'),
      the('COURIER_ACCEPTED', { later: 200, payload: { sealIntact: false } }),
    ]);
    const found = await report(await bundleOf(ledger, { trails }));
    expect(detail(found, 'rules')).to.equal('every step was legal; noted: HANDOVER_SLOW, SEAL_NOT_INTACT');
  });

  it('never says of a check that was not made that it passed', async () => {
    const bundle = await bundleOf(await ledgerAfter(reference()));
    const untold = await report(bundle, { token: undefined });
    expect([untold.ok, outcome(untold, 'box')]).to.deep.equal([true, 'not-checked']);
    const required = await report(bundle, { token: undefined, trust: { required: ['box'] } });
    expect([required.ok, outcome(required, 'box')]).to.deep.equal([false, 'failed']);
    for (const id of ['ordering', 'anchor'] as const) {
      const found = await report(bundle, { trust: { required: [id] } });
      expect([found.ok, outcome(found, id)]).to.deep.equal([false, 'failed']);
    }
  });

  it('makes the box required once a token is given', async () => {
    const bundle = await bundleOf(await ledgerAfter(reference()));
    const found = await report(bundle, { token: '0'.repeat(26), trust: { required: ['form'] } });
    expect([found.ok, failing(found)]).to.deep.equal([false, ['box']]);
  });

  it('says on the local ledger that one operator holds every key, and still finds what is wrong', async () => {
    const ledger = await ledgerAfter(reference());
    const required: CheckId[] = ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'];
    const trust = { development: true, required };
    const good = await report(await bundleOf(ledger), { trust });
    expect([good.ok, outcomes(good)]).to.deep.equal([
      true,
      { ...ALL_GOOD, endorsement: 'not-checked', fresh: 'not-checked' },
    ]);
    expect(detail(good, 'endorsement')).to.equal(
      '4 of 4 organisations signed, but one operator holds every key',
    );
    const all = await endorsers();
    const few = await report(await bundleOf(ledger, { endorsers: all.slice(0, 2) }), { trust });
    expect([few.ok, failing(few)]).to.deep.equal([false, ['endorsement']]);
    const old = await report(await bundleOf(ledger, { logsTaken: TAKEN - 1000 }), { trust });
    expect([old.ok, failing(old)]).to.deep.equal([false, ['fresh']]);
  });

  it('wants as many organisations as the trust says, for each view', async () => {
    const ledger = await ledgerAfter(reference());
    const all = await endorsers();
    const three = await report(await bundleOf(ledger, { endorsers: all.slice(1) }));
    expect([three.ok, detail(three, 'endorsement')]).to.deep.equal([true, '3 of 4 organisations signed']);
    const four = await report(await bundleOf(ledger, { endorsers: all.slice(1) }), {
      trust: { threshold: 4 },
    });
    expect([failing(four), detail(four, 'endorsement')]).to.deep.equal([
      ['endorsement'],
      '/views/heads: 3 trusted organisations signed, 4 are needed',
    ]);
    const logs = await report(await bundleOf(ledger, { logEndorsers: all.slice(2) }));
    expect([failing(logs), detail(logs, 'endorsement')]).to.deep.equal([
      ['endorsement'],
      '/views/logs: 2 trusted organisations signed, 3 are needed',
    ]);
  });

  it('holds the views to the trusted channel and chaincode', async () => {
    const ledger = await ledgerAfter(reference());
    for (const plan of [{ channel: 'other' }, { chaincode: 'other' }]) {
      const found = await report(await bundleOf(ledger, plan));
      expect([failing(found), detail(found, 'endorsement')]).to.deep.equal([
        ['endorsement'],
        '/views/heads: the view is of another channel or chaincode than the trusted one',
      ]);
    }
  });

  it('says how old the view is, and nothing about freshness after ten minutes', async () => {
    const bundle = await bundleOf(await ledgerAfter(reference()));
    expect(detail(await report(bundle), 'fresh')).to.equal('60 s old');
    const last = await report(bundle, { now: TAKEN + 600_000 });
    expect(outcome(last, 'fresh')).to.equal('passed');
    const old = await report(bundle, { now: TAKEN + 600_001 });
    expect([old.ok, outcome(old, 'fresh')]).to.deep.equal([false, 'failed']);
    const unasked = await report(bundle, { now: TAKEN + 600_001, trust: { required: ['form'] } });
    expect([unasked.ok, outcome(unasked, 'fresh')]).to.deep.equal([true, 'not-checked']);
    const future = await report(bundle, { now: TAKEN - 600_000 });
    expect(detail(future, 'fresh')).to.equal('/views/logs: the view comes from the future');
  });

  it('wants the view of the heads to carry the nonce that the reader asked with, if it asked with one', async () => {
    const bundle = await bundleOf(await ledgerAfter(reference()));
    const own = await report(bundle, { nonce: new Uint8Array(24).fill(1) });
    expect([own.ok, outcome(own, 'fresh'), detail(own, 'fresh')]).to.deep.equal([
      true,
      'passed',
      "60 s old, with the reader's nonce",
    ]);
    // The view of the logs has another, and it is not asked for.
    for (const nonce of [new Uint8Array(24).fill(2), new Uint8Array(24), new Uint8Array(23).fill(1)]) {
      const found = await report(bundle, { nonce });
      expect([found.ok, detail(found, 'fresh')]).to.deep.equal([
        false,
        "/views/heads: the view was not taken with the reader's nonce",
      ]);
    }
    // An old answer to somebody else has failed; it is not merely old.
    const later = { now: TAKEN + 3_600_000, trust: { required: ['form'] as CheckId[] } };
    expect(outcome(await report(bundle, { ...later, nonce: new Uint8Array(24) }), 'fresh')).to.equal(
      'failed',
    );
    const stale = await report(bundle, { ...later, nonce: new Uint8Array(24).fill(1) });
    expect(outcome(stale, 'fresh')).to.equal('not-checked');
  });

  it('says what a first sentence needs: when, how many of how many, and only what holds', async () => {
    const ledger = await ledgerAfter(reference());
    const { facts } = await report(await bundleOf(ledger));
    expect(facts).to.deep.equal({ taken: TAKEN, signed: 4, organisations: 4, threshold: 3 });
    const all = await endorsers();
    const three = await report(await bundleOf(ledger, { logEndorsers: all.slice(1) }));
    expect(three.facts).to.deep.equal({ taken: TAKEN, signed: 3, organisations: 4, threshold: 3 });
    const two = await report(await bundleOf(ledger, { endorsers: all.slice(2) }));
    expect(two.facts).to.deep.equal({ taken: TAKEN, organisations: 4, threshold: 3 });
    const development = await report(await bundleOf(ledger), { trust: { development: true } });
    expect(development.facts?.signed).to.equal(4);
    expect(await report({})).not.to.have.property('facts');
  });

  it('takes a station as it stood at the record, not as it stands now', async () => {
    const ledger = await ledgerAfter(until('HANDED_OVER'));
    const key = keyOf.station('packing');
    const { size } = ledger.get<Log>(keyOf.log('CentreMSP'))!;
    const at = (change: Partial<Station>): void =>
      void ledger.values.set(key, canonical({ ...ledger.get<Station>(key)!, ...change }));
    at({ revoked: size });
    expect((await report(await bundleOf(ledger))).ok).to.equal(true);
    at({ revoked: 10 });
    const revoked = await report(await bundleOf(ledger));
    expect([failing(revoked), detail(revoked, 'signatures')]).to.deep.equal([
      ['signatures'],
      '/trails/0/records/0: the station packing was not enrolled then',
    ]);
  });

  it('says nothing about rules of a set that it does not know', async () => {
    const bundle = structuredClone(await bundleOf(await ledgerAfter(reference())));
    (bundle.trails[0]!.records[0]!.record as { rules: string }).rules = 'national-2099.1';
    const found = await report(bundle);
    expect(detail(found, 'rules')).to.equal('the rule set national-2099.1 is not known here');
    expect(found.ok).to.equal(false);
  });

  it('finds a step that was not legal even where every signature is good', async () => {
    // What a colluding majority could do: the ledger took a step that its rules forbid.
    const ledger = await ledgerAfter(until('QC_DONE'));
    const bundle = await bundleOf(ledger, { trails: [KEYS.package, KEYS.fulfilment] });
    const full = await bundleOf(await ledgerAfter(until('HANDED_OVER')), {
      trails: [KEYS.package, KEYS.fulfilment],
    });
    // The handover is shown, but the fulfilment's trail ends before its release.
    const found = await report({ ...full, trails: [full.trails[0], bundle.trails[1]] });
    expect(failing(found)).to.include.members(['trail', 'rules']);
    expect(detail(found, 'rules')).to.match(/^\/trails\/0\/records\/1: HANDED_OVER: /);
  });

  it('never throws, whatever it is given', async () => {
    for (const bad of [
      undefined,
      null,
      0,
      '',
      'x',
      [],
      {},
      { mediaType: 'x' },
      { trails: [null] },
      { views: { heads: 1 } },
      () => 1,
    ]) {
      const found = await report(bad);
      expect([found.ok, found.checks.length, outcome(found, 'form')]).to.deep.equal([
        false,
        CHECKS.length,
        'failed',
      ]);
    }
  });

  it('gives every check a line, in one order', async () => {
    const found = await report((await bundleOf(await ledgerAfter(reference()))) satisfies Bundle);
    expect(found.checks.map(({ id }) => id)).to.deep.equal([...CHECKS]);
    for (const { detail: text } of found.checks) expect(text).to.match(/\S/);
  });
});

describe('replay', function () {
  this.timeout(20_000);

  it('orders records of one organisation by its log, and asks of others only that some state allows the step', async () => {
    // The fulfilment goes on after the box was labelled; the box's records still find the state that they were judged by.
    const ledger = await ledgerAfter(reference());
    const found = await report(await bundleOf(ledger, { trails }));
    expect(detail(found, 'rules')).to.equal('every step was legal');
    const late = changed(the('SAMPLE_RETAINED'), { time: '2026-03-11T00:00Z' });
    const longer = await ledgerAfter([...reference(), late]);
    expect((await report(await bundleOf(longer, { trails }))).ok).to.equal(true);
  });

  it('lets no two records have one place in a log, in whatever trails they stand', async () => {
    const bundle = structuredClone(await bundleOf(await ledgerAfter(reference()), { trails }));
    const record = bundle.trails[0]!.records[0]!.record as { index: number };
    record.index = (bundle.trails[1]!.records[20]!.record as { index: number }).index;
    expect(detail(await report(bundle), 'rules')).to.equal(
      '/trails/1/records/20: another record has this place in its log',
    );
  });

  it('does not take long over trails that are made to take long', async () => {
    const bundle = structuredClone(
      await bundleOf(await ledgerAfter(reference()), {
        trails: [KEYS.package, KEYS.fulfilment, DEVICES[0]!],
      }),
    );
    type Shown = { entry: { links?: string[]; step: string }; seq: number; index: number };
    const many = (from: { record: unknown }, first: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({
        record: { ...(from.record as Shown), seq: i, index: first + i },
        disclosures: [],
      }));
    const [, fulfilment, device] = bundle.trails;
    device!.records = many(device!.records[0]!, 10_000, 1000);
    const start = fulfilment!.records.find(
      ({ record }) => (record as Shown).entry.step === 'DECOCT_STARTED',
    )!;
    const at = fulfilment!.records.indexOf(start);
    fulfilment!.records.splice(at + 1, 0, ...many(start, 20_000, 900));
    const began = performance.now();
    const found = await report(bundle);
    expect(found.ok).to.equal(false);
    expect(performance.now() - began).to.be.lessThan(5000);
  });
});
