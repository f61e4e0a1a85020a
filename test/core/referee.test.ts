import { expect } from 'chai';
import {
  at as keyOf,
  canonical,
  keysOf,
  leafHash,
  MAX_BATCH,
  MAX_ENTRY,
  parseCheckpoint,
  parseMinute,
  readLines,
  recordBytes,
  refereeBatch,
  toBase64url,
  WINDOW,
  type Entry,
  type Log,
  type Station,
  type Subject,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  changed,
  CHANNEL,
  given,
  keyFrom,
  ledgerAfter,
  reference,
  signed,
  STATIONS,
  the,
  TestLedger,
  until,
  type Act,
} from '../support/consortium.ts';

const CENTRE = 'CentreMSP';
const minuteOf = (act: Act): number => parseMinute(act.statement.time);
const lineOf = (ledger: TestLedger, act: Act): string => canonical(ledger.entryOf(act).entry);
const logOf = (ledger: TestLedger, org: string): Log =>
  ledger.get<Log>(keyOf.log(org)) ?? { batch: 0, size: 0, root: '', frontier: [] };

describe('the referee', () => {
  it("writes nothing and says the last number when a batch does not follow the log's last", async () => {
    const ledger = await ledgerAfter(until('SOAK_ENDED'));
    const { batch } = logOf(ledger, CENTRE);
    for (const after of [batch - 1, batch + 1, 0]) {
      const values = new Map(ledger.values);
      const outcome = await ledger.submit(
        CENTRE,
        [lineOf(ledger, the('DECOCT_STARTED'))],
        minuteOf(the('DECOCT_STARTED')),
        after,
      );
      expect(outcome).to.deep.equal({ answer: { stale: batch }, verdicts: [], writes: [] });
      expect(ledger.values).to.deep.equal(values);
    }
  });

  it('gives accepted entries their places in trail and log, and the refused none', async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const before = logOf(ledger, CENTRE);
    const acts = [the('HERBS_DISPENSED'), the('SOAK_STARTED'), the('HERBS_CHECKED')];
    const lines = acts.map((act) => lineOf(ledger, act));
    const { answer, verdicts } = await ledger.submit(CENTRE, lines, minuteOf(acts[2]!));
    expect(verdicts.map((verdict) => verdict.refused ?? verdict.accepted?.index)).to.deep.equal([
      before.size,
      'STEP_NOT_LEGAL',
      before.size + 1,
    ]);
    const [first, , third] = verdicts;
    expect([first!.accepted!.seq, third!.accepted!.seq]).to.deep.equal([2, 3]);
    expect(third!.accepted!.prev).to.equal(
      toBase64url(leafHash(recordBytes(first!.accepted!), nodeSuite.sha256)),
    );
    expect(ledger.get<Subject>(keyOf.subject(acts[0]!.statement.subject))).to.include({
      seq: 3,
      head: toBase64url(leafHash(recordBytes(third!.accepted!), nodeSuite.sha256)),
    });
    const log = logOf(ledger, CENTRE);
    expect(log).to.include({ batch: before.batch + 1, size: before.size + 2 });
    if (answer.stale !== undefined) throw new Error('stale');
    expect(answer.refused).to.deep.equal([{ i: 1, code: 'STEP_NOT_LEGAL' }]);
    const checkpoint = parseCheckpoint(answer.checkpoint);
    expect([checkpoint.origin, checkpoint.size, toBase64url(checkpoint.root)]).to.deep.equal([
      `${CHANNEL}/${CENTRE}`,
      log.size,
      log.root,
    ]);
  });

  it('never fails a batch for one bad entry', async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const good = ledger.entryOf(the('HERBS_DISPENSED')).entry;
    const line = canonical(good);
    const bad: [line: string, code: string][] = [
      ['', 'ENTRY_MALFORMED'],
      ['{}', 'ENTRY_MALFORMED'],
      ['null', 'ENTRY_MALFORMED'],
      ['\ud800', 'ENTRY_MALFORMED'],
      [line.replace('{', '{ '), 'ENTRY_MALFORMED'],
      ['['.repeat(10_000), 'ENTRY_MALFORMED'],
      [`"${'x'.repeat(MAX_ENTRY)}"`, 'ENTRY_MALFORMED'],
      [canonical({ ...good, sig: toBase64url(new Uint8Array(64)) }), 'SIGNATURE_BAD'],
      [canonical({ ...good, n: good.n + 1 }), 'SIGNATURE_BAD'],
      [canonical({ ...good, station: 'nobody' }), 'STATION_UNKNOWN'],
      [canonical({ ...good, org: 'OtherCentreMSP' }), 'STATION_FOREIGN'],
      [canonical({ ...good, site: 'elsewhere' }), 'STATION_FOREIGN'],
    ];
    const { verdicts } = await ledger.submit(
      CENTRE,
      [...bad.map(([text]) => text), line],
      minuteOf(the('HERBS_DISPENSED')),
    );
    expect(verdicts.map((verdict) => verdict.refused ?? 'accepted')).to.deep.equal([
      ...bad.map(([, code]) => code),
      'accepted',
    ]);
  });

  it('counts a batch in which all are refused', async () => {
    const ledger = new TestLedger();
    const { answer, writes } = await ledger.submit(CENTRE, ['', ''], 0);
    expect(answer).to.deep.include({
      batch: 1,
      refused: [
        { i: 0, code: 'ENTRY_MALFORMED' },
        { i: 1, code: 'ENTRY_MALFORMED' },
      ],
    });
    expect(writes.map(([key]) => key)).to.deep.equal([keyOf.log(CENTRE)]);
    expect((await ledger.submit(CENTRE, [''], 0)).answer).to.deep.include({ batch: 2 });
  });

  it('judges each entry after those before it in the batch', async () => {
    const ledger = new TestLedger();
    const acts = reference();
    const batches = [
      acts.filter(({ by }) => by === 'connector'),
      acts.filter(({ by }) => by !== 'connector' && by !== 'phone' && by !== 'page'),
      acts.filter(({ by }) => by === 'phone'),
      acts.filter(({ by }) => by === 'page'),
    ];
    for (const batch of batches) {
      const { org } = batch[0]!.statement;
      const lines = batch.map((act) => lineOf(ledger, act));
      const { verdicts } = await ledger.submit(org, lines, minuteOf(acts.at(-1)!));
      expect(verdicts.filter(({ refused }) => refused)).to.deep.equal([]);
    }
    expect(
      logOf(ledger, 'HospitalMSP').size + logOf(ledger, CENTRE).size + logOf(ledger, 'CourierMSP').size,
    ).to.equal(acts.length);
  });

  it('comes to the same state whether entries come one by one or together', async () => {
    const one = await ledgerAfter(until('RELEASED'));
    const together = await ledgerAfter(until('RX_ACCEPTED'));
    const rest = until('RELEASED').slice(until('RX_ACCEPTED').length);
    const at = minuteOf(the('RELEASED'));
    await together.submit(
      CENTRE,
      rest.map((act) => lineOf(together, act)),
      at,
    );
    for (const key of [
      keyOf.subject(the('MIXED').statement.subject),
      keyOf.subject(the('LABELLED').statement.subject),
    ]) {
      const state = (ledger: TestLedger) => ledger.get<Subject>(key)!.state;
      expect(state(together)).to.deep.equal(state(one));
    }
  });

  it('answers one number of a station once, also within a batch and after a refusal', async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const at = minuteOf(the('HERBS_CHECKED'));
    const illegal = lineOf(ledger, the('HERBS_CHECKED', { n: 7 }));
    const legal = lineOf(ledger, the('HERBS_DISPENSED', { n: 7 }));
    const fresh = lineOf(ledger, the('HERBS_DISPENSED', { n: 6 }));
    const { verdicts } = await ledger.submit(CENTRE, [illegal, illegal, legal, fresh, fresh], at);
    expect(verdicts.map((verdict) => verdict.refused ?? 'accepted')).to.deep.equal([
      'STEP_NOT_LEGAL',
      'N_USED',
      'N_USED',
      'accepted',
      'N_USED',
    ]);
    const later = await ledger.submit(CENTRE, [legal, fresh], at);
    expect(later.verdicts.map(({ refused }) => refused)).to.deep.equal(['N_USED', 'N_USED']);
  });

  it('leaves a number unspent when the signature or the station is not good', async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const { entry } = ledger.entryOf(the('HERBS_DISPENSED', { n: 9 }));
    const forged = canonical({ ...entry, sig: toBase64url(new Uint8Array(64).fill(1)) });
    const at = minuteOf(the('HERBS_DISPENSED'));
    const { verdicts } = await ledger.submit(CENTRE, [forged, canonical(entry)], at);
    expect(verdicts.map((verdict) => verdict.refused ?? 'accepted')).to.deep.equal([
      'SIGNATURE_BAD',
      'accepted',
    ]);
  });

  it('refuses a number that lies too far back', () =>
    given(until('RX_ACCEPTED'))
      .when(
        the('HERBS_DISPENSED', { n: 1 + WINDOW }),
        the('HERBS_CHECKED', { n: 1 }),
        the('HERBS_CHECKED', { n: 2 }),
      )
      .says('accepted', 'N_TOO_OLD', 'accepted'));

  it("takes nothing from another organisation's stations", async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const line = lineOf(ledger, the('HERBS_DISPENSED'));
    const { verdicts } = await ledger.submit('OtherCentreMSP', [line], minuteOf(the('HERBS_DISPENSED')));
    expect(verdicts).to.deep.equal([{ refused: 'STATION_FOREIGN' }]);
    const { entry } = ledger.entryOf(the('HERBS_DISPENSED'));
    const claimed = signed({ ...entry, org: 'OtherCentreMSP' }, STATIONS.dispensary.privateKey);
    const again = await ledger.submit(
      'OtherCentreMSP',
      [canonical(claimed)],
      minuteOf(the('HERBS_DISPENSED')),
    );
    expect(again.verdicts).to.deep.equal([{ refused: 'STATION_FOREIGN' }]);
  });

  it('holds a station to its role and to its enrolment', async () => {
    await given(until('RX_ACCEPTED'))
      .when(the('HERBS_DISPENSED', { by: 'packing' }))
      .says('ROLE_NOT_ALLOWED');
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const key = keyOf.station('dispensary');
    ledger.values.set(key, canonical({ ...ledger.get<Station>(key)!, revoked: logOf(ledger, CENTRE).size }));
    expect(await ledger.play(the('HERBS_DISPENSED', { n: 3 }))).to.deep.equal({ refused: 'STATION_REVOKED' });
    expect(await ledger.play(the('HERBS_DISPENSED', { n: 3 }))).to.deep.equal({ refused: 'N_USED' });
  });

  it('holds an entry to the rule set of its site, which must be known', async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    const site = keyOf.site(CENTRE, STATIONS.dispensary.site);
    ledger.values.set(site, canonical({ zh: 'x', en: 'x', rules: 'national-2099.1' }));
    expect(await ledger.play(the('HERBS_DISPENSED'))).to.deep.equal({ refused: 'RULES_UNKNOWN' });
    ledger.values.delete(site);
    expect(await ledger.play(the('HERBS_DISPENSED'))).to.deep.equal({ refused: 'SITE_UNKNOWN' });
  });

  it('refuses a step that there is not', () =>
    given(until('RX_ACCEPTED'))
      .when(changed(the('HERBS_DISPENSED'), { step: 'HERBS_EATEN' }))
      .says('ENTRY_MALFORMED'));

  it('keeps the logs of two organisations apart', async () => {
    const ledger = await ledgerAfter(until('RX_ACCEPTED'));
    expect([
      logOf(ledger, 'HospitalMSP').size,
      logOf(ledger, CENTRE).size,
      logOf(ledger, 'CourierMSP').size,
    ]).to.deep.equal([3, 1, 0]);
  });

  it('reads no key that keysOf did not name, whatever the entries say', async () => {
    const ledger = await ledgerAfter(until('LABELLED'));
    const { entry } = ledger.entryOf(the('QC_DONE'));
    const odd = (open: Entry['open'], links?: string[]): string =>
      canonical(signed({ ...entry, open, ...(links && { links }) }, STATIONS.quality.privateKey));
    const lines = [
      odd({ to: 'x', token: 'y' }),
      odd({ to: 1, token: {} }),
      odd({}, [keyFrom('unknown')]),
      odd({ token: '' }),
    ];
    const { verdicts } = await ledger.submit(CENTRE, lines, minuteOf(the('QC_DONE')));
    expect(verdicts[0]).to.deep.equal({ refused: 'ENTRY_MALFORMED' });
  });

  it('answers the same, byte for byte, in whatever order the state is held', async () => {
    const ledger = await ledgerAfter(until('SOAK_ENDED'));
    const acts = until('MIXED').slice(until('SOAK_ENDED').length);
    const lines = acts.map((act) => lineOf(ledger, act));
    const entries = readLines(lines);
    const keys = keysOf(entries, [CENTRE]);
    const batch = { channel: CHANNEL, org: CENTRE, after: logOf(ledger, CENTRE).batch, lines };
    const run = async (order: string[]) =>
      JSON.stringify(
        await refereeBatch(
          batch,
          entries,
          new Map(order.map((key) => [key, ledger.values.get(key)])),
          minuteOf(the('MIXED')),
          nodeSuite,
        ),
      );
    expect(await run(keys.toReversed())).to.equal(await run(keys));
    expect(keys).to.deep.equal([...keys].toSorted());
  });

  it('reads lines however many, and each by itself', () => {
    expect(readLines(Array(MAX_BATCH).fill('x'))).to.deep.equal(Array(MAX_BATCH).fill(undefined));
  });
});
