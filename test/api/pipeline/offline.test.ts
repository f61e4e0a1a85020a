import { expect } from 'chai';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { revokeStation } from '@yaoji/api/pipeline/enrol';
import type { ItemAnswer } from '@yaoji/api/service';
import { readTrail } from '@yaoji/api/store/trails';
import {
  CLOCK_SKEW,
  parseMinute,
  printMinute,
  replay,
  TOO_OLD_AFTER,
  WINDOW,
  type Mark,
} from '@yaoji/chaincode/core';
import { OrganisationClient, request } from '@yaoji/scripts/client';
import {
  countRows,
  enrol,
  post,
  randomKey,
  realParts,
  receiptOf,
  serveService,
  settleAll,
  settled,
  Telling,
  withDevice,
  type Said,
  type TestStation,
} from '../../support/service.ts';

const HOSPITAL = 'HospitalMSP';
const MINUTE = 60_000;

describe('what a station without network says later', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  before(async () => {
    pipeline = parts().pipeline();
    await settleAll(pipeline);
  });

  const tell = (): Telling => new Telling(parts());
  const registrar = () => parts().principal(HOSPITAL, 'registrar');
  const newStation = (): Promise<TestStation> =>
    enrol(pipeline, registrar(), `away-${randomKey()}`, ['PRESCRIBER']);
  const answer = async (said: Said, through = pipeline): Promise<ItemAnswer> =>
    (await post(through, parts(), [said]))[0]!;
  const codeOf = ({ receipt, rejection }: ItemAnswer): string | undefined =>
    rejection?.code ?? receipt?.code ?? receipt?.outcome;
  const codes = (said: readonly Said[]): Promise<(string | undefined)[]> =>
    Promise.all(
      said.map(async (one) => {
        const receipt = await receiptOf(parts(), one);
        return receipt && codeOf({ receipt });
      }),
    );
  /** The service as it was, or will be, by its clock. */
  const clockOff = (minutes: number): Pipeline =>
    parts().pipeline({ now: () => Date.now() + minutes * MINUTE });
  const minutesFromNow = (minutes: number): string => printMinute(Math.floor(Date.now() / MINUTE) + minutes);
  /** What anybody who takes the trail's steps again notes about them. */
  async function marksOf(subject: string): Promise<Mark[]> {
    const trail = await readTrail(parts().pool, subject);
    const records = trail.map(({ record }) => ({ record, disclosures: [] }));
    return replay([{ subject, records, inclusion: [] }], () => undefined).marks;
  }

  it('hours later is taken, its own time stands, and it is marked as late', async () => {
    for (const [minutes, marks] of [
      [0, []],
      [-14, []],
      [-5 * 60, ['LATE']],
      [-3 * 1440, ['LATE']],
    ] as const) {
      const said = tell().say('RX_ISSUED', { time: minutesFromNow(minutes) });
      const [receipt] = await settled(pipeline, parts(), [said]);
      const time = parseMinute((await readTrail(parts().pool, said.subject))[0]!.record.entry.time);
      expect(parseMinute(receipt!.at!) - time, 'minutes late').to.be.within(-minutes, 2 - minutes);
      expect(await marksOf(said.subject), `${minutes} min`).to.deep.equal(marks);
    }
  });

  it('in any order of its numbers, in parts and twice, is taken once each', async () => {
    const by = await newStation();
    const said = Array.from({ length: 12 }, (_, i) =>
      tell().say('RX_ISSUED', { by, time: minutesFromNow(-600 + i) }),
    );
    const shuffled = [7, 2, 11, 0, 5, 9, 1, 10, 3, 8, 4, 6].map((i) => said[i]!);
    await post(pipeline, parts(), shuffled.slice(0, 5));
    await settleAll(pipeline);
    // The outbox did not hear the answer, and says everything again from its beginning.
    const answers = await post(pipeline, parts(), [...said, ...shuffled]);
    expect(answers.filter(({ receipt }) => !receipt || receipt.outcome === 'refused')).to.deep.equal([]);
    await settleAll(pipeline);
    expect(await codes(said)).to.deep.equal(said.map(() => 'settled'));
    for (const one of said)
      expect(await countRows(parts(), one)).to.deep.include({ event: 1, verdict: 1, record: 1, pending: 0 });
    const again = await post(pipeline, parts(), said);
    expect(again.map(codeOf)).to.deep.equal(said.map(() => 'settled'));
  });

  it('may be as many numbers behind the newest as the window is wide, and not one more', async () => {
    const by = await newStation();
    const newest = WINDOW + 500;
    await settled(pipeline, parts(), [tell().say('RX_ISSUED', { by, n: newest })]);
    const outside = tell().say('RX_ISSUED', { by, n: newest - WINDOW });
    expect((await answer(outside)).rejection).to.include({ code: 'N_TOO_OLD' });
    expect(await countRows(parts(), outside)).to.include({ event: 0 });
    await settled(pipeline, parts(), [tell().say('RX_ISSUED', { by, n: newest - WINDOW + 1 })]);
  });

  it('of a box that was delivered meanwhile is taken, and marked', async () => {
    const telling = tell();
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before('HUB_SCANNED'));
    // The phone's outbox is emptied from its end.
    const later = [
      telling.say('HUB_SCANNED', {}, 2),
      telling.say('OUT_FOR_DELIVERY'),
      telling.say('DELIVERED'),
      telling.say('HUB_SCANNED'),
    ];
    for (const said of [later[1]!, later[2]!, later[0]!, later[3]!, later[0]!])
      expect(codeOf(await answer(said))).to.equal('pending');
    await settleAll(pipeline);
    expect(await codes(later)).to.deep.equal(later.map(() => 'settled'));
    const subject = telling.keys.package;
    expect(await marksOf(subject)).to.include.members(['LATE', 'OUT_OF_PHASE']);
    const steps = (await readTrail(parts().pool, subject)).map(({ record }) => record.entry.step);
    expect(steps.slice(-4)).to.deep.equal(['OUT_FOR_DELIVERY', 'DELIVERED', 'HUB_SCANNED', 'HUB_SCANNED']);
  });

  describe('by a clock that is wrong', () => {
    it('ahead: is not stored, spends no number, and the same bytes are taken when the time has come', async () => {
      const said = tell().say('RX_ISSUED', { time: minutesFromNow(0) });
      // To a service whose clock is behind it is what a clock ahead is to a right one.
      const early = clockOff(-(CLOCK_SKEW + 2));
      for (let time = 0; time < 2; time++) {
        expect((await answer(said, early)).rejection).to.include({ code: 'TIME_FUTURE' });
        expect(await countRows(parts(), said)).to.deep.equal({
          event: 0,
          disclosure: 0,
          verdict: 0,
          pending: 0,
          record: 0,
        });
      }
      await settled(pipeline, parts(), [said]);
    });

    it('ahead by no more than clocks differ: is taken', async () => {
      await settled(pipeline, parts(), [tell().say('RX_ISSUED', { time: minutesFromNow(CLOCK_SKEW) })]);
      const said = tell().say('RX_ISSUED', { time: minutesFromNow(CLOCK_SKEW + 2) });
      expect((await answer(said)).rejection).to.include({ code: 'TIME_FUTURE' });
    });

    it('ahead: costs the others of its upload nothing', async () => {
      const by = await newStation();
      const said = [0, CLOCK_SKEW + 30, -600].map((minutes) =>
        tell().say('RX_ISSUED', { by, time: minutesFromNow(minutes) }),
      );
      expect((await post(pipeline, parts(), said)).map(codeOf)).to.deep.equal([
        'pending',
        'TIME_FUTURE',
        'pending',
      ]);
      await settleAll(pipeline);
      expect(await codes(said)).to.deep.equal(['settled', undefined, 'settled']);
    });

    it('thirty days back or less: is taken; further back it is refused and kept with its code', async () => {
      await settled(pipeline, parts(), [
        tell().say('RX_ISSUED', { time: minutesFromNow(2 - TOO_OLD_AFTER) }),
      ]);
      const said = tell().say('RX_ISSUED', { time: minutesFromNow(-TOO_OLD_AFTER - 1) });
      for (let time = 0; time < 2; time++)
        expect((await answer(said)).receipt).to.include({
          outcome: 'refused',
          code: 'TIME_TOO_OLD',
          by: 'service',
        });
      expect(await countRows(parts(), said)).to.include({ event: 1, verdict: 1, pending: 0, record: 0 });
      const other = tell().say('RX_ISSUED', { n: said.n });
      expect((await answer(other)).rejection).to.include({ code: 'N_CONFLICT' });
    });

    it('that becomes too old while the ledger is away is refused by the ledger, and kept', async () => {
      const said = tell().say('RX_ISSUED', { time: minutesFromNow(-TOO_OLD_AFTER - 1) });
      expect(codeOf(await answer(said, clockOff(-10)))).to.equal('pending');
      await settleAll(pipeline);
      const refusal = { outcome: 'refused', code: 'TIME_TOO_OLD', by: 'ledger' };
      expect(await receiptOf(parts(), said)).to.include(refusal);
      expect((await answer(said)).receipt).to.include(refusal);
    });

    it('behind the step that it follows: by minutes is marked, by more is refused and kept', async () => {
      for (const [minutes, code] of [
        [-CLOCK_SKEW, 'settled'],
        [-CLOCK_SKEW - 1, 'TIME_ORDER'],
      ] as const) {
        const telling = tell();
        await settled(pipeline, parts(), [telling.say('RX_ISSUED', { time: minutesFromNow(-300) })]);
        const said = telling.say('RX_REVIEWED', { time: minutesFromNow(-300 + minutes) });
        await answer(said);
        await settleAll(pipeline);
        expect(await codes([said])).to.deep.equal([code]);
        expect((await marksOf(said.subject)).includes('CLOCK_SKEW')).to.equal(code === 'settled');
      }
    });
  });

  describe('when it was revoked in between', () => {
    it('is refused and kept if it arrives after, however long before it was done', async () => {
      const by = await newStation();
      const [before, ...after] = [-700, -600, -500, 0].map((minutes) =>
        tell().say('RX_ISSUED', { by, time: minutesFromNow(minutes) }),
      );
      const [receipt] = await settled(pipeline, parts(), [before!]);
      await revokeStation(pipeline, registrar(), by.signer.id);
      const answers = await post(pipeline, parts(), [before!, ...after.toReversed(), ...after]);
      expect(answers.map(codeOf)).to.deep.equal(['settled', ...Array<string>(6).fill('STATION_REVOKED')]);
      await settleAll(pipeline);
      expect(await receiptOf(parts(), before!)).to.deep.equal(receipt);
      for (const one of after)
        expect(await countRows(parts(), one)).to.include({ event: 1, verdict: 1, pending: 0, record: 0 });
    });

    it('keeps the verdict that it would have had, if it arrived just before', async () => {
      const by = await newStation();
      const running = await serveService(parts());
      try {
        const client = new OrganisationClient(running.access.url, running.of(HOSPITAL));
        const said = [1, 2, 3].map(() => tell().say('RX_ISSUED', { by }));
        await Promise.all(said.map(({ item }) => client.record(item)));
        const { status } = await request(running.access.url, `/v1/stations/${by.signer.id}/revoke`, {
          key: running.of(HOSPITAL).registrar,
          body: {},
        });
        expect(status).to.be.within(200, 299);
        for (const one of said) expect(await receiptOf(parts(), one)).to.include({ outcome: 'settled' });
        expect(codeOf(await answer(tell().say('RX_ISSUED', { by })))).to.equal('STATION_REVOKED');
      } finally {
        await running.stop();
      }
    });

    it('while it was pending and nobody could settle it, is refused by the ledger, and so is whatever comes later, whenever it was done', async () => {
      const by = await newStation();
      const pending = tell().say('RX_ISSUED', { by, time: minutesFromNow(-600) });
      expect(codeOf(await answer(pending))).to.equal('pending');
      await revokeStation(pipeline, registrar(), by.signer.id);
      await settleAll(pipeline);
      expect(await receiptOf(parts(), pending)).to.include({ code: 'STATION_REVOKED', by: 'ledger' });
      // It is the ledger's order: a revoked station is asked for no time.
      const future = tell().say('RX_ISSUED', { by, time: minutesFromNow(60) });
      expect(codeOf(await answer(future))).to.equal('STATION_REVOKED');
      const old = tell().say('RX_ISSUED', { by, time: minutesFromNow(-TOO_OLD_AFTER - 60) });
      expect(codeOf(await answer(old))).to.equal('STATION_REVOKED');
    });
  });
});
