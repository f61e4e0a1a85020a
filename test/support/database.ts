import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RootHookObject } from 'mocha';
import { migrate } from '@yaoji/api/store/migrate';
import { openPool, type Db } from '@yaoji/api/store/pool';
import { startPostgres, type RunningPostgres } from '@yaoji/scripts/postgres';

const TEMPLATE = 'yaoji_template';

let server: Promise<RunningPostgres> | undefined;

/** The run's own PostgreSQL, started at the first call. It ends with this process, and its folder with it. */
async function startServer(): Promise<RunningPostgres> {
  const running = await startPostgres({
    folder: join(tmpdir(), `yaoji-test-${randomBytes(8).toString('hex')}`),
    log: () => {},
    disposable: true,
    // Run the suite against an installed version, such as POSTGRES_PREFIX=/usr/lib/postgresql/15.
    prefix: process.env['POSTGRES_PREFIX'] || undefined,
  });
  await asAdmin(running, (db) => db.query(`create database ${TEMPLATE} owner yaoji`));
  await using(databaseUrl(running.url, TEMPLATE), async (pool) => {
    const client = await pool.connect();
    try {
      await migrate(client);
    } finally {
      client.release();
    }
  });
  return running;
}

/** A database of its own for a test; the URL is its owner's. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** A database with the project's migrations applied. */
export function freshDatabase(): Promise<TestDatabase> {
  return create(TEMPLATE);
}

/** A database with nothing in it. */
export function emptyDatabase(): Promise<TestDatabase> {
  return create('template0');
}

/** A copy of a database as it stands. Whoever is connected to that is cut off, and comes back a moment later. */
export async function copyOf({ url }: TestDatabase): Promise<TestDatabase> {
  const name = new URL(url).pathname.slice(1);
  const running = await server!;
  const allow = (yes: boolean): Promise<void> =>
    asAdmin(running, (db) => db.query(`alter database ${name} allow_connections ${yes}`));
  await allow(false);
  try {
    await asAdmin(running, (db) =>
      db.query('select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1', [name]),
    );
    return await create(name);
  } finally {
    await allow(true);
  }
}

async function create(template: string): Promise<TestDatabase> {
  server ??= startServer();
  const running = await server;
  const name = `test_${randomBytes(8).toString('hex')}`;
  await asAdmin(running, (db) => db.query(`create database ${name} owner yaoji template ${template}`));
  return {
    url: databaseUrl(running.url, name),
    drop: async () => {
      await asAdmin(running, (db) => db.query(`drop database if exists ${name} with (force)`));
    },
  };
}

/** Registered by the runner: the server is gone before mocha's process is. */
export const rootHooks: RootHookObject = {
  async afterAll() {
    await (await server)?.stop();
    server = undefined;
  },
};

function databaseUrl(url: string, name: string): string {
  const changed = new URL(url);
  changed.pathname = `/${name}`;
  return changed.href;
}

async function asAdmin(running: RunningPostgres, work: (db: Db) => Promise<unknown>): Promise<void> {
  await using(running.adminUrl, work);
}

async function using(
  url: string,
  work: (pool: ReturnType<typeof openPool>) => Promise<unknown>,
): Promise<void> {
  const pool = openPool(url, { max: 1, onError: () => {} });
  try {
    await work(pool);
  } finally {
    await pool.end();
  }
}
