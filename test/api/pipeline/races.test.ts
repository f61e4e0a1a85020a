import { expect } from 'chai';
import { Decisions, type Pipeline } from '@yaoji/api/pipeline/context';
import { startWorker, type Worker } from '@yaoji/api/pipeline/worker';
import { VALID } from '@yaoji/api/ledger/submit';
import type { Receipt } from '@yaoji/api/service';
import {
  post,
  realParts,
  receiptOf,
  settleAll,
  settled,
  Telling,
  until,
  watched,
  withDevice,
  type Said,
} from '../../support/service.ts';

const SECOND = 'SecondDecoctionMSP';

describe('races', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  before(() => {
    pipeline = parts().pipeline();
  });

  /** A prescription that both centres may accept, and what each of them says of it. */
  async function wanted(): Promise<{ telling: Telling; first: Said; second: Said }> {
    const telling = new Telling(parts());
    await settled(pipeline, parts(), telling.routed(['DecoctionMSP', SECOND]));
    const { fulfilment } = new Telling(parts()).keys;
    const first = telling.say('RX_ACCEPTED');
    const by = parts().stations['second-reception']!;
    return { telling, first, second: telling.say('RX_ACCEPTED', { by, subject: fulfilment }) };
  }
  const outcome = async (said: Said): Promise<string | undefined> => {
    const receipt = await receiptOf(parts(), said);
    return receipt?.code ?? receipt?.outcome;
  };
  const atOnce = (...said: Said[]): Promise<unknown> =>
    // Each through a process of its own.
    Promise.all(said.map((one) => post(parts().pipeline(), parts(), [one])));

  it('two centres that accept one prescription at the same moment: one wins, the other hears PRESCRIPTION_USED', async () => {
    for (let round = 0; round < 4; round++) {
      const { first, second } = await wanted();
      await (round % 2 ? atOnce(first, second) : atOnce(second, first));
      await settleAll(pipeline);
      expect([await outcome(first), await outcome(second)]).to.have.members(['settled', 'PRESCRIPTION_USED']);
    }
  });

  it('a revocation against an acceptance at the same moment: one wins', async () => {
    for (let round = 0; round < 4; round++) {
      const { telling, first } = await wanted();
      const revoked = telling.say('RX_REVOKED');
      await (round % 2 ? atOnce(first, revoked) : atOnce(revoked, first));
      await settleAll(pipeline);
      const won = [await outcome(revoked), await outcome(first)].join(' ');
      expect(won).to.be.oneOf(['settled PRESCRIPTION_REVOKED', 'TOO_LATE_ACCEPTED settled']);
    }
  });

  describe('with workers of two processes', () => {
    const codes: (number | undefined)[] = [];
    const failures: unknown[] = [];
    const workers: Worker[] = [];
    let working: Pipeline[];
    before(() => {
      const ledger = watched(pipeline.ledger, (moment, _, code) => {
        if (moment === 'ordered') codes.push(code);
      });
      working = [0, 1].map((i) =>
        parts().pipeline({
          ledger,
          decisions: new Decisions(),
          nudge: () => workers[i]?.nudge(),
          log: (line) => {
            if (line.level !== 'info') failures.push(line);
          },
        }),
      );
      workers.push(...working.map(startWorker));
    });
    after(() => Promise.all(workers.map((worker) => worker.stop())));

    it('a step that decides a race is answered with its verdict, the others at once', async () => {
      const telling = new Telling(parts());
      const [issued] = await post(working[0]!, parts(), telling.routed());
      expect(issued!.receipt?.outcome).to.equal('pending');
      const [accepted] = await post(working[0]!, parts(), [telling.say('RX_ACCEPTED')]);
      expect(accepted!.receipt?.outcome).to.equal('settled');
      const [revoked] = await post(working[0]!, parts(), [telling.say('RX_REVOKED')]);
      expect(revoked!.receipt).to.include({ outcome: 'refused', code: 'TOO_LATE_ACCEPTED' });
    });

    it('a step that decides a race is answered as soon as any process has its verdict', async () => {
      const telling = new Telling(parts());
      await settled(working[0]!, parts(), telling.routed());
      const idle = parts().pipeline({ decisions: new Decisions() });
      const before = Date.now();
      const [accepted] = await post(idle, parts(), [telling.say('RX_ACCEPTED')]);
      expect(accepted!.receipt?.outcome).to.equal('settled');
      expect(Date.now() - before).to.be.below(3_000);
    });

    it('organisations never fight over one box: every transaction is valid at its first attempt', async () => {
      codes.length = 0;
      const tellings = [0, 1, 2].map(() => new Telling(parts()));
      const receipts: (Receipt | undefined)[] = [];
      await Promise.all(
        tellings.map(async (telling, i) => {
          await withDevice(pipeline, parts(), telling);
          for (const [k, said] of telling.before().entries()) {
            const [{ receipt } = {}] = await post(working[(i + k) % 2]!, parts(), [said]);
            receipts.push(receipt);
          }
        }),
      );
      expect(receipts.filter((receipt) => !receipt || receipt.outcome === 'refused')).to.deep.equal([]);
      const subjects = tellings.flatMap(({ keys }) => Object.values(keys));
      await until('all is settled', async () => {
        const { rowCount } = await parts().pool.query('select from pending where subjects && $1', [subjects]);
        return rowCount === 0;
      });
      expect(failures).to.deep.equal([]);
      expect(codes.filter((code) => code !== VALID)).to.deep.equal([]);
      for (const { keys } of tellings) {
        const { rows } = await parts().pool.query<{ count: string }>(
          'select count(*) from record where subject = any($1)',
          [Object.values(keys)],
        );
        expect(Number(rows[0]!.count)).to.equal(tellings[0]!.told.length);
      }
    });
  });

  it('a step that decides a race is answered “no verdict yet” when the ledger does not decide in time', async () => {
    const telling = new Telling(parts());
    await settled(pipeline, parts(), telling.routed());
    const patient = parts().pipeline({ decisions: new Decisions() });
    const before = Date.now();
    const [accepted] = await post(patient, parts(), [telling.say('RX_ACCEPTED')]);
    expect(accepted!.receipt?.outcome).to.equal('pending');
    expect(Date.now() - before).to.be.within(2_000, 8_000);
    await settleAll(pipeline);
  });
});
