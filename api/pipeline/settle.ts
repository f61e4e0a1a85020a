import {
  at as keyOf,
  canonical,
  keysOf,
  parseCheckpoint,
  readLines,
  refereeBatch,
  type Coordinate,
  type Entry,
  type Log,
  type Station,
  type Values,
  type Verdict,
} from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import { findBatch, VALID, type BatchTransaction } from '../ledger/submit.ts';
import { attemptsAfter, saveBatch, stopLog } from '../store/batches.ts';
import { lockNames } from '../store/events.ts';
import { withTransaction, type Db } from '../store/pool.ts';
import { parsedValue, readWorld, writeWorld } from '../store/world.ts';
import { trusting, type Pipeline } from './context.ts';
import { refreshRegistry } from './registry.ts';

/** The ledger's answer and our own recomputation differ, or the ledger has batches that are not ours: the log stops. */
export class LogDiffers extends Error {}

/** What the mirror made of a batch. */
export interface Judged {
  /** the values that it was judged on */
  on: Values;
  entries: Entry[];
  verdicts: Verdict[];
  writes: [key: string, value: string][];
  nodes: { at: Coordinate; hash: Uint8Array }[];
  number: number;
  checkpoint: string;
}

/**
 * Judges a batch on the mirror exactly as the endorsers judged it on the ledger, whether it is only endorsed or valid. Throws
 * LogDiffers if the answers differ. `before`: what was made of it before, good for as long as the values are the same.
 */
export async function judgeAgain(
  pipeline: Pipeline,
  db: Db,
  org: string,
  transaction: BatchTransaction,
  is: 'endorsed' | 'valid',
  before?: Judged,
): Promise<Judged> {
  const entries = before?.entries ?? readLines(transaction.lines);
  const keys = keysOf(entries, [org]);
  const found = await readWorld(db, keys);
  if (before && keys.every((key) => before.on.get(key) === found.get(key))) return before;
  const mirrored = await judgeOn(pipeline, org, transaction, entries, found);
  if (mirrored) return mirrored;
  // A station may have been enrolled or revoked elsewhere: what the mirror knows of the registry is read anew, once.
  const registry = keys.filter((key) => !/^(?:subject|window|log|token)~/.test(key));
  await refreshRegistry(pipeline, db, org, registry);
  failpoint('judge-refreshed');
  const values = await readWorld(db, keys);
  const refreshed = await judgeOn(pipeline, org, transaction, entries, values);
  if (refreshed) return refreshed;
  const earlier = withoutLaterRevocations(
    values,
    is === 'valid' ? sizeAfter(transaction) : sizeOf(values, org),
  );
  const asItWas = await judgeOn(pipeline, org, transaction, entries, earlier);
  if (asItWas) return asItWas;
  throw new LogDiffers(
    `the ledger's answer to batch ${transaction.after + 1} differs from the recomputed one`,
  );
}

/**
 * The values as they were when the batch was judged, if a station was revoked since: between the batch and its settling
 * there may lie a restart. A revocation names the size that its organisation's log had; from `size` on it came later.
 */
function withoutLaterRevocations(values: Values, size: number): Values {
  const earlier = new Map(values);
  for (const key of values.keys()) {
    if (!key.startsWith(keyOf.station(''))) continue;
    const station = parsedValue<Station>(values, key);
    if (station?.revoked === undefined || station.revoked < size) continue;
    const { revoked: _, ...enrolled } = station;
    earlier.set(key, canonical(enrolled));
  }
  return earlier;
}

const sizeOf = (values: Values, org: string): number => parsedValue<Log>(values, keyOf.log(org))?.size ?? 0;

const sizeAfter = ({ answer }: BatchTransaction): number =>
  answer.stale === undefined ? parseCheckpoint(answer.checkpoint).size : 0;

async function judgeOn(
  { ledger }: Pipeline,
  org: string,
  { after, lines, at, answer }: BatchTransaction,
  entries: (Entry | undefined)[],
  values: Values,
): Promise<Judged | undefined> {
  const nodes: Judged['nodes'] = [];
  const judged = await refereeBatch(
    { channel: ledger.profile.channel, org, after, lines },
    entries,
    values,
    at,
    trusting,
    (place, hash) => nodes.push({ at: place, hash }),
  );
  if (judged.answer.stale !== undefined || canonical(judged.answer) !== canonical(answer)) return undefined;
  const { batch: number, checkpoint } = judged.answer;
  // Our own entries are well formed: they were read when they were received.
  return {
    on: values,
    entries: entries as Entry[],
    verdicts: judged.verdicts,
    writes: judged.writes,
    nodes,
    number,
    checkpoint,
  };
}

/** Stores what a valid transaction settled, in one transaction. `before`: as for judgeAgain. Throws LogDiffers. */
export async function settle(
  pipeline: Pipeline,
  org: string,
  transaction: BatchTransaction,
  before?: Judged,
): Promise<void> {
  const decided = await withTransaction(pipeline.pool, async (tx) => {
    await lockNames(tx, [keyOf.log(org)]);
    const entries = await settleIn(tx, pipeline, org, transaction, before);
    failpoint('settle-before-commit');
    return entries;
  });
  failpoint('settle-after-commit');
  pipeline.decisions.announce(decided);
}

/**
 * Stores what a valid transaction settled: verdicts, records, the log's nodes, and the mirror of the state it wrote. A batch
 * that is settled already changes nothing. The caller holds the log's lock; answers with the entries that have their
 * verdicts now. Throws LogDiffers before anything is written.
 */
export async function settleIn(
  tx: Db,
  pipeline: Pipeline,
  org: string,
  transaction: BatchTransaction,
  before?: Judged,
): Promise<Entry[]> {
  const last = parsedValue<Log>(await readWorld(tx, [keyOf.log(org)]), keyOf.log(org))?.batch ?? 0;
  if (last > transaction.after) return [];
  const judged = await judgeAgain(pipeline, tx, org, transaction, 'valid', before);
  const { entries, verdicts, writes, nodes, number, checkpoint } = judged;
  await saveBatch(tx, { org, number, txId: transaction.txId, checkpoint, entries, verdicts, nodes });
  await writeWorld(tx, writes);
  return entries;
}

/**
 * Settles the batch after this one if one of the attempts to write it went in, of the newest so many. Returns whether one
 * had.
 */
export async function settleAttempt(
  pipeline: Pipeline,
  org: string,
  after: number,
  most: number,
): Promise<boolean> {
  for (const txId of await attemptsAfter(pipeline.pool, org, after, most)) {
    const found = await findBatch(pipeline.ledger, org, txId);
    if (found?.code !== VALID) continue;
    failpoint('attempt-found');
    await settle(pipeline, org, found.transaction);
    return true;
  }
  return false;
}

/** Stops a log and says why: nothing is written to it until a person has looked. */
export async function stop(
  { pool, log }: Pipeline,
  org: string,
  { message }: LogDiffers,
  db: Db = pool,
): Promise<void> {
  failpoint('stop-before-save');
  await stopLog(db, org, message);
  log({ level: 'error', what: 'log stopped', org, why: message });
}
