import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { startWorker, type Worker } from '@yaoji/api/pipeline/worker';
import type { Receipt } from '@yaoji/api/service';
import { pendingAbout } from '@yaoji/api/store/events';
import { readTrail } from '@yaoji/api/store/trails';
import { readWorld } from '@yaoji/api/store/world';
import {
  at as keyOf,
  parseDisclosure,
  parseEntry,
  ROLES,
  type Json,
  type Role,
  type State,
  type Subject,
} from '@yaoji/chaincode/core';
import {
  countRows,
  enrol,
  post,
  realParts,
  receiptOf,
  Telling,
  withDevice,
  type Difference,
  type Said,
} from '../../support/service.ts';

/** What is different about some steps of the story: by step, or by step and which one of that name, such as `BOIL_REACHED 2`. */
type Changes = Readonly<Record<string, Difference>>;

describe('deviations that the service finds', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  let worker: Worker | undefined;
  before(() => {
    // With a worker, as the service runs it: an acceptance waits for its verdict.
    pipeline = parts().pipeline({ nudge: () => worker?.nudge() });
    worker = startWorker(pipeline);
  });
  after(() => worker?.stop());

  /** A telling with its device, played up to (and without) a step. */
  async function play(end: string, changes: Changes = {}): Promise<Telling> {
    const telling = new Telling(parts());
    await withDevice(pipeline, parts(), telling);
    await post(pipeline, parts(), steps(telling, undefined, end, changes));
    return telling;
  }

  /** The story's steps from the first of one name to the first of another, which is not among them. */
  function steps(
    telling: Telling,
    start: string | undefined,
    end: string | undefined,
    changes: Changes = {},
  ): Said[] {
    const names = telling.told.map(({ statement }) => statement.step);
    const [from, to] = [start ? names.indexOf(start) : 0, end ? names.indexOf(end) : names.length];
    return names.slice(from, to).map((step, i) => {
      const nth = names.slice(0, from + i + 1).filter((name) => name === step).length;
      return telling.say(step, changes[`${step} ${nth}`] ?? changes[step] ?? {}, nth);
    });
  }

  const record = async (said: Said): Promise<Receipt> => {
    const [answer] = await post(pipeline, parts(), [said]);
    if (!answer?.receipt) throw new Error(JSON.stringify(answer?.rejection));
    return answer.receipt;
  };
  /** Until the worker has settled all of a telling's fulfilment. */
  async function settled({ keys }: Telling): Promise<void> {
    while ((await pendingAbout(parts().pool, [keys.fulfilment])).length > 0) await sleep(20);
  }

  /** What the service filed about a fulfilment, in order. */
  async function filed({ keys }: Telling): Promise<Json[]> {
    const { rows } = await parts().pool.query<{ entry: string; texts: string[] }>(
      `select entry, array(select text from disclosure d where d.station = e.station and d.n = e.n) as texts
       from event e where subject = $1 and step = 'DEVIATION_RECORDED' order by arrival`,
      [keys.fulfilment],
    );
    return rows.map(({ entry, texts }) => {
      const { station, open } = parseEntry(entry);
      expect(station).to.equal('system');
      const shown = texts.map(parseDisclosure).map(({ name, value }) => [name, value]);
      return { ...open, ...(Object.fromEntries(shown) as { [name: string]: Json }) };
    });
  }

  /** The checks that the ledger, as settled, holds open about a fulfilment. */
  async function openOnLedger(telling: Telling): Promise<string[]> {
    await settled(telling);
    const key = keyOf.subject(telling.keys.fulfilment);
    const { state } = JSON.parse((await readWorld(parts().pool, [key])).get(key)!) as Subject;
    return (state as State<'FUL'>).own.deviations;
  }

  const approver = 'A'.repeat(43);
  const concession = (telling: Telling): Said =>
    telling.say('QC_DONE', { payload: { result: 'CONCESSION', approver, approverStaff: 'ZL001' } });

  /** Quality control must decide: PASS is refused, a CONCESSION closes what is open, and the box goes out. */
  async function expectDecision(telling: Telling): Promise<void> {
    expect(await record(telling.say('QC_DONE'))).to.include({
      outcome: 'refused',
      code: 'DEVIATION_OPEN',
      by: 'service',
    });
    expect(await record(concession(telling))).to.include({ outcome: 'pending' });
    expect(await openOnLedger(telling)).to.deep.equal([]);
    const released = telling.say('RELEASED');
    await record(released);
    await settled(telling);
    expect(await receiptOf(parts(), released)).to.include({ outcome: 'settled' });
  }

  it('are none in the reference story, which is released with a PASS', async () => {
    const telling = await play('HANDED_OVER');
    expect(await filed(telling)).to.deep.equal([]);
    expect(await openOnLedger(telling)).to.deep.equal([]);
    const { rows } = await parts().pool.query(
      'select from deviation join event using (station, n) where subject = $1',
      [telling.keys.fulfilment],
    );
    expect(rows).to.have.length(0);
    expect((await readTrail(parts().pool, telling.keys.fulfilment)).at(-1)!.record.entry.step).to.equal(
      'RELEASED',
    );
  });

  it('N9: a soak of 12 minutes is stored, and quality control must decide', async () => {
    const telling = await play('SOAK_ENDED');
    const { time } = telling.told.find(({ statement }) => statement.step === 'SOAK_STARTED')!.statement;
    const twelve = new Date(Date.parse(time) + 12 * 60_000).toISOString().slice(0, 16) + 'Z';
    const ended = telling.say('SOAK_ENDED', { time: twelve });
    expect(await record(ended)).to.deep.include({ outcome: 'pending', marks: ['DEVIATION:SOAK_MIN'] });
    expect(await filed(telling)).to.deep.equal([
      { checkId: 'SOAK_MIN', measured: '12 min', limit: '≥ 30 min' },
    ]);
    expect(await openOnLedger(telling)).to.deep.equal(['SOAK_MIN']);
    // The receipt is the same once it is settled.
    expect(await receiptOf(parts(), ended)).to.deep.include({
      outcome: 'settled',
      marks: ['DEVIATION:SOAK_MIN'],
    });
    await post(pipeline, parts(), steps(telling, 'SEPARATE_STARTED', 'QC_DONE'));
    await expectDecision(telling);
  });

  it('N10: 112 °C and 0.15 MPa are deviations, one of each, and not rejected', async () => {
    const telling = await play('BOIL_REACHED');
    const boiling = telling.say('BOIL_REACHED', { payload: { tempDeciC: 1120, pressureKpa: 150 } });
    expect(await record(boiling)).to.deep.include({
      outcome: 'pending',
      marks: ['DEVIATION:PRESSURE', 'DEVIATION:TEMP'],
    });
    await post(pipeline, parts(), [
      ...steps(telling, 'HERB_ADDED', 'BOIL_REACHED').slice(1),
      telling.say('HERB_ADDED', {}, 2),
      telling.say('HERB_ADDED', {}, 3),
      telling.say('BOIL_REACHED', {}, 2),
    ]);
    // Open already: the mark says it of this event too, and nothing is filed twice.
    const ended = telling.say('DECOCT_ENDED', { payload: { peakTempDeciC: 1120 } });
    expect(await record(ended)).to.deep.include({ marks: ['DEVIATION:TEMP'] });
    expect(await filed(telling)).to.deep.equal([
      { checkId: 'TEMP', measured: '112 °C', limit: '≤ 102 °C' },
      { checkId: 'PRESSURE', measured: '150 kPa', limit: '≤ 20 kPa' },
    ]);
    await post(pipeline, parts(), [
      telling.say('STRAINED'),
      telling.say('DECOCT_STARTED', {}, 2),
      telling.say('BOIL_REACHED', {}, 3),
      telling.say('DECOCT_ENDED', {}, 2),
      telling.say('STRAINED', {}, 2),
      ...steps(telling, 'SEPARATE_ENDED', 'QC_DONE'),
    ]);
    await expectDecision(telling);
  });

  it('N11: 512 °C is impossible: nothing is stored, and the number stays free', async () => {
    const telling = await play('BOIL_REACHED');
    const before = await countRows(parts());
    const broken = telling.say('BOIL_REACHED', { payload: { tempDeciC: 5120 } });
    const [answer] = await post(pipeline, parts(), [broken]);
    expect(answer!.rejection).to.include({ code: 'VALUE_BAD' });
    expect((await countRows(parts()))['event']).to.equal(before['event']);
    expect(await record(telling.say('BOIL_REACHED', { n: broken.n }))).to.include({ n: broken.n });
  });

  it('N12: 13 bags instead of 14, and quality control must decide', async () => {
    const telling = await play('PACKED');
    const packages = [{ package: telling.keys.package, bags: 13 }];
    const packed = telling.say('PACKED', { payload: { packages } });
    expect(await record(packed)).to.deep.include({ outcome: 'pending', marks: ['DEVIATION:BAG_COUNT'] });
    expect(await filed(telling)).to.deep.equal([{ checkId: 'BAG_COUNT', measured: '13', limit: '14' }]);
    await record(telling.say('LABELLED', { payload: { bags: 13 } }));
    await expectDecision(telling);
  });

  it('block a PASS in the very request that brings them', async () => {
    const telling = await play('PACKED');
    const packages = [{ package: telling.keys.package, bags: 13 }];
    const answers = await post(pipeline, parts(), [
      telling.say('PACKED', { payload: { packages } }),
      telling.say('LABELLED', { payload: { bags: 13 } }),
      telling.say('QC_DONE'),
    ]);
    expect(answers.map(({ receipt }) => receipt?.code)).to.deep.equal([
      undefined,
      undefined,
      'DEVIATION_OPEN',
    ]);
  });

  it('are filed once, however often and however many at once send the same event', async () => {
    const telling = await play('SAMPLE_RETAINED');
    const warm = telling.say('SAMPLE_RETAINED', { payload: { tempDeciC: 81 } });
    const answers = await Promise.all([1, 2, 3, 4].map(() => post(pipeline, parts(), [warm])));
    for (const [answer] of answers) expect(answer!.receipt!.marks).to.deep.equal(['DEVIATION:SAMPLE']);
    await settled(telling);
    await record(warm);
    expect(await filed(telling)).to.have.length(1);
    // It was found after the PASS: the box does not go out until quality control has spoken again.
    expect(await record(telling.say('RELEASED'))).to.include({ code: 'DEVIATION_OPEN' });
    await record(concession(telling));
    // What happens again after it was closed is open again.
    await record(telling.say('SAMPLE_RETAINED', { payload: { ml: 49 } }));
    expect(await openOnLedger(telling)).to.deep.equal(['SAMPLE']);
    expect(await filed(telling)).to.have.length(2);
  });

  it('are filed under numbers of their own by requests that run at once', async () => {
    const tellings = await Promise.all([1, 2, 3, 4, 5].map(() => play('SAMPLE_RETAINED')));
    const small = tellings.map((telling) => telling.say('SAMPLE_RETAINED', { payload: { ml: 49 } }));
    await Promise.all(small.map((said) => record(said)));
    for (const telling of tellings) expect(await openOnLedger(telling)).to.deep.equal(['SAMPLE']);
  });

  it('URGENT: an urgent medicine that passes after two hours waits for a decision', async () => {
    const telling = await play('QC_DONE', { RX_ISSUED: { payload: { urgent: true } } });
    expect((await record(telling.say('QC_DONE'))).marks).to.deep.equal(['DEVIATION:URGENT']);
    expect(await record(telling.say('RELEASED'))).to.include({ code: 'DEVIATION_OPEN' });
    const decided = await record(concession(telling));
    expect(decided).to.not.have.property('marks');
    expect(await record(telling.say('RELEASED'))).to.include({ outcome: 'pending' });
    expect(await openOnLedger(telling)).to.deep.equal([]);
  });

  it('WASH: the pot after something toxic, if its device was not cleaned thoroughly', async () => {
    const toxic = await play('EQUIP_CLEANED', { RX_ISSUED: { payload: { hasToxic: true } } });
    const next = await play('DECOCT_STARTED');
    const device = { links: [toxic.keys.device] };
    // Started too early it is refused, and is not the pot before when it starts indeed.
    expect(await record(next.say('DECOCT_STARTED', device))).to.include({ code: 'DEVICE_DIRTY' });
    // In one upload: what came just before counts as well.
    const answers = await post(pipeline, parts(), [
      toxic.say('EQUIP_CLEANED'),
      next.say('DECOCT_STARTED', device),
    ]);
    expect(answers[1]!.receipt!.marks).to.deep.equal(['DEVIATION:WASH']);
    expect(await filed(next)).to.deep.equal([
      { checkId: 'WASH', measured: 'NORMAL, 20 min', limit: 'STRENGTHENED, ≥ 15 min' },
    ]);
    expect(await filed(toxic)).to.deep.equal([]);
  });

  it('WASH: nothing after a thorough cleaning', async () => {
    const toxic = await play('RELEASED', {
      RX_ISSUED: { payload: { hasToxic: true } },
      EQUIP_CLEANED: { payload: { kind: 'STRENGTHENED', minutes: 15 } },
    });
    const next = await play('DECOCT_STARTED');
    expect(await record(next.say('DECOCT_STARTED', { links: [toxic.keys.device] }))).to.not.have.property(
      'marks',
    );
  });

  it('are not looked for where the prescription was erased or changed: the step is stored all the same', async () => {
    const thirteen = (telling: Telling): Said =>
      telling.say('PACKED', { payload: { packages: [{ package: telling.keys.package, bags: 13 }] } });
    const ofPrescription =
      "from event where event.station = disclosure.station and event.n = disclosure.n and subject = $1 and step = 'RX_ISSUED'";

    const erased = await play('PACKED');
    await parts().owner.query(
      `delete from disclosure using event ${ofPrescription.replace('from event ', '')}`,
      [erased.keys.prescription],
    );
    expect(await record(thirteen(erased))).to.not.have.property('marks');

    const changed = await play('PACKED');
    await parts().owner.query('alter table disclosure disable trigger keep_rows');
    try {
      await parts().owner.query(
        `update disclosure set text = translate(text, 'QRST', 'RSTQ') ${ofPrescription}`,
        [changed.keys.prescription],
      );
    } finally {
      await parts().owner.query('alter table disclosure enable trigger keep_rows');
    }
    expect(await record(thirteen(changed))).to.not.have.property('marks');
  });

  it('are said in the receipt where no station files them, and nothing is filed', async () => {
    const org = 'SecondDecoctionMSP';
    const roles = (Object.keys(ROLES) as Role[]).filter(
      (role) => ROLES[role] === 'decoction' && role !== 'SYSTEM',
    );
    const by = await enrol(pipeline, parts().principal(org, 'registrar'), 'all-hands', roles);
    const telling = new Telling(parts());
    await post(pipeline, parts(), telling.routed([org]));
    for (const step of ['RX_ACCEPTED', 'HERBS_DISPENSED', 'HERBS_CHECKED', 'SOAK_STARTED'])
      await record(telling.say(step, { by }));
    const { time } = telling.told.find(({ statement }) => statement.step === 'SOAK_STARTED')!.statement;
    expect((await record(telling.say('SOAK_ENDED', { by, time }))).marks).to.deep.equal([
      'DEVIATION:SOAK_MIN',
    ]);
    expect(await filed(telling)).to.deep.equal([]);
  });
});
