import { expect } from 'chai';
import { fileURLToPath } from 'node:url';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import { proposeBatch, VALID, type EndorsedBatch } from '@yaoji/api/ledger/submit';
import { readState } from '@yaoji/api/ledger/view';
import { batch } from '@yaoji/api/pipeline/batch';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { revokeStation } from '@yaoji/api/pipeline/enrol';
import { LogDiffers, settleAttempt } from '@yaoji/api/pipeline/settle';
import { createApiKey } from '@yaoji/api/store/api-keys';
import { saveAttempt } from '@yaoji/api/store/batches';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  append,
  at as keyOf,
  canonical,
  EMPTY,
  leafHash,
  root,
  toBase64url,
  utf8,
  type Log,
} from '@yaoji/chaincode/core';
import { OrganisationClient } from '@yaoji/scripts/client';
import { supervise, type Supervised } from '@yaoji/scripts/supervise';
import {
  countRows,
  enrol,
  over,
  post,
  randomKey,
  realParts,
  receiptOf,
  serveService,
  settleAll,
  settled,
  siteOf,
  Telling,
  until,
  watched,
  type Moment,
  type Said,
} from '../../support/service.ts';

const ORG = 'HospitalMSP';

describe('whatever is killed, at whatever moment,', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  beforeEach(async () => {
    pipeline = parts().pipeline();
    await settleAll(pipeline);
  });

  const issued = (): Said => new Telling(parts()).say('RX_ISSUED');
  const ledgerLog = async (org: string): Promise<Log | undefined> => {
    const text = (await readState(pipeline.ledger, org, [keyOf.log(org)])).get(keyOf.log(org));
    return text === undefined ? undefined : (JSON.parse(text) as Log);
  };
  const lastBatch = async (): Promise<number> => (await ledgerLog(ORG))?.batch ?? 0;
  /** The log's size and root as its stored records give them. */
  async function recomputed(org: string): Promise<{ size: number; root: string }> {
    const { rows } = await parts().pool.query<{ body: string }>(
      'select body from record where org = $1 order by index',
      [org],
    );
    let frontier = EMPTY;
    for (const { body } of rows)
      frontier = append(frontier, leafHash(utf8(body), nodeSuite.sha256), nodeSuite.sha256);
    return { size: frontier.size, root: toBase64url(root(frontier, nodeSuite.sha256)) };
  }

  /** Everything said is settled once, and store and ledger agree. */
  async function settledOnce(...said: Said[]): Promise<void> {
    await settleAll(parts().pipeline());
    for (const one of said) {
      expect(await receiptOf(parts(), one)).to.include({ outcome: 'settled' });
      expect(await countRows(parts(), one)).to.include({ event: 1, verdict: 1, record: 1, pending: 0 });
    }
    const log = await ledgerLog(ORG);
    expect(await recomputed(ORG)).to.deep.equal({ size: log!.size, root: log!.root });
    const { rows } = await parts().pool.query<{ last: string }>(
      'select max(number) as last from batch where org = $1',
      [ORG],
    );
    expect(Number(rows[0]!.last)).to.equal(log!.batch);
  }

  /** The process dies at this moment: nothing after it happens in it. */
  const dyingAt = (moment: Moment, first: () => unknown = () => {}): Pipeline =>
    parts().pipeline({
      ledger: watched(pipeline.ledger, async (now) => {
        if (now !== moment) return;
        await first();
        throw new Error(`killed: ${moment}`);
      }),
    });
  const dies = async (dying: Pipeline, moment: string): Promise<void> => {
    const error = await batch(dying, ORG).then(
      () => new Error('it lived'),
      (thrown: Error) => thrown,
    );
    expect(error.message).to.equal(`killed: ${moment}`);
  };
  const differs = async (org: string): Promise<void> => {
    const error = await batch(pipeline, org).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(LogDiffers);
  };

  describe('an event is settled exactly once when the process is gone', () => {
    for (const [moment, words] of [
      ['proposed', 'before the endorsement'],
      ['endorsed', 'between the endorsement and our own judgement'],
      ['submitted', 'just before the submission'],
      ['ordered', 'between submission and its answer'],
    ] as const)
      it(words, async () => {
        const said = issued();
        await post(pipeline, parts(), [said]);
        await dies(dyingAt(moment), moment);
        expect(await receiptOf(parts(), said)).to.include({ outcome: 'pending' });
        const later = issued();
        await post(pipeline, parts(), [later]);
        await settledOnce(said, later);
      });

    it('in the middle of settling: nothing of it is kept, and all of it later', async () => {
      const said = issued();
      await post(pipeline, parts(), [said]);
      await dies(parts().pipeline({ pool: breakingAtCommit(parts().pool) }), 'settling');
      expect(await countRows(parts(), said)).to.include({ pending: 1, verdict: 0, record: 0 });
      await settledOnce(said);
    });

    it('several times in a row', async () => {
      const said = issued();
      await post(pipeline, parts(), [said]);
      for (const moment of ['submitted', 'proposed', 'endorsed', 'ordered'] as const)
        await dies(dyingAt(moment), moment);
      await settledOnce(said);
    });
  });

  it('an attempt that nobody could find, and that goes in late, changes nothing', async () => {
    const said = issued();
    await post(pipeline, parts(), [said]);
    const late = await attempt(ORG, await lastBatch(), said);
    await settledOnce(said);
    expect(await late.submit()).not.to.equal(VALID);
    await settledOnce(said);
  });

  it('an attempt that goes in just before the next one is found, and the next one is not valid', async () => {
    const said = issued();
    await post(pipeline, parts(), [said]);
    const queued = await attempt(ORG, await lastBatch(), said);
    const codes: unknown[] = [];
    const ledger = watched(pipeline.ledger, async (moment, _, code) => {
      if (moment === 'submitted') codes.push(await queued.submit());
      if (moment === 'ordered') codes.push(code);
    });
    expect(await batch(parts().pipeline({ ledger }), ORG)).to.equal(false);
    expect(codes[0]).to.equal(VALID);
    expect(codes[1]).not.to.equal(VALID);
    await settledOnce(said);
  });

  it('two processes that settle the same attempt store it once', async () => {
    const said = issued();
    await post(pipeline, parts(), [said]);
    const after = await lastBatch();
    await dies(dyingAt('ordered'), 'ordered');
    await Promise.all([0, 1, 2].map(() => settleAttempt(parts().pipeline(), ORG, after, 10)));
    await settledOnce(said);
  });

  describe('a station that is revoked does not make the log differ,', () => {
    const registrar = () => parts().principal(ORG, 'registrar');
    async function pendingOf(name: string): Promise<{ said: Said; revoke: () => Promise<void> }> {
      const by = await enrol(pipeline, registrar(), `${name}-${randomKey()}`, ['PRESCRIBER']);
      const said = new Telling(parts()).say('RX_ISSUED', { by });
      await post(pipeline, parts(), [said]);
      return { said, revoke: () => revokeStation(pipeline, registrar(), by.signer.id) };
    }

    for (const moment of ['proposed', 'endorsed', 'submitted'] as const)
      it(`and refuses it, when the batch was ${moment}`, async () => {
        const { said, revoke } = await pendingOf(moment);
        let revoked = false;
        const ledger = watched(pipeline.ledger, async (now) => {
          if (now !== moment || revoked) return;
          revoked = true;
          await revoke();
        });
        await settleAll(parts().pipeline({ ledger }));
        await settledOnce();
        expect(await receiptOf(parts(), said)).to.include({ code: 'STATION_REVOKED', by: 'ledger' });
      });

    it('and it stays accepted, when the batch was ordered and is settled after a restart', async () => {
      const { said, revoke } = await pendingOf('ordered');
      await dies(dyingAt('ordered', revoke), 'ordered');
      await settledOnce(said);
    });
  });

  describe('peers that lag stop no log:', () => {
    afterEach(() => parts().faults.clear());

    it('what they agree on is asked for again while the store knows better', async () => {
      const telling = new Telling(parts());
      const accepting = telling.say('RX_ACCEPTED');
      // More than it takes to agree stand before the routing that the acceptance builds on.
      const behind = parts().profile.organisations.flatMap(({ mspId }) => (mspId === ORG ? [] : [mspId]));
      const [issuing, reviewing, routing] = telling.routed();
      await settled(pipeline, parts(), [issuing!, reviewing!]);
      await post(pipeline, parts(), [routing!]);
      const lagging = watched(pipeline.ledger, (moment) => {
        if (moment === 'submitted') parts().faults.set({ lag: behind });
      });
      expect(await batch(parts().pipeline({ ledger: lagging }), ORG)).to.equal(true);
      await post(pipeline, parts(), [accepting]);
      const answers: string[] = [];
      const ledger = watched(pipeline.ledger, (moment) => answers.push(moment));
      const writing = batch(parts().pipeline({ ledger }), 'DecoctionMSP');
      await until('they have answered', () => answers.filter((moment) => moment === 'endorsed').length > 1);
      parts().faults.clear();
      expect(await writing).to.equal(true);
      expect(await receiptOf(parts(), accepting)).to.include({ outcome: 'settled' });
    });
  });

  it('the API killed with SIGKILL again and again loses nothing and doubles nothing', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'yaoji-killed-'));
    const { key: recorder } = await createApiKey(parts().pool, {
      org: ORG,
      site: siteOf(ORG),
      role: 'recorder',
    });
    const access = { org: ORG, kind: 'hospital', site: siteOf(ORG), recorder, registrar: '' } as const;
    let api: Supervised | undefined;
    let url = '';
    const begin = async (): Promise<void> => {
      api = supervise({
        name: 'api',
        script: fileURLToPath(import.meta.resolve('@yaoji/api/main')),
        env: {
          ...process.env,
          DATABASE_URL: parts().databaseUrl,
          LEDGER_PROFILE: parts().profilePath,
          STATION_KEYS: parts().stationKeys,
          PORT: '0',
        },
        logFile: join(folder, 'api.log'),
      });
      ({ url } = (await api.ready) as unknown as { url: string });
    };
    const events = Array.from({ length: 40 }, issued);
    // As an outbox does: each is sent until it is answered.
    const send = async (said: Said): Promise<void> => {
      for (;;) {
        try {
          await new OrganisationClient(url, access).record(said.item);
          return;
        } catch (error) {
          if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
          await sleep(20);
        }
      }
    };
    try {
      await begin();
      const outbox = (async () => {
        for (const said of events) await send(said);
      })();
      for (let kill = 0; kill < 2; kill++) {
        const stored = kill * 12 + 6;
        await until('some are stored', async () => (await receiptOf(parts(), events[stored]!)) !== undefined);
        process.kill(api!.pid, 'SIGKILL');
        await api!.exited;
        await begin();
      }
      await outbox;
      await until('all have their verdict', async () =>
        (await Promise.all(events.map((said) => receiptOf(parts(), said)))).every(
          (receipt) => receipt?.outcome === 'settled',
        ),
      );
    } finally {
      await api?.stop();
      rmSync(folder, { recursive: true });
    }
    await settledOnce(...events);
  });

  describe('a log stops, and says so,', () => {
    /** Runs the service until it has stopped the log; gives what its health says. */
    async function stoppedBecause(org: string, ...pending: Said[]): Promise<string> {
      const size = (await ledgerLog(org))?.size;
      const served = await serveService(parts());
      try {
        await until('the log is stopped', async () =>
          (await served.running.service.health()).stopped.some((stopped) => stopped.org === org),
        );
        const more = new Telling(parts()).say('RX_ISSUED', { by: stationOf(org) });
        const client = new OrganisationClient(served.access.url, served.of(org));
        expect(await client.record(more.item)).to.include({ outcome: 'pending' });
        const others = issued();
        await new OrganisationClient(served.access.url, served.of(ORG)).record(others.item);
        await until(
          'the others go on',
          async () => (await receiptOf(parts(), others))?.outcome === 'settled',
        );
        for (const said of [...pending, more])
          expect(await receiptOf(parts(), said)).to.include({ outcome: 'pending' });
        expect((await ledgerLog(org))?.size).to.equal(size);
        const health = (await (await fetch(`${served.access.url}/readyz`)).json()) as {
          ready: boolean;
          stopped: { org: string; why: string }[];
        };
        expect(health.ready).to.equal(true);
        return health.stopped.find((stopped) => stopped.org === org)!.why;
      } finally {
        await served.stop();
      }
    }
    const stationOf = (org: string) =>
      Object.values(parts().stations).find((station) => station.org === org)!;

    it('when another gateway has written into it', async () => {
      const org = 'OvertakenMSP';
      const by = stationOf(org);
      const foreign = new Telling(parts()).say('RX_ISSUED', { by });
      const line = canonical(foreign.item['entry']!);
      const endorsed = await proposeBatch(pipeline.ledger, org, 0, [line]).endorse();
      expect(await endorsed.submit()).to.equal(VALID);
      const said = new Telling(parts()).say('RX_ISSUED', { by });
      await post(pipeline, parts(), [said]);
      await differs(org);
      // Who sees it first, the follower or the worker, says it.
      expect(await stoppedBecause(org, said)).to.match(
        /the ledger is at batch 1, the store at 0|a batch that the store does not know/,
      );
    });

    it('when the store was tampered with, before anything is written', async () => {
      const org = 'TamperedMSP';
      const telling = new Telling(parts());
      const by = stationOf(org);
      await post(pipeline, parts(), [telling.say('RX_ISSUED', { by })]);
      await settleAll(pipeline);
      const said = telling.say('RX_REVOKED', { by });
      await post(pipeline, parts(), [said]);
      const before = await ledgerLog(org);
      const { rowCount } = await parts().owner.query(
        `update world set value = replace(value, '"uses":0', '"uses":1') where key = $1 and value like '%"uses":0%'`,
        [keyOf.subject(telling.keys.prescription)],
      );
      expect(rowCount).to.equal(1);
      await differs(org);
      expect(await ledgerLog(org)).to.deep.equal(before);
      expect(await stoppedBecause(org, said)).to.contain('differs from the recomputed one');
    });
  });

  async function attempt(org: string, after: number, said: Said): Promise<EndorsedBatch> {
    const proposal = proposeBatch(pipeline.ledger, org, after, [canonical(said.item['entry']!)]);
    await saveAttempt(parts().pool, { txId: proposal.txId, org, follows: after });
    return proposal.endorse();
  }
});

/** A pool whose connections break at the commit of a settled batch. */
function breakingAtCommit(pool: Pool): Pool {
  return over(pool, {
    connect: (async () => {
      const client = await pool.connect();
      let settling = false;
      const query = async (...args: [string]): Promise<unknown> => {
        const [text] = args;
        if (typeof text === 'string' && text.startsWith('insert into batch')) settling = true;
        if (text === 'commit' && settling) throw new Error('killed: settling');
        return client.query(...args);
      };
      return over(client, { query: query as never });
    }) as never,
  });
}
