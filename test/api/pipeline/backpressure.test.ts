import { expect } from 'chai';
import { batch } from '@yaoji/api/pipeline/batch';
import { Backlog } from '@yaoji/api/pipeline/backlog';
import { Decisions, type Pipeline } from '@yaoji/api/pipeline/context';
import { QueueFull } from '@yaoji/api/service';
import type { Db } from '@yaoji/api/store/pool';
import { countPending } from '@yaoji/api/store/queue';
import { readTrail } from '@yaoji/api/store/trails';
import {
  enrol,
  post,
  realParts,
  receiptOf,
  serveService,
  settleAll,
  settled,
  Telling,
  withDevice,
  type Said,
} from '../../support/service.ts';

const COURIER = 'CourierMSP';

describe('a long queue', function () {
  this.timeout(120_000);
  const parts = realParts();
  let pipeline: Pipeline;
  before(async () => {
    pipeline = parts().pipeline();
    await settleAll(pipeline);
  });

  const issued = (): Said => new Telling(parts()).say('RX_ISSUED');

  it('is full above its bound, counted once a second at most', async () => {
    let counts = 0;
    const counted: Db = {
      query(statement, values) {
        counts++;
        return parts().pool.query(statement, values);
      },
    };
    await post(pipeline, parts(), [issued(), issued(), issued()]);
    expect(await new Backlog(parts().pool, 3).full()).to.equal(false);
    const backlog = new Backlog(counted, 2);
    const answers = await Promise.all(Array.from({ length: 50 }, () => backlog.full()));
    expect(new Set(answers)).to.deep.equal(new Set([true]));
    expect(counts).to.equal(1);
    await settleAll(pipeline);
    expect(await countPending(parts().pool)).to.equal(0);
    expect(await new Backlog(parts().pool, 0).full()).to.equal(false);
  });

  it('takes nothing more when it is full, whatever the ledger does, and takes it again later', async () => {
    const held = new Telling(parts());
    await withDevice(pipeline, parts(), held);
    await settled(pipeline, parts(), held.before('HANDED_OVER'));
    await post(pipeline, parts(), [held.say('COURIER_ACCEPTED'), held.say('HUB_SCANNED')]);
    const served = await serveService(parts(), { mostPending: 1 });
    try {
      const said = issued();
      const error = await served.running.service
        .receive(parts().principal(said.org), [said.item])
        .catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(QueueFull);
      expect(await receiptOf(parts(), said)).to.equal(undefined);
    } finally {
      await served.stop();
    }
    await settled(pipeline, parts(), [held.say('HANDED_OVER')]);
  });

  it('nobody waits for a verdict while the ledger is known to fail', async () => {
    const telling = new Telling(parts());
    await settled(pipeline, parts(), telling.routed());
    const patient = parts().pipeline({ decisions: new Decisions(), failing: () => true });
    const begun = performance.now();
    const [answer] = await post(patient, parts(), [telling.say('RX_REVOKED')]);
    expect(answer!.receipt?.outcome).to.equal('pending');
    expect(performance.now() - begun).to.be.lessThan(3_000);
    await settleAll(pipeline);
  });

  it('whose first thousand events must wait does not keep back what is behind them', async () => {
    const stuck = new Telling(parts());
    const moving = new Telling(parts());
    for (const telling of [stuck, moving]) {
      await withDevice(pipeline, parts(), telling);
      await settled(pipeline, parts(), telling.before('HANDED_OVER'));
    }
    const principal = parts().principal(COURIER, 'registrar');
    const by = await enrol(pipeline, principal, `scanner-${Date.now()}`, ['COURIER']);
    const scans = Array.from({ length: 1_000 }, () => stuck.say('HUB_SCANNED', { by }));
    await post(pipeline, parts(), [stuck.say('COURIER_ACCEPTED')]);
    for (let from = 0; from < scans.length; from += 250)
      await post(pipeline, parts(), scans.slice(from, from + 250));
    await settled(pipeline, parts(), [moving.say('HANDED_OVER')]);
    const taken = moving.say('COURIER_ACCEPTED');
    await post(pipeline, parts(), [taken]);

    expect(await batch(pipeline, COURIER)).to.equal(true);
    expect(await receiptOf(parts(), taken)).to.include({ outcome: 'settled' });
    expect(await receiptOf(parts(), scans[0]!)).to.include({ outcome: 'pending' });
    expect(await batch(pipeline, COURIER)).to.equal(false);

    await settled(pipeline, parts(), [stuck.say('HANDED_OVER')]);
    const trail = await readTrail(parts().pool, stuck.keys.package);
    expect(trail).to.have.length(1_003);
    expect(trail.slice(3).map(({ record }) => record.entry.n)).to.deep.equal(scans.map(({ n }) => n));
  });
});
