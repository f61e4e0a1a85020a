import { setTimeout as sleep } from 'node:timers/promises';
import { at as keyOf, type Log } from '@yaoji/chaincode/core';
import { Client } from 'pg';
import type { Db } from '../store/pool.ts';
import { auditAnchors } from './anchors.ts';
import type { Chain } from './chain.ts';
import type { Difference, Differ } from './differ.ts';
import { auditEvents } from './events.ts';
import { analyseExpected, createExpected } from './expected.ts';
import { replayChain } from './replay.ts';
import {
  auditArrivals,
  auditAttempts,
  auditBatches,
  auditDeviations,
  auditKeys,
  auditNodes,
  auditState,
  auditStopped,
  auditWorld,
  type Stale,
} from './tables.ts';

/** The store cannot be audited: there is none, or it is none of ours. */
export class StoreUnreachable extends Error {}

export const STAGES = ['blocks', 'events', 'tables', 'state'] as const;
export type Stage = (typeof STAGES)[number];

export interface AuditOptions {
  /** a connection string; what it may do beyond reading is not used */
  databaseUrl: string;
  chain: Chain;
  /** told of each difference as it is found */
  onDifference: (difference: Difference) => void;
  onProgress?: (stage: Stage, done: number, of: number) => void;
  /** how long a registration that is under way gets to reach the store's mirror, ms */
  patience?: number;
}

/** What was gone through. */
export interface AuditSummary {
  differences: number;
  blocks: number;
  events: number;
  /** events without a verdict */
  pending: number;
  refused: number;
  records: number;
  batches: number;
  /** keys of the ledger's state */
  keys: number;
  /** batches that the ledger has and a running service has yet to settle, by organisation */
  ahead: { [org: string]: number };
  /** keys of the registry that the mirror has not needed yet */
  unread: number;
  /** numbers that stations have skipped */
  skipped: number;
}

/**
 * Recomputes from the ledger's blocks what the store must hold, judging every batch anew, and names every place where the
 * store's snapshot differs. Writes nothing but temporary tables of its own connection. Throws StoreUnreachable or
 * ChainUnreachable when there is nothing to compare.
 */
export async function audit(options: AuditOptions): Promise<AuditSummary> {
  const { chain, onDifference, onProgress = () => {}, patience = 2_000 } = options;
  let differences = 0;
  const differ: Differ = (table, key, what) => {
    differences++;
    onDifference({ table, key, what });
  };
  // The order of these three is what tells "not settled yet" from "missing": an attempt is stored before it is submitted, so
  // the snapshot has one for every transaction below the first height; and what it has settled is below the second.
  const before = await chain.height();
  const client = await connect(options.databaseUrl);
  try {
    const settled = await takeSnapshot(client);
    const height = await chain.height();
    const { ahead, recent } = await replayChain({
      db: client,
      chain,
      differ,
      settled,
      before,
      height,
      progress: (done) => onProgress('blocks', done, height),
    });
    await analyseExpected(client);

    const identities = await countOf(client, 'event');
    const counts = await auditEvents(client, differ, (done) => onProgress('events', done, identities));

    const checks = [
      auditKeys,
      auditBatches,
      auditNodes,
      auditArrivals,
      auditDeviations,
      auditStopped,
      auditAnchors,
    ];
    for (const [i, check] of checks.entries()) {
      await check(client, differ);
      onProgress('tables', i + 1, checks.length + 2);
    }
    await auditAttempts(client, before, differ);
    const { stale, unread } = await auditWorld(client, recent, differ);
    onProgress('tables', checks.length + 2, checks.length + 2);

    const keys = await countOf(client, 'audit_world');
    await auditState(client, chain, height, differ, (done) => onProgress('state', done, keys));
    const records = await countOf(client, 'record');
    const batches = await countOf(client, 'batch');
    await client.query('commit');
    await auditStale(client, chain, stale, differ, patience);
    return {
      differences,
      blocks: height,
      ...counts,
      records,
      batches,
      keys,
      ahead: Object.fromEntries(ahead),
      unread,
    };
  } finally {
    await client.end().catch(() => {});
  }
}

async function connect(databaseUrl: string): Promise<Client> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: 'yaoji audit',
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const { rows } = await client.query<{ found: string | null }>("select to_regclass('world') as found");
    if (rows[0]!.found === null) throw new Error('the database holds no Yaoji store');
    return client;
  } catch (cause) {
    await client.end().catch(() => {});
    throw new StoreUnreachable(`the store cannot be read: ${(cause as Error).message}`, { cause });
  }
}

/** Begins the one transaction that everything is read in, and says up to which batch of each organisation it has settled. */
async function takeSnapshot(db: Db): Promise<Map<string, number>> {
  // A large store takes longer than any statement of the service may.
  await db.query('set statement_timeout = 0; set idle_in_transaction_session_timeout = 0');
  await createExpected(db);
  await db.query('begin isolation level repeatable read read only');
  const { rows } = await db.query<{ org: string; number: string }>(
    'select org, max(number) as number from batch group by org',
  );
  const settled = new Map(rows.map(({ org, number }) => [org, Number(number)]));
  const logs = await db.query<{ key: string; value: string }>(
    "select key, value from world where key like 'log~%'",
  );
  // Where the two disagree one of them was changed: the larger one is what the store once had.
  for (const { key, value } of logs.rows) {
    const org = key.slice(keyOf.log('').length);
    settled.set(org, Math.max(settled.get(org) ?? 0, batchOf(value)));
  }
  return settled;
}

function batchOf(value: string): number {
  try {
    return Number((JSON.parse(value) as Partial<Log>).batch) || 0;
  } catch {
    return 0;
  }
}

async function countOf(db: Db, table: string): Promise<number> {
  const { rows } = await db.query<{ count: string }>(`select count(*) from ${table}`);
  return Number(rows[0]!.count);
}

/** A registration reaches the ledger first and the mirror a moment later: what is still behind then is a difference. */
async function auditStale(
  db: Db,
  chain: Chain,
  stale: readonly Stale[],
  differ: Differ,
  patience: number,
): Promise<void> {
  let left = [...stale];
  for (const end = Date.now() + patience; left.length;) {
    const keys = left.map(({ key }) => key);
    const { rows } = await db.query<{ key: string; value: string }>(
      'select key, value from world where key = any($1)',
      [keys],
    );
    const kept = new Map(rows.map(({ key, value }) => [key, value]));
    const state = await chain.state(keys);
    left = left.filter(({ key }) => kept.get(key) !== state.get(key));
    if (Date.now() >= end) break;
    if (left.length) await sleep(Math.min(patience, 200));
  }
  for (const { key, what } of left) differ('world', key, what);
}
