import { expect } from 'chai';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { revokeStation } from '@yaoji/api/pipeline/enrol';
import { receive } from '@yaoji/api/pipeline/receive';
import type { ItemAnswer } from '@yaoji/api/service';
import { canonical, printMinute, type Json } from '@yaoji/chaincode/core';
import {
  countRows,
  enrol,
  post,
  randomKey,
  realParts,
  receiptOf,
  settleAll,
  settled,
  Telling,
  withDevice,
  type Said,
} from '../../support/service.ts';

describe('receiving', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  before(() => {
    pipeline = parts().pipeline();
  });

  const tell = (): Telling => new Telling(parts());
  const answer = async (said: Said, through: Pipeline = pipeline): Promise<ItemAnswer> =>
    (await post(through, parts(), [said]))[0]!;
  const minutesFromNow = (minutes: number): string => printMinute(Math.floor(Date.now() / 60_000) + minutes);

  /** Posts it and expects this rejection and nothing stored, and then that its number is still free. */
  async function notStored(
    said: Said,
    code: string,
    place: string,
    instead: (n: number) => Said,
  ): Promise<void> {
    const before = await countRows(parts());
    const { rejection } = await answer(said);
    expect(rejection).to.include({ code, pointer: place });
    expect(await countRows(parts())).to.deep.equal(before);
    expect((await answer(instead(said.n))).receipt).to.include({ n: said.n, outcome: 'pending' });
  }

  describe('the same event again', () => {
    it('gets the same answer, before and after its verdict, and is stored once', async () => {
      const said = tell().say('RX_ISSUED');
      const first = await answer(said);
      expect(first.receipt).to.deep.equal({
        station: said.station,
        n: said.n,
        step: 'RX_ISSUED',
        subject: said.subject,
        outcome: 'pending',
      });
      expect(await answer(said)).to.deep.equal(first);
      await settleAll(pipeline);
      const { receipt } = await answer(said);
      expect(receipt).to.include({ outcome: 'settled', n: said.n });
      expect(await answer(said)).to.deep.equal({ receipt });
      expect(await countRows(parts(), said)).to.include({ event: 1, verdict: 1, record: 1, pending: 0 });
    });

    it('from many connections and processes at once is stored exactly once, and all are told the same', async () => {
      const said = tell().say('RX_ISSUED');
      const pipelines = [pipeline, parts().pipeline(), parts().pipeline()];
      const answers = await Promise.all(
        Array.from({ length: 24 }, (_, i) => answer(said, pipelines[i % pipelines.length])),
      );
      for (const one of answers) expect(one).to.deep.equal(answers[0]);
      expect(answers[0]!.receipt?.outcome).to.equal('pending');
      expect(await countRows(parts(), said)).to.include({ event: 1, pending: 1, verdict: 0 });
    });

    it('twice in one request gets its answer twice, also where nothing is stored', async () => {
      const good = tell().say('RX_ISSUED');
      const future = tell().say('RX_ISSUED', { time: minutesFromNow(30) });
      const other = tell().say('RX_ISSUED', { n: future.n });
      const answers = await post(pipeline, parts(), [good, future, good, future]);
      expect(answers.map(({ receipt, rejection }) => receipt?.outcome ?? rejection?.code)).to.deep.equal([
        'pending',
        'TIME_FUTURE',
        'pending',
        'TIME_FUTURE',
      ]);
      expect((await answer(other)).receipt?.outcome).to.equal('pending');
    });

    it('from a hosted station, whatever the order of its members, is the same event', async () => {
      const telling = tell();
      await withDevice(pipeline, parts(), telling);
      const { item, org, n } = telling.say('PATIENT_VERIFIED');
      const statement = item['statement'] as { [name: string]: Json };
      const turned = { statement: Object.fromEntries(Object.entries(statement).toReversed()) };
      const [first] = await receive(pipeline, parts().principal(org), [item]);
      const [second] = await receive(pipeline, parts().principal(org), [turned]);
      expect(first!.receipt).to.include({ n, outcome: 'refused', code: 'SUBJECT_UNKNOWN' });
      expect(second).to.deep.equal(first);
    });

    it('with other content under its number is a conflict, and the first stays', async () => {
      const said = tell().say('RX_ISSUED');
      const other = tell().say('RX_ISSUED', { n: said.n });
      await answer(said);
      expect((await answer(other)).rejection).to.include({ code: 'N_CONFLICT' });
      await settleAll(pipeline);
      expect((await answer(other)).rejection).to.include({ code: 'N_CONFLICT' });
      expect((await receiptOf(parts(), said))?.subject).to.equal(said.subject);
      expect(await countRows(parts(), said)).to.include({ event: 1, record: 1 });
    });

    it('of two different events under one number sent at once exactly one is stored', async () => {
      const said = tell().say('RX_ISSUED');
      const rivals = [said, ...Array.from({ length: 7 }, () => tell().say('RX_ISSUED', { n: said.n }))];
      const answers = await Promise.all(rivals.map((one) => answer(one)));
      expect(answers.filter(({ receipt }) => receipt)).to.have.length(1);
      expect(answers.filter(({ rejection }) => rejection?.code === 'N_CONFLICT')).to.have.length(7);
      expect(await countRows(parts(), said)).to.include({ event: 1 });
    });
  });

  describe('nothing is stored, and the number stays free, for', () => {
    const again = (n: number): Said => tell().say('RX_ISSUED', { n });

    it('an entry that is not well formed', async () => {
      const twice = ['A'.repeat(43), 'A'.repeat(43)];
      for (const [wrong, code, place] of [
        [{ extra: 1 }, 'FIELD_UNKNOWN', '/entry/extra'],
        [{ time: 'noon' }, 'VALUE_BAD', '/entry/time'],
        [{ time: undefined }, 'FIELD_MISSING', '/entry/time'],
        [{ digests: twice }, 'ENTRY_MALFORMED', '/entry/digests'],
      ] as const) {
        const said = tell().say('RX_ISSUED');
        const entry = JSON.parse(JSON.stringify({ ...(said.item['entry'] as object), ...wrong })) as Json;
        await notStored({ ...said, item: { ...said.item, entry } }, code, place, again);
      }
    });

    it('a signature of another key', async () => {
      const said = tell().say('RX_ISSUED');
      const entry = said.item['entry'] as { [name: string]: Json };
      const stranger = tell().say('RX_ISSUED', { n: said.n }).item['entry'] as { [name: string]: Json };
      const forged = { ...said, item: { ...said.item, entry: { ...entry, sig: stranger['sig']! } } };
      await notStored(forged, 'SIGNATURE_BAD', '', again);
    });

    it('an event of the future', () =>
      notStored(tell().say('RX_ISSUED', { time: minutesFromNow(30) }), 'TIME_FUTURE', '', again));

    it('a station that nobody enrolled', async () => {
      const said = tell().say('RX_ISSUED');
      const entry = { ...(said.item['entry'] as { [name: string]: Json }), station: 'nobody' };
      await notStored({ ...said, item: { ...said.item, entry } }, 'STATION_UNKNOWN', '', again);
    });

    it("another organisation's and another site's event", async () => {
      const said = tell().say('RX_ISSUED');
      const principal = parts().principal('SecondDecoctionMSP');
      const [foreign] = await receive(pipeline, principal, [said.item]);
      expect(foreign!.rejection).to.include({ code: 'PRINCIPAL_FOREIGN', pointer: '/entry/org' });
      const elsewhere = { ...parts().principal(said.org), site: 'elsewhere-1' };
      const [other] = await receive(pipeline, elsewhere, [said.item]);
      expect(other!.rejection).to.include({ code: 'PRINCIPAL_FOREIGN', pointer: '/entry/site' });
      expect((await answer(said)).receipt?.outcome).to.equal('pending');
    });

    it('a statement of a station whose key the service does not hold', async () => {
      const said = tell().say('PATIENT_VERIFIED');
      const changed = { station: 'packing', n: 1_000_000 };
      const statement = { ...(said.item['statement'] as { [name: string]: Json }), ...changed };
      const [one] = await receive(pipeline, parts().principal(said.org), [{ statement }]);
      expect(one!.rejection).to.include({ code: 'STATION_NOT_HOSTED', pointer: '/statement/station' });
    });

    it('a disclosure that the entry does not commit to, one that is missing, and one that is no field', async () => {
      const foreign = tell().say('RX_ISSUED').item['disclosures'] as string[];
      for (const [change, place] of [
        [(shown: string[]) => [foreign[0]!, ...shown.slice(1)], '/disclosures/0'],
        [(shown: string[]) => shown.slice(1), '/disclosures'],
        [(shown: string[]) => [...shown, shown[0]!], '/disclosures/10'],
      ] as const) {
        const said = tell().say('RX_ISSUED');
        const disclosures = change(said.item['disclosures'] as string[]);
        await notStored({ ...said, item: { ...said.item, disclosures } }, 'DISCLOSURE_FOREIGN', place, again);
      }
    });

    it('a field that its step does not have, hidden behind a digest, whatever its name', async () => {
      for (const name of ['colour', '__proto__', 'constructor']) {
        const payload = Object.defineProperty({}, name, { value: 'red', enumerable: true });
        const said = tell().say('RX_REVOKED', { payload });
        const { rejection } = await answer(said);
        expect(rejection, name).to.include({ code: 'ENTRY_MALFORMED', pointer: '/disclosures/1' });
      }
    });

    it('a value beyond its bounds, and the place is in the body that was sent', async () => {
      const doses = tell().say('RX_ISSUED', { payload: { doses: 5_000 } });
      const place = (doses.item['disclosures'] as string[]).findIndex((text) =>
        Buffer.from(text, 'base64url').toString().includes('"doses"'),
      );
      await notStored(doses, 'VALUE_BAD', `/disclosures/${place}`, again);
      await notStored(
        tell().say('RX_ISSUED', { payload: { maxUses: 13 } }),
        'VALUE_BAD',
        '/entry/open/maxUses',
        again,
      );
    });

    it('a value beyond its bounds, and a field that is none, in a statement', async () => {
      const by = parts().stations['hosted-room']!;
      for (const [payload, code, place] of [
        [{ waterTempDeciC: 1_001 }, 'VALUE_BAD', '/statement/payload/waterTempDeciC'],
        [{ waterMl: 0 }, 'VALUE_BAD', '/statement/payload/waterMl'],
        [{ colour: 'red' }, 'FIELD_UNKNOWN', '/statement/payload/colour'],
        [{ waterMl: undefined }, 'FIELD_MISSING', '/statement/payload/waterMl'],
      ] as const) {
        const said = tell().say('SOAK_STARTED', { by, payload });
        expect((await answer(said)).rejection).to.include({ code, pointer: place });
        expect((await countRows(parts(), said))['event']).to.equal(0);
      }
    });

    it('a statement that would make an entry which nobody could read again', async () => {
      const key = randomKey();
      const said = tell().say('COURIER_ACCEPTED', {
        by: parts().stations['hosted-phone']!,
        links: [key, key],
      });
      expect((await answer(said)).rejection).to.include({
        code: 'ENTRY_MALFORMED',
        pointer: '/statement/links',
      });
      // The pipeline goes on.
      expect((await answer(tell().say('RX_ISSUED'))).receipt?.outcome).to.equal('pending');
      await settleAll(pipeline);
    });
  });

  describe('what is not legal', () => {
    it('against what is settled is stored with its code, and never reaches the ledger', async () => {
      const telling = tell();
      await settled(pipeline, parts(), [telling.say('RX_ISSUED')]);
      const said = telling.say('RX_ROUTED');
      const { receipt } = await answer(said);
      expect(receipt).to.include({ outcome: 'refused', code: 'STEP_NOT_LEGAL', by: 'service' });
      await settleAll(pipeline);
      expect((await answer(said)).receipt).to.deep.equal(receipt);
    });

    it('against what is pending is stored with its code as well', async () => {
      const telling = tell();
      const [issued, routed] = await post(pipeline, parts(), [
        telling.say('RX_ISSUED'),
        telling.say('RX_ROUTED'),
      ]);
      expect(issued!.receipt?.outcome).to.equal('pending');
      expect(routed!.receipt).to.include({ outcome: 'refused', code: 'STEP_NOT_LEGAL' });
    });

    it('does not stop the others of its request', async () => {
      const telling = tell();
      const answers = await post(pipeline, parts(), [
        telling.say('RX_ISSUED'),
        telling.say('RX_ROUTED'),
        telling.say('RX_REVIEWED'),
        tell().say('RX_ISSUED', { time: minutesFromNow(30) }),
        telling.say('RX_ROUTED'),
      ]);
      expect(answers.map(({ receipt, rejection }) => receipt?.code ?? rejection?.code ?? receipt?.outcome))
        .to //
        .deep.equal(['pending', 'STEP_NOT_LEGAL', 'pending', 'TIME_FUTURE', 'pending']);
      await settleAll(pipeline);
    });

    it('because its station was revoked is kept with that code', async () => {
      const registrar = parts().principal('HospitalMSP', 'registrar');
      const by = await enrol(pipeline, registrar, `lost-${randomKey()}`, ['PRESCRIBER']);
      expect((await answer(tell().say('RX_ISSUED', { by }))).receipt?.outcome).to.equal('pending');
      await settleAll(pipeline);
      await revokeStation(pipeline, registrar, by.signer.id);
      const said = tell().say('RX_ISSUED', { by });
      expect((await answer(said)).receipt).to.include({ outcome: 'refused', code: 'STATION_REVOKED' });
      expect((await receiptOf(parts(), said))?.code).to.equal('STATION_REVOKED');
    });

    it('because its station was revoked behind our back is settled with the code that the ledger gives', async () => {
      const registrar = parts().principal('HospitalMSP', 'registrar');
      const by = await enrol(pipeline, registrar, `stolen-${randomKey()}`, ['PRESCRIBER']);
      const said = tell().say('RX_ISSUED', { by });
      expect((await answer(said)).receipt?.outcome).to.equal('pending');
      await pipeline.ledger.door('HospitalMSP').contract.submitTransaction('RevokeStation', by.signer.id);
      await settleAll(pipeline);
      expect(await receiptOf(parts(), said)).to.include({
        outcome: 'refused',
        code: 'STATION_REVOKED',
        by: 'ledger',
      });
      const { rows } = await parts().pool.query('select from stopped_log where org = $1', ['HospitalMSP']);
      expect(rows).to.have.length(0);
    });
  });

  it('knows members and sites that stand on the ledger only', async () => {
    const telling = tell();
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before('HANDED_OVER'));
    const handed = telling.say('HANDED_OVER', { payload: { to: 'SilentCourierMSP' } });
    expect((await answer(handed)).receipt).to.include({ outcome: 'pending' });
    await settleAll(pipeline);
    expect(await receiptOf(parts(), handed)).to.include({ outcome: 'settled' });
  });

  it('takes hundreds of stations that nobody knows in one request', async () => {
    const { item, org } = tell().say('RX_ISSUED');
    const entry = item['entry'] as { [name: string]: Json };
    const items = Array.from({ length: 300 }, (_, i) => ({
      ...item,
      entry: { ...entry, station: `x-${i}` },
    }));
    const answers = await receive(pipeline, parts().principal(org), items);
    expect(new Set(answers.map(({ rejection }) => rejection?.code))).to.deep.equal(
      new Set(['STATION_UNKNOWN']),
    );
  });

  it('keeps what was hidden apart from the entry, and no entry holds it', async () => {
    const said = tell().say('RX_ISSUED');
    await answer(said);
    const { rows } = await parts().pool.query<{ entry: string; shown: string[] }>(
      `select entry, array(select text from disclosure d where d.station = e.station and d.n = e.n order by position) as shown
       from event e where station = $1 and n = $2`,
      [said.station, said.n],
    );
    expect(rows[0]!.shown).to.deep.equal(said.item['disclosures']);
    expect(rows[0]!.entry).to.equal(canonical(said.item['entry']!));
    for (const secret of ['旋覆花', 'DEMO-', 'milligrams', 'doses'])
      expect(rows[0]!.entry).not.to.contain(secret);
    for (const text of rows[0]!.shown) expect(rows[0]!.entry).not.to.contain(text.slice(0, 40));
  });
});
