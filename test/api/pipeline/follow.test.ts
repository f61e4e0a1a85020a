import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { register } from '@yaoji/api/ledger/register';
import { proposeBatch, VALID } from '@yaoji/api/ledger/submit';
import { readState } from '@yaoji/api/ledger/view';
import { batch } from '@yaoji/api/pipeline/batch';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { startFollower, type Follower } from '@yaoji/api/pipeline/follow';
import { saveAttempt, stoppedLogs } from '@yaoji/api/store/batches';
import { moveCursor, readCursor } from '@yaoji/api/store/cursor';
import { readWorld, writeRegistered } from '@yaoji/api/store/world';
import { at as keyOf, canonical, type Log } from '@yaoji/chaincode/core';
import { writeProfile } from '@yaoji/network/profile';
import { SigningStation } from '@yaoji/scripts/client';
import { expect } from 'chai';
import { startGateways, type TestGateway } from '../../support/gateways.ts';
import {
  countRows,
  over,
  post,
  randomKey,
  realParts,
  receiptOf,
  serveService,
  settleAll,
  siteOf,
  Telling,
  until,
  type Said,
} from '../../support/service.ts';

const ORG = 'HospitalMSP';

describe("the ledger's blocks are followed:", function () {
  this.timeout(60_000);
  const parts = realParts();
  let gateways: ReadonlyMap<string, TestGateway>;
  let closeGateways: () => void;
  let folder: string;
  let profilePath: string;
  let ledger: Ledger;
  let pipeline: Pipeline;
  const followers: Follower[] = [];

  before(async () => {
    const started = await startGateways(parts().profile);
    ({ gateways, close: closeGateways } = started);
    folder = mkdtempSync(join(tmpdir(), 'yaoji-follow-'));
    profilePath = join(folder, 'network.json');
    writeProfile(profilePath, started.profile);
    ledger = connectLedger(started.profile);
  });
  beforeEach(async () => {
    for (const one of gateways.values()) await one.heal();
    pipeline = parts().pipeline({ ledger });
    await settleAll(parts().pipeline());
  });
  afterEach(async () => {
    await Promise.all(followers.splice(0).map((follower) => follower.stop()));
  });
  after(() => {
    ledger.close();
    closeGateways();
    rmSync(folder, { recursive: true });
  });

  const follow = (instead: Partial<Pipeline> = {}): Follower => {
    const follower = startFollower({ ...pipeline, ...instead });
    followers.push(follower);
    return follower;
  };
  const issued = (): Said => new Telling(parts()).say('RX_ISSUED');
  const lastBatch = async (): Promise<number> => {
    const text = (await readState(ledger, ORG, [keyOf.log(ORG)])).get(keyOf.log(ORG));
    return text === undefined ? 0 : (JSON.parse(text) as Log).batch;
  };
  const mirrored = async (key: string): Promise<string | undefined> =>
    (await readWorld(parts().pool, [key])).get(key);
  const onLedger = async (org: string, key: string): Promise<string | undefined> =>
    (await readState(ledger, org, [key])).get(key);
  const cursor = (): Promise<number> => readCursor(parts().pool);

  /** The batch goes in, and the process that submitted it dies before it settles it. */
  async function submitted(...said: Said[]): Promise<void> {
    await post(pipeline, parts(), said);
    const follows = await lastBatch();
    const proposal = proposeBatch(
      ledger,
      ORG,
      follows,
      said.map(({ item }) => canonical(item['entry']!)),
    );
    const endorsed = await proposal.endorse();
    await saveAttempt(parts().pool, { txId: proposal.txId, org: ORG, follows });
    expect(await endorsed.submit()).to.equal(VALID);
  }
  const becomesSettled = (said: Said): Promise<void> =>
    until('it is settled', async () => (await receiptOf(parts(), said))?.outcome === 'settled');

  it('what a process submitted and could not settle any more is settled, from its own bytes, once', async () => {
    const said = issued();
    await submitted(said);
    expect(await receiptOf(parts(), said)).to.include({ outcome: 'pending' });
    follow();
    follow();
    await becomesSettled(said);
    expect(await countRows(parts(), said)).to.include({ event: 1, verdict: 1, record: 1, pending: 0 });
  });

  it('whoever waits for such a verdict is told', async () => {
    const said = issued();
    follow();
    const told: unknown[] = [];
    pipeline.decisions.announce = (decided) => void told.push(...decided.map(({ n }) => n));
    await submitted(said);
    await until('it is told', () => told.includes(said.n));
  });

  it('a station enrolled and revoked past this service, or before a crash, is known to the mirror', async () => {
    const station = new SigningStation(`followed-${randomKey()}`);
    const key = keyOf.station(station.id);
    follow();
    await register(ledger, ORG, 'EnrolStation', {
      station: station.id,
      site: siteOf(ORG),
      roles: ['PRESCRIBER'],
      key: station.publicKey,
      hosted: false,
    });
    await until('it is there', async () => (await mirrored(key)) !== undefined);
    await register(ledger, ORG, 'RevokeStation', station.id);
    await until('it is revoked', async () => (await mirrored(key)) === (await onLedger(ORG, key)));
    expect(JSON.parse((await mirrored(key))!)).to.have.property('revoked');

    // An older block, seen later, does not take the revocation back.
    const { revoked: _, ...enrolled } = JSON.parse((await mirrored(key))!) as { revoked: number };
    await writeRegistered(parts().pool, [[key, canonical(enrolled)]]);
    expect(await mirrored(key)).to.equal(await onLedger(ORG, key));
  });

  it('a device comes into the mirror idle, and an old block takes nothing from one in use', async () => {
    const device = randomKey();
    const key = keyOf.subject(device);
    follow();
    await register(ledger, 'DecoctionMSP', 'RegisterDevice', { device });
    await until('it is there', async () => (await mirrored(key)) !== undefined);
    expect(await mirrored(key)).to.equal(await onLedger('DecoctionMSP', key));
    await writeRegistered(parts().pool, [[key, canonical({ seq: 7 })]]);
    expect(await mirrored(key)).to.equal(await onLedger('DecoctionMSP', key));
  });

  describe('a batch that the store does not know', () => {
    /** Somebody writes a batch with this organisation's identity; the entry is another's, so all of it is refused. */
    async function foreign(org: string): Promise<void> {
      const line = canonical(issued().item['entry']!);
      const after = (JSON.parse((await onLedger(org, keyOf.log(org))) ?? '{"batch":0}') as Log).batch;
      expect(await (await proposeBatch(ledger, org, after, [line]).endorse()).submit()).to.equal(VALID);
    }
    const whyStopped = async (org: string): Promise<string | undefined> =>
      (await stoppedLogs(parts().pool)).find((stopped) => stopped.org === org)?.why;

    it('stops its log at once, says why, and changes nothing else', async () => {
      const org = 'SilentCourierMSP';
      const told: object[] = [];
      follow({ log: (line) => void told.push(line) });
      await foreign(org);
      await until('the log is stopped', async () => (await whyStopped(org)) !== undefined);
      const why = await whyStopped(org);
      expect(why).to.match(
        /^the ledger has a batch that the store does not know \(transaction [0-9a-f]{64}\): /,
      );
      expect(told).to.deep.include({ level: 'error', what: 'log stopped', org, why });
      expect(await mirrored(keyOf.log(org))).to.equal(undefined);
      const said = issued();
      await submitted(said);
      await becomesSettled(said);
    });

    it('is told at the start of a service whose store is an older copy, before anybody asks it to write', async () => {
      const org = 'RegulatorMSP';
      await foreign(org);
      const served = await serveService(parts());
      try {
        const stopped = async (): Promise<{ org: string; why: string }[]> =>
          ((await (await fetch(`${served.access.url}/readyz`)).json()) as { stopped: [] }).stopped;
        await until('it is told', async () => (await stopped()).some((one) => one.org === org));
        expect((await stopped()).find((one) => one.org === org)!.why).to.contain(
          'the store is an older copy',
        );
      } finally {
        await served.stop();
      }
    });
  });

  it('from another peer when the one it followed is gone, without a gap, and from the first again', async () => {
    const follower = follow();
    await until('it follows', () => follower.following());
    const [first, second] = [...gateways.values()];
    for (const dying of [first!, second!]) {
      dying.kill();
      const said = issued();
      await submitted(said);
      await becomesSettled(said);
      await until('it follows again', () => follower.following());
      await dying.heal();
      // It rests for a second.
      await sleep(1_100);
    }
  });

  it('from where it was, when it is started again', async () => {
    const follower = follow();
    const said = issued();
    await submitted(said);
    await becomesSettled(said);
    await follower.stop();
    const reached = await cursor();
    const later = issued();
    await submitted(later);
    follow();
    await becomesSettled(later);
    expect(await cursor()).to.be.greaterThan(reached);
    await moveCursor(parts().pool, reached);
    expect(await cursor(), 'a process that is behind').to.be.greaterThan(reached);
  });

  it('what workers settle themselves costs two looks a second, whatever the number of blocks', async () => {
    let statements = 0;
    const { pool } = parts();
    const counted = over(pool, {
      query: ((...args: [string]) => {
        statements++;
        return pool.query(...args);
      }) as never,
      connect: (() => {
        statements++;
        return pool.connect();
      }) as never,
    });
    const follower = follow({ pool: counted });
    await until('it follows', () => follower.following());
    await sleep(2_500);
    statements = 0;
    const begun = performance.now();
    for (let i = 0; i < 20; i++) {
      await post(pipeline, parts(), [issued()]);
      expect(await batch(pipeline, ORG)).to.equal(true);
    }
    await sleep(1_500);
    const seconds = Math.ceil((performance.now() - begun) / 1000);
    expect(statements).to.be.within(2, 2 * (seconds + 1));
  });

  it('so /readyz says that the ledger is dead though nothing is pending, and that it is back', async () => {
    const served = await serveService(parts(), { ledgerProfile: profilePath });
    const ready = async (): Promise<{ ready: boolean; ledger: boolean }> =>
      (await fetch(`${served.access.url}/readyz`)).json() as never;
    try {
      await until('it follows', async () => (await ready()).ledger);
      for (const one of gateways.values()) one.kill();
      await until('it is told', async () => !(await ready()).ledger, 2_000);
      expect(await ready(), 'scanning goes on').to.include({ ready: true });
      for (const one of gateways.values()) await one.heal();
      await until('it is back', async () => (await ready()).ledger, 5_000);
    } finally {
      await served.stop();
    }
  });

  it('a store that is out is waited for', async () => {
    let out = true;
    const { pool } = parts();
    const told: string[] = [];
    const said = issued();
    await submitted(said);
    follow({
      log: ({ what }) => void told.push(what),
      pool: over(pool, {
        query: ((...args: [string]) => {
          if (out) throw new Error('Connection terminated unexpectedly');
          return pool.query(...args);
        }) as never,
      }),
    });
    await until('it is told', () => told.length > 2);
    out = false;
    await becomesSettled(said);
  });
});
