import { expect } from 'chai';
import type { Ledger } from '@yaoji/api/ledger/connect';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { prove, recentViews } from '@yaoji/api/pipeline/prove';
import { trustOf } from '@yaoji/api/services';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { verify, type Bundle } from '@yaoji/chaincode/core';
import { over, realParts, settled, Telling, withDevice } from '../../support/service.ts';

describe('a box whose QR is shared', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  let telling: Telling;
  let views: number;
  let now: number;
  before(async () => {
    const { ledger } = parts().pipeline();
    now = Date.now();
    pipeline = parts().pipeline({
      ledger: counting(ledger, () => views++),
      views: recentViews(() => now),
    });
    telling = new Telling(parts());
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before('DELIVERED'));
  });
  beforeEach(() => {
    views = 0;
    now += 60_000;
  });

  const ask = (): Promise<Bundle | undefined> => prove(pipeline, telling.token, 'anyone');
  async function expectGood(bundle: Bundle | undefined, length: number): Promise<void> {
    const trust = trustOf(parts().profile);
    const { token } = telling;
    const report = await verify(bundle!, { trust, token, now: Date.now(), suite: verifierSuite });
    expect(report.ok).to.equal(true);
    expect(bundle!.trails.flatMap(({ records }) => records)).to.have.length(length);
  }
  const length = (bundle: Bundle | undefined): number =>
    bundle!.trails.flatMap(({ records }) => records).length;

  it('costs the consortium one pair of views, however many ask at once and soon after', async () => {
    const bundles = await Promise.all(Array.from({ length: 50 }, ask));
    expect(views).to.equal(2);
    now += 4_900;
    bundles.push(await ask());
    expect(views).to.equal(2);
    for (const bundle of [bundles[0], bundles[49], bundles[50]]) await expectGood(bundle, length(bundles[0]));
    now += 200;
    await ask();
    expect(views).to.equal(4);
  });

  it('is viewed anew when a record is settled on it', async () => {
    const before = await ask();
    await settled(pipeline, parts(), [telling.say('DELIVERED')]);
    const after = await ask();
    expect(views).to.equal(4);
    await expectGood(after, length(before) + 1);
  });
});

/** The ledger, with somebody who is told of each view that the members' peers are asked to sign. */
function counting(ledger: Ledger, viewed: () => void): Ledger {
  return over(ledger, {
    door(org, identity) {
      const door = ledger.door(org, identity);
      const newProposal: typeof door.contract.newProposal = (name, options) => {
        if (name === 'View') viewed();
        return door.contract.newProposal(name, options);
      };
      return { ...door, contract: over(door.contract, { newProposal }) };
    },
  });
}
