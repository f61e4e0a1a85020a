import { expect } from 'chai';
import { batch } from '@yaoji/api/pipeline/batch';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { revokeStation } from '@yaoji/api/pipeline/enrol';
import { HOLD_FOR } from '@yaoji/api/pipeline/hold';
import { readTrail } from '@yaoji/api/store/trails';
import {
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

describe('a handover whose sides arrive in any order', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  let telling: Telling;
  beforeEach(async () => {
    pipeline = parts().pipeline();
    telling = new Telling(parts());
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before('HANDED_OVER'));
  });

  const outcomes = (said: readonly Said[]): Promise<(string | undefined)[]> =>
    Promise.all(
      said.map(async (one) => {
        const receipt = await receiptOf(parts(), one);
        return receipt?.code ?? receipt?.outcome;
      }),
    );
  const after = (ms: number): Pipeline => parts().pipeline({ now: () => Date.now() + ms });

  it('holds the taker’s side, and all of his behind it, until the giver’s; then they settle in their order', async () => {
    const early = [
      telling.say('COURIER_ACCEPTED'),
      telling.say('HUB_SCANNED'),
      telling.say('HUB_SCANNED', {}, 2),
      telling.say('OUT_FOR_DELIVERY'),
    ];
    const answers = await post(pipeline, parts(), early);
    expect(answers.map(({ receipt }) => receipt?.outcome)).to.deep.equal([
      'held',
      'pending',
      'pending',
      'pending',
    ]);
    await settleAll(pipeline);
    expect(await outcomes(early)).to.deep.equal(['held', 'pending', 'pending', 'pending']);

    const [handed] = await settled(pipeline, parts(), [telling.say('HANDED_OVER')]);
    const delivered = telling.say('DELIVERED');
    await settled(pipeline, parts(), [delivered]);
    expect(await outcomes(early)).to.deep.equal(['settled', 'settled', 'settled', 'settled']);
    const trail = await readTrail(parts().pool, telling.keys.package);
    expect(trail.map(({ record }) => [record.entry.station, record.entry.n])).to.deep.equal(
      [trail[0]!.record.entry, handed!, ...early, delivered].map(({ station, n }) => [station, n]),
    );
  });

  it('takes what others say of the box behind them after them, in whatever order the sides came', async () => {
    const taken = ['COURIER_ACCEPTED', 'HUB_SCANNED', 'OUT_FOR_DELIVERY', 'DELIVERED'];
    const other = new Telling(parts());
    await withDevice(pipeline, parts(), other);
    await settled(pipeline, parts(), other.before('HANDED_OVER'));
    const says = (one: Telling, ...steps: string[]): Said[] => steps.map((step) => one.say(step));
    const inOrder = says(telling, 'HANDED_OVER', ...taken, 'PATIENT_VERIFIED');
    const turned = says(other, ...taken, 'HANDED_OVER', 'PATIENT_VERIFIED');
    for (const said of [...inOrder, ...turned]) {
      const [answer] = await post(pipeline, parts(), [said]);
      expect(answer!.receipt?.code, said.step).to.equal(undefined);
    }
    await settleAll(pipeline);
    expect(await outcomes(inOrder)).to.deep.equal(inOrder.map(() => 'settled'));
    expect(await outcomes(turned)).to.deep.equal(turned.map(() => 'settled'));
    for (const { keys } of [telling, other]) {
      const trail = await readTrail(parts().pool, keys.package);
      expect(trail.map(({ record }) => record.entry.step)).to.deep.equal([
        'LABELLED',
        'HANDED_OVER',
        ...taken,
        'PATIENT_VERIFIED',
      ]);
    }
  });

  it('holds no other box of the same courier', async () => {
    const other = new Telling(parts());
    await withDevice(pipeline, parts(), other);
    await settled(pipeline, parts(), other.before('HUB_SCANNED'));
    const held = telling.say('COURIER_ACCEPTED');
    const scans = [other.say('HUB_SCANNED'), other.say('OUT_FOR_DELIVERY')];
    await post(pipeline, parts(), [held, ...scans]);
    await settleAll(pipeline);
    expect(await outcomes([held, ...scans])).to.deep.equal(['held', 'settled', 'settled']);
  });

  it('takes the two sides in one go when the giver’s is stored and not settled', async () => {
    const sides = [telling.say('HANDED_OVER'), telling.say('COURIER_ACCEPTED')];
    const answers = await post(pipeline, parts(), sides);
    expect(answers[0]!.receipt?.outcome).to.equal('pending');
    // The courier's waits for the giver's verdict: two organisations never write about one box at once.
    expect(await batch(pipeline, 'CourierMSP')).to.equal(false);
    expect(await batch(pipeline, 'DecoctionMSP')).to.equal(true);
    expect(await batch(pipeline, 'CourierMSP')).to.equal(true);
    expect(await outcomes(sides)).to.deep.equal(['settled', 'settled']);
  });

  it('gives up after two hours: the ledger then says its code', async () => {
    const early = [telling.say('COURIER_ACCEPTED'), telling.say('HUB_SCANNED')];
    await post(pipeline, parts(), early);
    await settleAll(after(HOLD_FOR - 60_000));
    expect(await outcomes(early)).to.deep.equal(['held', 'pending']);
    await settleAll(after(HOLD_FOR + 60_000));
    expect(await outcomes(early)).to.deep.equal(['STEP_NOT_LEGAL', 'NOT_CUSTODIAN']);
    // The numbers are spent, the box is not: the courier says it again once the giver has.
    const again = [telling.say('HANDED_OVER'), telling.say('COURIER_ACCEPTED')];
    await settled(pipeline, parts(), again);
  });

  it('does not hold what no giver could make legal', async () => {
    const registrar = parts().principal('CourierMSP', 'registrar');
    const lost = await enrol(pipeline, registrar, `lost-phone-${randomKey()}`, ['COURIER']);
    await revokeStation(pipeline, registrar, lost.signer.id);
    const said = telling.say('COURIER_ACCEPTED', { by: lost });
    const [answer] = await post(pipeline, parts(), [said]);
    expect(answer!.receipt).to.include({ outcome: 'refused', code: 'STATION_REVOKED' });

    await settled(pipeline, parts(), [telling.say('HANDED_OVER')]);
    const other = telling.say('COURIER_ACCEPTED', { payload: { handover: randomKey() } });
    const fewer = telling.say('COURIER_ACCEPTED', { payload: { bags: 13 } });
    const answers = await post(pipeline, parts(), [other, fewer]);
    expect(answers.map(({ receipt }) => receipt?.code)).to.deep.equal(['HANDOVER_DIFFERS', 'BAGS_DIFFER']);
  });
});
