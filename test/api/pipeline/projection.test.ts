import { expect } from 'chai';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { Projections, type Projection } from '@yaoji/api/pipeline/projection';
import { withTransaction, type Db } from '@yaoji/api/store/pool';
import { at as keyOf } from '@yaoji/chaincode/core';
import { post, realParts, settleAll, Telling, withDevice, type Said } from '../../support/service.ts';

const BOILS = 4;

/** Without the trails' heads: they commit to the minute in which the state was judged. */
const placeless = (states: unknown): unknown =>
  JSON.parse(JSON.stringify(states, (name, value: unknown) => (name === 'head' ? undefined : value)));

describe('the state after what is pending', function () {
  this.timeout(120_000);
  const parts = realParts();
  let pipeline: Pipeline;
  before(() => (pipeline = parts().pipeline()));

  /** The projection for a box's subjects, and how many pending entries were read to make it. */
  async function project(
    projections: Projections,
    subjects: readonly string[],
  ): Promise<{ projection: Projection; read: number; state: unknown }> {
    let read = 0;
    const at = Math.floor(Date.now() / 60_000);
    return withTransaction(parts().pool, async (tx) => {
      const counting: Db = {
        async query(statement, values) {
          const result = await tx.query<never>(statement, values);
          if (typeof statement === 'string' && statement.startsWith('select e.entry'))
            read += result.rows.length;
          return result;
        },
      };
      const projection = await projections.of(counting, subjects, at);
      await projection.read(tx, subjects.map(keyOf.subject));
      return {
        projection,
        read,
        state: subjects.map((subject) => projection.world.get(keyOf.subject(subject))),
      };
    });
  }
  const fresh = (): Projections => new Projections(parts().profile.organisations.map(({ mspId }) => mspId));

  /** Prescriptions boiled one after another in one pot, up to the cleaning of the pot. */
  async function boilsInOnePot(): Promise<{ tellings: Telling[]; device: string }> {
    const tellings = Array.from({ length: BOILS }, () => new Telling(parts()));
    const { device } = tellings[0]!.keys;
    await withDevice(pipeline, parts(), tellings[0]!);
    return { tellings, device };
  }
  function upToCleaning(telling: Telling, device: string): Said[] {
    const nth = new Map<string, number>();
    const end = telling.told.findIndex(({ statement }) => statement.step === 'EQUIP_CLEANED') + 1;
    return telling.told.slice(0, end).map(({ statement: { step, subject, links } }) => {
      nth.set(step, (nth.get(step) ?? 0) + 1);
      const own = telling.keys.device;
      return telling.say(
        step,
        {
          ...(subject === own ? { subject: device } : {}),
          ...(links?.includes(own) ? { links: links.map((link) => (link === own ? device : link)) } : {}),
        },
        nth.get(step),
      );
    });
  }

  it('of a long chain is remembered: a further scan reads what is new of it, and comes to the same', async () => {
    const { tellings, device } = await boilsInOnePot();
    const remembering = fresh();
    let reads = 0;
    let all = 0;
    for (const telling of tellings) {
      for (const said of upToCleaning(telling, device)) {
        const [answer] = await post(pipeline, parts(), [said]);
        expect(answer!.receipt?.code ?? answer!.receipt?.outcome, said.step).to.equal('pending');
        const subjects = [device, telling.keys.fulfilment];
        const warm = await project(remembering, subjects);
        const cold = await project(fresh(), subjects);
        expect(placeless(warm.state), said.step).to.deep.equal(placeless(cold.state));
        remembering.remember(warm.projection, []);
        reads = warm.read;
        all = cold.read;
      }
    }
    expect(all).to.be.greaterThan(50);
    expect(reads).to.equal(1);

    // What settles changes what lies under it.
    const subjects = [device, ...tellings.map(({ keys }) => keys.fulfilment)];
    const before = await project(fresh(), subjects);
    await settleAll(pipeline);
    const after = await project(remembering, subjects);
    expect(after.read).to.equal(0);
    expect(placeless(after.state)).to.deep.equal(placeless(before.state));
  });

  it('of a long chain stays remembered, however many short ones there are beside it', async () => {
    const { tellings, device } = await boilsInOnePot();
    const remembering = fresh();
    const [first] = tellings as [Telling];
    await post(pipeline, parts(), upToCleaning(first, device));
    const subjects = [device, first.keys.fulfilment];
    remembering.remember((await project(remembering, subjects)).projection, []);
    for (let i = 0; i < 20; i++) {
      const other = new Telling(parts());
      await post(pipeline, parts(), [other.say('RX_ISSUED')]);
      remembering.remember((await project(remembering, [other.keys.prescription])).projection, []);
    }
    expect((await project(remembering, subjects)).read).to.equal(0);
    await settleAll(pipeline);
  });

  it('is made anew when another process has put something before the end of the chain', async () => {
    const { tellings, device } = await boilsInOnePot();
    const remembering = fresh();
    const [first, second] = tellings as [Telling, Telling];
    await post(pipeline, parts(), upToCleaning(first, device));
    const before = await project(remembering, [device, first.keys.fulfilment]);
    // Remembered with an event that never came: as if that transaction had been undone.
    const [never] = second.before('RX_REVIEWED');
    remembering.remember(before.projection, [never!.item['entry'] as never]);
    const again = await project(remembering, [device, first.keys.fulfilment]);
    expect(again.read).to.equal(before.read);
    expect(placeless(again.state)).to.deep.equal(placeless(before.state));
    await settleAll(pipeline);
  });
});
