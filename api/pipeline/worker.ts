import { setTimeout as delay } from 'node:timers/promises';
import { failpoint } from '../failpoints.ts';
import { hasPending } from '../store/queue.ts';
import { isStoreUnavailable } from '../store/unavailable.ts';
import { batch } from './batch.ts';
import type { Pipeline } from './context.ts';
import { LogDiffers, stop } from './settle.ts';

// One loop per organisation. A nudge wakes it at once; without one it looks now and then, since another process of this
// service may have stored something, or a held entry may have become ready.
const LOOK_EVERY = 500;
// Between the beginnings of two batches. A transaction costs about the same for one entry as for many: what arrives meanwhile
// goes together, and the first after a quiet while goes at once.
const PACE = 100;
const MOST_BACK_OFF = 2_000;

export interface Worker {
  /** wakes the loop of this organisation, or of all */
  nudge(org?: string): void;
  /** ends after the batch under way */
  stop(): Promise<void>;
  /** whether the last try for this organisation, or for any, failed because of the ledger */
  failing(org?: string): boolean;
}

/** Runs batch → settle for every organisation of the ledger's profile, for ever; what fails is tried again. */
export function startWorker(pipeline: Pipeline): Worker {
  const stopping = new AbortController();
  const failing = new Set<string>();
  const wakers = new Map<string, () => void>();
  const woken = new Set<string>();

  const sleep = (org: string, ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (stopping.signal.aborted || woken.delete(org)) return resolve();
      const wake = (): void => {
        clearTimeout(timer);
        wakers.delete(org);
        woken.delete(org);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      wakers.set(org, wake);
    });

  async function loop(org: string): Promise<void> {
    let backOff = 0;
    while (!stopping.signal.aborted) {
      const begun = performance.now();
      try {
        const settled = await turn(pipeline, org);
        backOff = 0;
        failing.delete(org);
        if (!settled) await sleep(org, LOOK_EVERY);
        else {
          nudge(); // another organisation may have waited for this verdict
          await delay(Math.max(0, begun + PACE - performance.now()));
        }
      } catch (error) {
        // A store that is out says nothing about the ledger.
        if (!isStoreUnavailable(error)) failing.add(org);
        backOff = Math.min(MOST_BACK_OFF, backOff * 2 || 50);
        pipeline.log({
          level: 'warn',
          what: 'batch failed',
          org,
          why: (error as Error).message,
          again: backOff,
        });
        if (error instanceof LogDiffers) await stop(pipeline, org, error).catch(() => {});
        await delay(backOff);
      }
    }
  }

  function nudge(org?: string): void {
    for (const { mspId } of pipeline.ledger.profile.organisations) {
      if (org !== undefined && org !== mspId) continue;
      woken.add(mspId);
      wakers.get(mspId)?.();
    }
  }

  const loops = pipeline.ledger.profile.organisations.map(({ mspId }) => loop(mspId));
  return {
    nudge,
    async stop() {
      stopping.abort();
      nudge();
      await Promise.all(loops);
    },
    failing: (org) => (org === undefined ? failing.size > 0 : failing.has(org)),
  };
}

/** One turn for an organisation, unless another process of this service is at it. Returns whether anything was settled. */
async function turn(pipeline: Pipeline, org: string): Promise<boolean> {
  const { pool } = pipeline;
  if (!(await hasPending(pool, org))) return false;
  const client = await pool.connect();
  try {
    const { rows } = await client.query<{ taken: boolean }>(
      'select pg_try_advisory_lock(hashtextextended($1, 1)) as taken',
      [`batch ${org}`],
    );
    if (!rows[0]!.taken) return false;
    failpoint('turn-locked');
    try {
      const settled = await batch(pipeline, org);
      failpoint('turn-over');
      return settled;
    } finally {
      await client.query('select pg_advisory_unlock(hashtextextended($1, 1))', [`batch ${org}`]);
    }
  } finally {
    client.release();
  }
}
