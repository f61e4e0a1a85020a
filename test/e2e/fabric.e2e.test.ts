import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLedger } from '@yaoji/api/ledger/connect';
import { register } from '@yaoji/api/ledger/register';
import { proposeBatch, VALID } from '@yaoji/api/ledger/submit';
import { readState } from '@yaoji/api/ledger/view';
import { RegistrationRefused } from '@yaoji/api/service';
import { openPool } from '@yaoji/api/store/pool';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { at as keyOf, canonical, verify, type Log } from '@yaoji/chaincode/core';
import { readStatus, type NodeStatus } from '@yaoji/network/fabric/status';
import { insist } from '@yaoji/network/fabric/wait';
import { ApiError, fetchBundle, fetchTrust } from '@yaoji/scripts/client';
import { ledgerFolder, superviseApi } from '@yaoji/scripts/instance';
import { check } from '@yaoji/scripts/soak/check';
import { expect } from 'chai';
import { endsAsTold } from '../support/afterwards.ts';
import { copyOf, freshDatabase, type TestDatabase } from '../support/database.ts';
import { needsFabric, REAL_FABRIC } from '../support/fabric.ts';
import { startKillable, type Killable } from '../support/killable.ts';
import { Outbox, randomKey, Tale } from '../support/outbox.ts';
import { until } from '../support/service.ts';

const STORY = ['RX_ISSUED', 'RX_REVIEWED', 'RX_ROUTED', 'RX_ACCEPTED', 'HERBS_DISPENSED', 'HERBS_CHECKED'];
/** How long something may take that waits for a new leader, or for a process that is started again, ms. */
const LONG = 60_000;

describe(`${REAL_FABRIC}: the service on it`, function () {
  this.timeout(300_000);

  let database: TestDatabase;
  /** the store as it was before the traffic */
  let backup: TestDatabase;
  let world: Killable;
  const outbox = new Outbox();

  before(async function () {
    await needsFabric(this);
    database = await freshDatabase();
    world = await startKillable(database.url, 'fabric');
  });
  after(async () => {
    await world?.stop();
    await Promise.all([database?.drop(), backup?.drop()]);
  });

  const ended = (): Promise<void> => endsAsTold(world.pool, world.ledger, outbox.events, LONG);
  const apiLog = (): string => readFileSync(join(world.folder, 'log', 'api.log'), 'utf8');

  /** A prescription that these centres may accept. */
  async function routed(...centres: Killable['stations']['hospital'][]): Promise<Tale[]> {
    const prescription = randomKey();
    const tales = centres.map((centre) => new Tale(world.stations, centre, prescription));
    await tales[0]!.tell(outbox, 'RX_ISSUED', 'RX_REVIEWED');
    const { statement } = tales[0]!.find('RX_ROUTED');
    await outbox.say(tales[0]!.speaker(tales[0]!.find('RX_ROUTED')), {
      ...statement,
      payload: { ...statement.payload, centres: centres.map(({ client }) => client.access.org) },
    });
    return tales;
  }

  it('tells the reference story, and its box passes every check, with real endorsements', async () => {
    const tale = new Tale(world.stations);
    await world.stations.centres[0]!.client.registerDevice(tale.keys.device);
    for (const told of tale.told) await tale.say(outbox, told);
    await ended();
    const trust = await fetchTrust(world.access.url);
    expect(trust.development).to.equal(false);
    const bundle = await fetchBundle(world.access.url, tale.token);
    const report = await verify(bundle, { trust, token: tale.token, now: Date.now(), suite: verifierSuite });
    const outcomes = Object.fromEntries(report.checks.map(({ id, outcome }) => [id, outcome]));
    for (const name of [
      'form',
      'box',
      'signatures',
      'trail',
      'rules',
      'disclosures',
      'inclusion',
      'endorsement',
      'fresh',
    ])
      expect(outcomes, name).to.include({ [name]: 'passed' });
    expect(report.ok).to.equal(true);
  });

  it("refuses what another organisation's station signed", async () => {
    const [first, second] = world.stations.centres;
    const [tale] = await routed(first!);
    const foreign = [...second!.stations.values()].find((station) => station.id.includes('reception'))!;
    const { statement } = tale!.find('RX_ACCEPTED');
    const { org, site } = first!.client.access;
    const item = foreign.item({ ...statement, org, site, station: foreign.id, n: 4_000 });
    const error = await first!.client.record(item).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(ApiError);
    expect((error as ApiError).status).to.be.within(400, 499);

    // Past the service: the members' contracts say so themselves.
    await eventually(async () => {
      const after = await lastBatch(org);
      const { answer } = await proposeBatch(world.ledger, org, after, [canonical(item.entry)]).endorse();
      expect(answer.stale === undefined && answer.refused).to.deep.equal([{ code: 'STATION_FOREIGN', i: 0 }]);
    });
  });

  it("refuses an organisation that works with another's identity", async () => {
    const { profile } = world.instance;
    const [hospital, centre] = profile.organisations;
    const pretending = connectLedger({
      ...profile,
      organisations: [{ ...hospital!, identities: centre!.identities }, ...profile.organisations.slice(1)],
    });
    try {
      const error = await register(pretending, hospital!.mspId, 'RevokeStation', 'nobody').then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).to.be.instanceOf(Error).and.not.instanceOf(RegistrationRefused);
    } finally {
      pretending.close();
    }
  });

  describe('under traffic,', () => {
    before(async () => {
      backup = await copyOf(database);
    });

    for (const [what, which] of [
      [
        "the hospital's peer, which is its gateway",
        ({ name }) => /peer/.test(name) && /hospital/i.test(name),
      ],
      [
        "the regulator's peer, which is nobody's gateway",
        ({ name }) => /peer/.test(name) && /regulator/i.test(name),
      ],
      ["the hospital's contract", ({ name }) => /chaincode/.test(name) && /hospital/i.test(name)],
      ["a centre's contract", ({ name }) => /chaincode-decoction/i.test(name)],
      ['the orderer that leads', ({ isLeader }) => isLeader === true],
      ['an orderer that follows', ({ isLeader }) => isLeader === false],
    ] as [string, (node: NodeStatus) => boolean][])
      it(`${what} is killed, and nothing is lost or doubled`, async () => {
        await dies(what, async () => {
          // A node that is busy, or elects a leader just now, does not say what it is.
          const pid = await insist(what, LONG, async () => {
            const node = (await readStatus(ledgerFolder(world.folder))).find(which);
            if (node?.pid === undefined) throw new Error('it is not there');
            return node.pid;
          });
          process.kill(pid, 'SIGKILL');
        });
      });

    it('the API is killed, and nothing is lost or doubled', async () => {
      await dies('the API', async () => {
        await (
          await world.restartApi()
        ).ready;
      });
    });

    it('everything but the API is killed, and nothing is lost or doubled', async () => {
      await dies('everything', async () => {
        for (const { pid } of await readStatus(ledgerFolder(world.folder)))
          if (pid !== undefined) process.kill(pid, 'SIGKILL');
      });
    });
  });

  // A suite of its own: a suite's tests run before the suites in it.
  describe('at the end,', () => {
    it('all of it, compared with the blocks, is as it was answered', async () => {
      const { databaseUrl, profile } = world.instance;
      const { differences } = await check({ databaseUrl, profile }, outbox.events);
      expect(differences).to.deep.equal([]);
      expect(apiLog()).not.to.contain('log stopped');
    });

    it('an API on an older copy of the store says at its start which logs have gone on, and writes to none', async () => {
      const pool = openPool(backup.url, { max: 1, onError: () => {} });
      const batches = async (): Promise<unknown> =>
        (await pool.query('select org, max(number) from batch group by org order by org')).rows;
      const before = await batches();
      const api = superviseApi(world.folder, backup.url, {});
      try {
        const { url } = (await api.ready) as { url: string };
        const stopped = async (): Promise<string[]> => {
          const answer = await fetch(`${url}/readyz`);
          return ((await answer.json()) as { stopped: { org: string }[] }).stopped.map(({ org }) => org);
        };
        const told = ['DecoctionMSP', 'HospitalMSP', 'SecondDecoctionMSP'];
        await until('it says so', async () => (await stopped()).length >= told.length, LONG);
        expect(await stopped()).to.deep.equal(told);
        expect(await batches()).to.deep.equal(before);
      } finally {
        await api.stop();
        await pool.end();
      }
    });

    // The last: the store does not know it.
    it('makes one of two batches valid that follow the same', async () => {
      const { org, site } = world.access.organisations.find(({ kind }) => kind === 'regulator')!;
      const line = (n: number): string => {
        const station = [...world.stations.hospital.stations.values()][0]!;
        const { statement } = new Tale(world.stations).find('RX_ISSUED');
        return canonical(station.item({ ...statement, org, site, station: station.id, n }).entry);
      };
      const after = await lastBatch(org);
      const endorsed = await Promise.all(
        [5_001, 5_002].map((n) =>
          eventually(() => proposeBatch(world.ledger, org, after, [line(n)]).endorse()),
        ),
      );
      const codes = await Promise.all(endorsed.map((one) => one.submit()));
      expect(codes.filter((code) => code === VALID)).to.have.length(1);
      await eventually(async () => {
        const stale = await proposeBatch(world.ledger, org, after, [line(5_003)]).endorse();
        expect(stale.answer).to.deep.equal({ stale: after + 1 });
      });
    });
  });

  /** Two centres' stations tell short stories while it happens, and some after it; then all of it is settled once. */
  async function dies(what: string, kill: () => Promise<void>): Promise<void> {
    const over = new AbortController();
    const tellers = Promise.all(
      world.stations.centres.map(async (centre) => {
        while (!over.signal.aborted) await new Tale(world.stations, centre).tell(outbox, ...STORY);
      }),
    );
    // Whoever stops them gets the error.
    tellers.catch(() => {});
    const answered = async (more: number): Promise<void> => {
      const least = outbox.events.length + more;
      await until(`${more} more events are answered`, () => outbox.events.length >= least, LONG);
    };
    let from = 0;
    try {
      await answered(12);
      from = Date.now();
      await kill();
      await answered(24);
      await sleep(2_000);
    } finally {
      // Whatever went wrong, the next test has its own traffic only.
      over.abort();
      await tellers;
    }
    const { rows } = await world.pool.query<{ settled_at: Date }>(
      'select settled_at from batch where settled_at > $1 order by settled_at',
      [new Date(from)],
    );
    const times = [from, ...rows.map((row) => row.settled_at.getTime())];
    const gap = Math.max(...times.slice(1).map((time, i) => time - times[i]!));
    process.stdout.write(`    ${what}: longest time without a settled batch ${gap} ms\n`);
    await ended();
  }

  /** Nothing is submitted by an endorsement: it is asked for again while peers, or this reader, are a block behind. */
  const eventually = <T>(attempt: () => Promise<T>): Promise<T> =>
    insist('peers at one height', 10_000, attempt);

  async function lastBatch(org: string): Promise<number> {
    const text = (await readState(world.ledger, org, [keyOf.log(org)])).get(keyOf.log(org));
    return text === undefined ? 0 : (JSON.parse(text) as Log).batch;
  }
});
