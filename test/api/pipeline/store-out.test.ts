import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import { request } from '@yaoji/scripts/client';
import { startPostgres, type RunningPostgres } from '@yaoji/scripts/postgres';
import { leaveOut } from '../../support/left-out.ts';
import {
  countRows,
  enrol,
  realParts,
  receiptOf,
  serveService,
  Telling,
  until,
  type Said,
  type ServedService,
} from '../../support/service.ts';
import { StoreProxy } from '../../support/store-proxy.ts';

const ORG = 'HospitalMSP';

describe('while the store is out', function () {
  this.timeout(120_000);
  const parts = realParts();
  let way: StoreProxy;
  let served: ServedService;
  before(async () => {
    way = await StoreProxy.to(parts().databaseUrl);
    served = await serveService(parts(), { databaseUrl: way.url, ownerUrl: parts().databaseUrl });
  });
  after(async () => {
    await served?.stop();
    way?.close();
  });

  const issued = (): Said => new Telling(parts()).say('RX_ISSUED');
  const post = (said: Said, to = served): Promise<Response> =>
    fetch(`${to.access.url}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${to.of(ORG).recorder}` },
      body: JSON.stringify(said.item),
    });
  async function expectOut(response: Response): Promise<void> {
    const { code } = (await response.json()) as { code: string };
    expect([response.status, code]).to.deep.equal([503, 'STORE_UNAVAILABLE']);
    expect(Number(response.headers.get('retry-after'))).to.be.within(1, 60);
  }
  /** Posts until it is taken; every other answer must say that the store is out. */
  async function taken(said: Said): Promise<number> {
    for (let repeats = 0; ; repeats++) {
      const response = await post(said);
      if (response.ok) return repeats;
      await expectOut(response);
      await sleep(20);
    }
  }
  const settledOnce = async (...all: Said[]): Promise<void> => {
    for (const said of all) {
      await until('it is settled', async () => (await receiptOf(parts(), said))?.outcome === 'settled');
      expect(await countRows(parts(), said)).to.include({ event: 1, verdict: 1, record: 1, pending: 0 });
    }
  };

  it('every verb that needs it answers 503 with Retry-After, and works again when it is back', async () => {
    const { url } = served.access;
    const said = issued();
    way.down();
    const token = new Telling(parts()).token;
    const { recorder, registrar } = served.of(ORG);
    await expectOut(await post(said));
    for (const path of [
      `/v1/packages/${token}/bundle`,
      `/p/${token}`,
      `/v1/packages/${token}/label.svg`,
      `/v1/packages/${token}/label.png`,
    ])
      await expectOut(await fetch(url + path));
    const headers = { authorization: `Bearer ${recorder}` };
    await expectOut(await fetch(`${url}/v1/receipts/connector/1`, { headers }));
    for (const [path, body] of [
      ['/v1/stations', {}],
      ['/v1/devices', {}],
      ['/v1/stations/x/revoke', undefined],
    ] as const)
      await expectOut(
        await fetch(url + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${registrar}`, 'content-type': 'application/json' },
          ...(body ? { body: JSON.stringify(body) } : {}),
        }),
      );
    expect((await request(url, '/readyz')).status).to.equal(503);
    expect((await request(url, '/healthz')).status).to.equal(200);
    expect((await request(url, '/trust.json')).status).to.equal(200);

    await way.up();
    await taken(said);
    await settledOnce(said);
    expect((await request(url, '/readyz')).status).to.equal(200);
    expect((await fetch(`${url}/p/${token}`)).status).to.equal(404);
  });

  it('whose answer to a commit is lost, the event is there once, and asking again tells', async () => {
    const said = issued();
    way.cutCommits(1);
    await expectOut(await post(said));
    // We know of the cut before the server has done what it was told.
    await until('the event is there', async () => (await countRows(parts(), said)).event === 1);
    expect((await post(said)).ok).to.equal(true);
    await settledOnce(said);
  });

  it('when it has no connection left nothing is stored, until it has', async () => {
    const name = new URL(parts().databaseUrl).pathname.slice(1);
    const said = issued();
    await parts().owner.query(`alter database ${name} connection limit 0`);
    try {
      way.cut();
      await expectOut(await post(said));
    } finally {
      await parts().owner.query(`alter database ${name} connection limit -1`);
    }
    await taken(said);
    await settledOnce(said);
  });

  it('when it is killed under traffic, no answer is wrong, nothing is lost and nothing doubled', async () => {
    const ROUNDS = 3;
    const all: Said[] = [];
    let repeats = 0;
    const stop = new AbortController();
    const stations = await Promise.all(
      Array.from({ length: 4 }, (_, i) =>
        enrol(parts().pipeline(), parts().principal(ORG, 'registrar'), `out-${Date.now()}-${i}`, [
          'PRESCRIBER',
        ]),
      ),
    );
    const traffic = stations.map(async (by) => {
      while (!stop.signal.aborted) {
        const said = new Telling(parts()).say('RX_ISSUED', { by });
        repeats += await taken(said);
        all.push(said);
      }
    });
    for (let round = 0; round < ROUNDS; round++) {
      const before = all.length;
      await until('events are taken', () => all.length >= before + 10, 60_000);
      // PostgreSQL goes down as a whole with a backend that is killed, and recovers from its log.
      const { rows } = await parts().owner.query<{ pid: number }>('select pg_backend_pid() as pid');
      process.kill(rows[0]!.pid, 'SIGKILL');
    }
    const before = all.length;
    await until('events are taken behind the last kill', () => all.length >= before + 10, 60_000);
    stop.abort();
    await Promise.all(traffic);
    await settledOnce(...all);
    expect(repeats, 'answers of a store that is out').to.be.greaterThan(0);
  });

  describe('because its disk is full', () => {
    const disk = mkdtempSync(join(tmpdir(), 'yaoji-disk-'));
    let mounted = false;
    let server: RunningPostgres | undefined;
    before(async function () {
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=160m,mode=755', 'tmpfs', disk], {
          stdio: 'ignore',
        });
        mounted = true;
      } catch {
        leaveOut(this, 'a full disk', 'this user cannot mount a small one');
      }
      server = await startPostgres({ folder: join(disk, 'postgres'), log: () => {} });
    });
    after(async () => {
      await server?.stop();
      if (mounted) execFileSync('umount', [disk]);
      rmSync(disk, { recursive: true, force: true });
    });

    it('nothing is stored until there is room again', async () => {
      const full = new Pool({ connectionString: server!.adminUrl.replace('/postgres?', '/yaoji?'), max: 1 });
      full.on('error', () => {});
      const here = await serveService(
        { ...parts(), databaseUrl: server!.url, pool: full },
        { databaseUrl: server!.url, ownerUrl: server!.url },
      );
      try {
        const first = await post(issued(), here);
        expect(first.status, await first.text()).to.equal(202);
        fill(join(disk, 'ballast'));
        // What little room is left in the pages of its tables may take some events, durably.
        const said: Said[] = [];
        let refused: Response | undefined;
        while (!refused && said.length < 2_000) {
          said.push(issued());
          const response = await post(said.at(-1)!, here);
          if (!response.ok) refused = response;
        }
        expect(refused, 'an answer of a full store').not.to.equal(undefined);
        await expectOut(refused!);

        rmSync(join(disk, 'ballast'));
        await until('it is taken', async () => (await post(said.at(-1)!, here)).status === 202);
        for (const { station, n } of said) {
          const { rowCount } = await full.query('select from event where station = $1 and n = $2', [
            station,
            n,
          ]);
          expect(rowCount).to.equal(1);
        }
      } finally {
        await here.stop();
        await full.end();
      }
    });
  });
});

/** Writes a file until its disk is full. */
function fill(path: string): void {
  const file = openSync(path, 'w');
  try {
    for (const size of [1 << 20, 4096])
      for (;;)
        try {
          writeSync(file, Buffer.alloc(size));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          break;
        }
  } finally {
    closeSync(file);
  }
}
