import type { Values } from '@yaoji/chaincode/core';
import type { Db } from './pool.ts';

/** What the mirror holds under these keys; every key is in the answer, undefined where there is nothing. */
export async function readWorld(db: Db, keys: readonly string[]): Promise<Map<string, string | undefined>> {
  if (keys.length === 0) return new Map();
  const { rows } = await db.query<{ key: string; value: string }>(
    'select key, value from world where key = any($1)',
    [keys],
  );
  const found = new Map<string, string | undefined>(keys.map((key) => [key, undefined]));
  for (const { key, value } of rows) found.set(key, value);
  return found;
}

/** Writes values into the mirror: what the ledger holds under these keys. */
export async function writeWorld(
  db: Db,
  writes: Iterable<readonly [key: string, value: string]>,
): Promise<void> {
  const all = [...writes];
  if (all.length === 0) return;
  await db.query(
    `insert into world (key, value) select * from unnest($1::text[], $2::text[])
     on conflict (key) do update set value = excluded.value`,
    [all.map(([key]) => key), all.map(([, value]) => value)],
  );
}

/**
 * Writes into the mirror what registrations wrote on the ledger, as an older block or a peer that is behind tells it perhaps:
 * a revoked station stays revoked, and a subject that is mirrored already is left to its batches.
 */
export async function writeRegistered(
  db: Db,
  writes: Iterable<readonly [key: string, value: string]>,
): Promise<void> {
  const last = [...new Map(writes)];
  if (last.length === 0) return;
  await db.query(
    `insert into world (key, value) select * from unnest($1::text[], $2::text[])
     on conflict (key) do update set value = excluded.value
     where world.key not like 'subject~%' and not (world.key like 'station~%' and world.value::jsonb ? 'revoked')`,
    [last.map(([key]) => key), last.map(([, value]) => value)],
  );
}

/** The one value that stands under a key of values that were read before. */
export function parsedValue<T>(values: Values, key: string): T | undefined {
  const text = values.get(key);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}
