import { setTimeout as sleep } from 'node:timers/promises';
import { at as keyOf, type Entry } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import { followBlocks, writesOf, type FollowedBlock } from '../ledger/blocks.ts';
import { readBatch } from '../ledger/submit.ts';
import { attemptsAmong, stoppedLogs } from '../store/batches.ts';
import { moveCursor, readCursor } from '../store/cursor.ts';
import { lockNames } from '../store/events.ts';
import { withTransaction } from '../store/pool.ts';
import { isStoreUnavailable } from '../store/unavailable.ts';
import { writeRegistered } from '../store/world.ts';
import type { Pipeline } from './context.ts';
import { LogDiffers, settleIn, stop } from './settle.ts';

// The worker settles what it submits itself. What it could not (it was killed, or lost the answer), what another process of
// this service submitted, and what was registered past this service, is found in the ledger's blocks.

/** Blocks are looked at together, as many as come in so long, ms: what workers settle themselves is settled by then. */
const GATHER = 1_000;
/** … but no more than this many, when many are to be caught up with. */
const MOST = 50;
const MOST_BACK_OFF = 2_000;

export interface Follower {
  /** whether a peer sends blocks: it did at the start, and nothing has broken since */
  following(): boolean;
  /** ends after the blocks under way */
  stop(): Promise<void>;
}

/** Follows the ledger's blocks from the store's cursor on, for ever, from one peer after another. */
export function startFollower(pipeline: Pipeline): Follower {
  const stopping = new AbortController();
  let following = false;

  async function loop(): Promise<void> {
    for (let backOff = 50; !stopping.signal.aborted; backOff = Math.min(MOST_BACK_OFF, backOff * 2)) {
      try {
        await stream(() => {
          following = true;
          backOff = 50;
        });
      } catch (error) {
        if (stopping.signal.aborted) return;
        // A store that is out says nothing about the ledger.
        if (!isStoreUnavailable(error)) following = false;
        const why = (error as Error).message;
        pipeline.log({ level: 'warn', what: 'blocks not followed', why, again: backOff });
        await pause(backOff);
      }
    }
  }

  /** Takes what one stream brings. Throws when it breaks. */
  async function stream(alive: () => void): Promise<never> {
    const over = new AbortController();
    const signal = AbortSignal.any([stopping.signal, over.signal]);
    let cursor = await readCursor(pipeline.pool);
    // From the block that we have, which is there: that it comes says that the stream works.
    const blocks = followBlocks(pipeline.ledger, Math.max(0, cursor), signal);
    let next = nextOf(blocks);
    try {
      for (;;) {
        const gathered = [await next];
        alive();
        next = nextOf(blocks);
        const time = pause(GATHER);
        while (gathered.length < MOST) {
          // If it breaks, that is said when what has come is taken.
          const more = await Promise.race([time, next.catch(() => undefined)]);
          if (!more) break;
          gathered.push(more);
          next = nextOf(blocks);
        }
        const fresh = gathered.filter(({ number }) => number > cursor);
        fresh.forEach(({ number }, i) => {
          if (number !== cursor + 1 + i) throw new Error(`block ${number} came after ${cursor + i}`);
        });
        if (fresh.length === 0) continue;
        await take(pipeline, fresh);
        cursor = fresh.at(-1)!.number;
      }
    } finally {
      over.abort();
      next.catch(() => {});
    }
  }

  const pause = (ms: number): Promise<void> =>
    sleep(ms, undefined, { signal: stopping.signal }).catch(() => undefined);

  const running = loop();
  return {
    following: () => following,
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

async function nextOf(blocks: AsyncGenerator<FollowedBlock>): Promise<FollowedBlock> {
  const { value, done } = await blocks.next();
  if (done) throw new Error('the stream of blocks has ended');
  return value;
}

/** Stores what these blocks tell and the store does not know, and the cursor, in one transaction. */
async function take(pipeline: Pipeline, blocks: readonly FollowedBlock[]): Promise<void> {
  const { pool, ledger } = pipeline;
  const transactions = blocks.flatMap((block) => block.transactions);
  const attempts = await attemptsAmong(
    pool,
    transactions.map(({ txId }) => txId),
  );
  const unsettled = transactions.flatMap(({ txId, envelope }) => {
    const attempt = attempts.get(txId);
    return attempt?.settled === false ? [{ org: attempt.org, transaction: readBatch(envelope) }] : [];
  });
  const registered: [key: string, value: string][] = [];
  const foreign: [org: string, txId: string][] = [];
  for (const { txId, envelope } of transactions) {
    if (attempts.has(txId)) continue;
    const writes = writesOf(envelope, ledger.profile.chaincode);
    const [log] = writes.find(([key]) => key.startsWith(LOG)) ?? [];
    if (log !== undefined) foreign.push([log.slice(LOG.length), txId]);
    else registered.push(...writes.filter(([key]) => /^(?:member|site|station|subject)~/.test(key)));
  }

  const decided = await withTransaction(pool, async (tx) => {
    const entries: Entry[] = [];
    await lockNames(
      tx,
      unsettled.map(({ org }) => keyOf.log(org)),
    );
    await writeRegistered(tx, registered);
    const stopped = new Set((await stoppedLogs(tx)).map(({ org }) => org));
    // With the cursor or not at all: these blocks do not come again.
    const stopOnce = async (org: string, error: LogDiffers): Promise<void> => {
      if (stopped.has(org)) return;
      stopped.add(org);
      await stop(pipeline, org, error, tx);
    };
    for (const { org, transaction } of unsettled) {
      if (stopped.has(org)) continue;
      try {
        entries.push(...(await settleIn(tx, pipeline, org, transaction)));
      } catch (error) {
        if (!(error instanceof LogDiffers)) throw error;
        await stopOnce(org, error);
      }
    }
    for (const [org, txId] of foreign) await stopOnce(org, notOurs(txId));
    await moveCursor(tx, blocks.at(-1)!.number);
    failpoint('follow-before-commit');
    return entries;
  });
  failpoint('follow-after-commit');
  pipeline.decisions.announce(decided);
}

const LOG = keyOf.log('');

const notOurs = (txId: string): LogDiffers =>
  new LogDiffers(
    `the ledger has a batch that the store does not know (transaction ${txId}): ` +
      'the store is an older copy, or somebody else writes with this organisation’s identity',
  );
