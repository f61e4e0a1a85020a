import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { openPool } from '@yaoji/api/store/pool';
import { Client, type Pool } from 'pg';
import { startPostgres, type RunningPostgres } from '@yaoji/scripts/postgres';
import { enrolStations, type Stations } from '@yaoji/scripts/soak/load';
import { startMachine, type Machine } from '@yaoji/scripts/soak/machine';
import { endsAsTold } from '../support/afterwards.ts';
import { startKillable, type Killable } from '../support/killable.ts';
import { leftOut } from '../support/left-out.ts';
import { Outbox, Tale } from '../support/outbox.ts';
import { until } from '../support/service.ts';

const STORY = ['RX_ISSUED', 'RX_REVIEWED', 'RX_ROUTED', 'RX_ACCEPTED', 'HERBS_DISPENSED', 'HERBS_CHECKED'];

/** Two centres' and a hospital's stations tell short stories until they are told to stop; the last ones to their end. */
function startTraffic(stations: Stations, outbox: Outbox): { stop(): Promise<void> } {
  const over = new AbortController();
  const tellers = [...stations.centres, stations.centres[0]!].map(async (centre) => {
    while (!over.signal.aborted) await new Tale(stations, centre).tell(outbox, ...STORY);
  });
  const all = Promise.all(tellers);
  // Whoever stops it gets the error.
  all.catch(() => {});
  return {
    async stop() {
      over.abort();
      await all;
    },
  };
}

/** Resolves when so many more events are answered. */
async function answered(outbox: Outbox, more: number): Promise<void> {
  const least = outbox.events.length + more;
  await until(`${more} more events are answered`, () => outbox.events.length >= least, 60_000);
}

/** Resolves when requests go unanswered, or are asked to come again. */
async function unanswered(outbox: Outbox): Promise<void> {
  const least = outbox.repeats + 3;
  await until('requests go unanswered', () => outbox.repeats >= least, 60_000);
}

function folderForAll(): string {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-deaths-'));
  // PostgreSQL does not run as root: where we do, its user must be able to enter.
  chmodSync(folder, 0o755);
  return folder;
}

describe('PostgreSQL that dies under traffic', function () {
  this.timeout(240_000);

  let folder: string;
  let disk: string | undefined;
  let postgres: RunningPostgres;
  let world: Killable;
  const outbox = new Outbox();
  const startAgain = async (): Promise<RunningPostgres> =>
    startPostgres({ folder: join(folder, 'disk', 'postgres'), log: () => {} });

  before(async () => {
    folder = folderForAll();
    mkdirSync(join(folder, 'disk'));
    disk = mountSmallDisk(join(folder, 'disk'));
    postgres = await startAgain();
    world = await startKillable(postgres.url);
  });
  after(async () => {
    await world?.stop();
    await postgres?.stop();
    if (disk !== undefined) execFileSync('umount', [disk]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Under traffic, lets something go wrong until it is over; the same API is then as if nothing had been. */
  async function under(trouble: () => Promise<void>): Promise<void> {
    const { api } = world;
    const traffic = startTraffic(world.stations, outbox);
    await answered(outbox, 10);
    await trouble();
    const begun = Date.now();
    await answered(outbox, 10);
    await traffic.stop();
    await endsAsTold(world.pool, world.ledger, outbox.events);
    process.stdout.write(`    all is settled ${Date.now() - begun} ms after\n`);
    expect(world.api).to.equal(api);
    expect(await Promise.race([api.exited, sleep(0, 'it lives')])).to.equal('it lives');
  }

  it('by SIGKILL, and is started again, has lost nothing that was answered', () =>
    under(async () => {
      for (let times = 0; times < 2; times++) {
        process.kill(postmaster(), 'SIGKILL');
        await postgres.exited;
        await unanswered(outbox);
        postgres = await startAgain();
        await answered(outbox, 5);
      }
    }));

  it('for all but others, who hold every connection, has lost nothing that was answered', () =>
    under(async () => {
      const held: Client[] = [];
      const enough = new AbortController();
      const grabbing = (async () => {
        while (!enough.signal.aborted) {
          const client = new Client({ connectionString: postgres.url, application_name: 'greedy' });
          client.on('error', () => {});
          await client.connect().then(
            () => held.push(client),
            () => sleep(5),
          );
        }
      })();
      // Whom the server lets go cannot come back.
      const admin = new Client({ connectionString: postgres.adminUrl, application_name: 'greedy' });
      await admin.connect();
      await until(
        'every connection is taken',
        async () => {
          const { rowCount } = await admin.query(
            `select pg_terminate_backend(pid) from pg_stat_activity
           where application_name = 'yaoji' and backend_type = 'client backend'`,
          );
          return held.length > 80 && rowCount === 0;
        },
        60_000,
      );
      await unanswered(outbox);
      enough.abort();
      await grabbing;
      await Promise.all([admin, ...held].map((client) => client.end()));
    }));

  it('of a full disk, in the middle of its log, has lost nothing that was answered', async function () {
    if (disk === undefined) this.skip();
    await under(async () => {
      const ballast = join(disk!, 'ballast');
      fill(ballast);
      const admin = new Client({ connectionString: postgres.adminUrl });
      admin.on('error', () => {});
      await admin.connect();
      // The next segment of its log finds no room.
      await admin.query('select pg_switch_wal()').catch(() => {});
      await unanswered(outbox);
      rmSync(ballast);
      await admin.end().catch(() => {});
      // A service manager would: it ends itself where it finds no room even to recover.
      const ended = await Promise.race([postgres.exited.then(() => true), sleep(1_000, false)]);
      if (ended) postgres = await startAgain();
    });
  });

  const postmaster = (): number =>
    Number(readFileSync(join(folder, 'disk', 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n')[0]);
});

/** Mounts a disk of so little room that it can be filled; undefined, and said so, where the machine does not allow it. */
function mountSmallDisk(at: string): string | undefined {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=192m,mode=755', 'tmpfs', at], { stdio: 'pipe' });
    return at;
  } catch {
    leftOut('a full disk under PostgreSQL', 'this machine lets us mount nothing');
    return undefined;
  }
}

function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const piece of [1 << 20, 1 << 12])
      try {
        for (;;) writeSync(file, Buffer.alloc(piece));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
  } finally {
    closeSync(file);
  }
}

describe('the ledger that dies under traffic', function () {
  this.timeout(240_000);

  let folder: string;
  let machine: Machine;
  let stations: Stations;
  let pool: Pool;
  let ledger: Ledger;
  const outbox = new Outbox();

  before(async () => {
    folder = folderForAll();
    machine = await startMachine(folder, () => 2_000);
    pool = openPool(machine.databaseUrl, { max: 2, onError: () => {} });
    ledger = connectLedger(machine.profile);
    stations = await enrolStations(machine.access, 'e2e');
  });
  after(async () => {
    ledger?.close();
    await pool?.end();
    await machine?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Every request is answered 2xx while it is gone; afterwards everything is settled. */
  async function goesOn(trouble: () => Promise<void>): Promise<void> {
    const traffic = startTraffic(stations, outbox);
    await answered(outbox, 10);
    await trouble();
    await traffic.stop();
    const begun = Date.now();
    await endsAsTold(pool, ledger, outbox.events);
    process.stdout.write(`    all is settled ${Date.now() - begun} ms after\n`);
    expect(outbox.repeats).to.equal(0);
    expect(machine.restarts.api).to.equal(0);
  }

  it('by SIGKILL, twice, keeps nobody from scanning, and has everything once when it is back', () =>
    goesOn(async () => {
      for (let times = 1; times <= 2; times++) {
        await machine.kill('ledger');
        await answered(outbox, 3);
        expect(machine.restarts.ledger).to.equal(times - 1);
        await until('it is started again', () => machine.restarts.ledger === times);
        await machine.ready();
        await answered(outbox, 10);
      }
    }));

  it('by the SIGKILL of its contract, twice, keeps nobody from scanning, and has everything once when it is back', () =>
    goesOn(async () => {
      for (let times = 0; times < 2; times++) {
        await machine.kill('chaincode');
        await answered(outbox, 15);
      }
    }));
});
