import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import type { ClientBase } from 'pg';

// Seen from dist/store/. The SQL files are not compiled, so they stay with the sources.
const MIGRATIONS = new URL('../../store/migrations/', import.meta.url);

// Any fixed number, the same for all runners: "yaoji" in ASCII.
const LOCK = 0x79616f6a69;

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly sha256: string;
}

/**
 * Brings the database up to date with a folder of numbered SQL files (`0001_log.sql`), each in a transaction of its own,
 * and resolves to the names applied now. Runners wait for one another. Throws, before changing anything, if a file that
 * was applied earlier is missing or has changed, or if a new one is numbered before an applied one; throws naming the
 * file if its SQL fails, and keeps the files before it. The client must be a connection, not a pool: the lock is its.
 */
export async function migrate(client: ClientBase, folder: URL = MIGRATIONS): Promise<string[]> {
  const files = await readMigrations(folder);
  // Another runner may take longer than a statement of the service ever may, and so may a migration.
  await client.query('set statement_timeout = 0; set lock_timeout = 0');
  await client.query('select pg_advisory_lock($1)', [LOCK]);
  try {
    await client.query(
      `create table if not exists migration (
         name text primary key,
         sha256 text not null,
         applied_at timestamptz not null default now())`,
    );
    const fresh = await pending(client, files);
    for (const file of fresh) await apply(client, file);
    return fresh.map(({ name }) => name);
  } finally {
    await client.query('select pg_advisory_unlock($1)', [LOCK]);
    await client.query('reset statement_timeout; reset lock_timeout');
  }
}

async function readMigrations(folder: URL): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
  for (const [i, name] of names.entries()) {
    if (!/^\d{4}_[a-z0-9_]+\.sql$/.test(name))
      throw new Error(`migration ${name}: not named like 0001_log.sql`);
    if (name.slice(0, 4) === names[i - 1]?.slice(0, 4))
      throw new Error(`migration ${name}: has the number of ${names[i - 1]}`);
  }
  return Promise.all(
    names.map(async (name) => {
      const bytes = await readFile(new URL(name, folder));
      return { name, sql: bytes.toString('utf8'), sha256: createHash('sha256').update(bytes).digest('hex') };
    }),
  );
}

/** The files not applied yet, after a look at all that were: history may only grow at its end. */
async function pending(client: ClientBase, files: Migration[]): Promise<Migration[]> {
  const { rows: applied } = await client.query<{ name: string; sha256: string }>(
    'select name, sha256 from migration order by name collate "C"',
  );
  for (const [i, { name, sha256 }] of applied.entries()) {
    const file = files[i];
    if (!files.some((one) => one.name === name))
      throw new Error(`migration ${name}: was applied to this database, but the file is missing`);
    if (file?.name !== name)
      throw new Error(`migration ${file?.name}: is new, but ${name} was applied before it`);
    if (file.sha256 !== sha256)
      throw new Error(`migration ${name}: has changed since it was applied to this database`);
  }
  return files.slice(applied.length);
}

async function apply(client: ClientBase, { name, sql, sha256 }: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query('insert into migration (name, sha256) values ($1, $2)', [name, sha256]);
    await client.query(sql);
    await client.query('commit');
  } catch (cause) {
    await client.query('rollback');
    throw new Error(`migration ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
