import { setTimeout as sleep } from 'node:timers/promises';
import { at as keyOf, type Log } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import { isDisagreement } from '../ledger/errors.ts';
import { proposeBatch, VALID, type EndorsedBatch } from '../ledger/submit.ts';
import { LedgerUnavailable } from '../service.ts';
import { saveAttempt, stoppedLogs } from '../store/batches.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import type { Pipeline } from './context.ts';
import { ready } from './ready.ts';
import { judgeAgain, LogDiffers, settle, settleAttempt, type Judged } from './settle.ts';

/** Entries in one batch: the gain of larger transactions flattens here. */
const MOST = 500;
/** How long what may only be peers that lag is tried again, ms. They lag by a block now and then, under load by some. */
const LAG = 3_000;
/** How many attempts are asked about before the next: while the orderers are out there is one more with every turn. */
const RECENT = 10;

/**
 * Writes one organisation's ready entries to the ledger in one transaction and settles it. Returns whether anything was
 * settled; throws what the ledger's client throws, after which the next turn asks what became of the attempt.
 * Only one turn of an organisation may run at a time.
 */
export async function batch(pipeline: Pipeline, org: string): Promise<boolean> {
  const { pool } = pipeline;
  if ((await stoppedLogs(pool)).some((stopped) => stopped.org === org)) return false;
  const after = parsedValue<Log>(await readWorld(pool, [keyOf.log(org)]), keyOf.log(org))?.batch ?? 0;
  // An attempt whose answer was lost may have gone in.
  if (await settleAttempt(pipeline, org, after, RECENT)) return true;

  const lines = await ready(pipeline, org, MOST);
  if (lines.length === 0) return false;

  const { endorsed, judged } = await endorse(pipeline, org, after, lines);
  if (endorsed.answer.stale !== undefined) return overtaken(pipeline, org, after, endorsed.answer.stale);
  // Not before: in a long outage of the ledger there would be thousands of attempts to ask about behind it.
  failpoint('attempt-before-save');
  await saveAttempt(pool, { txId: endorsed.txId, org, follows: after });
  failpoint('attempt-after-save');
  const code = await endorsed.submit();
  failpoint('batch-answered');
  // Overtaken by a registration or by an attempt of ours that was still queued: the next turn builds it anew.
  if (code !== VALID) return false;
  await settle(pipeline, org, endorsed, judged);
  return true;
}

/**
 * Has the batch endorsed with an answer that the service comes to as well, or with STALE. Peers that lag refuse to agree,
 * know less than the store does, or agree with one another on what was: nothing is submitted yet, so endorsing again is free,
 * and what lasts is not lagging. Throws LogDiffers then, or what the ledger's client throws.
 */
async function endorse(
  pipeline: Pipeline,
  org: string,
  after: number,
  lines: readonly string[],
): Promise<{ endorsed: EndorsedBatch; judged: Judged | undefined }> {
  const end = Date.now() + LAG;
  for (let pause = 0; ; pause = Math.min(200, pause + 20)) {
    try {
      const endorsed = await proposeBatch(pipeline.ledger, org, after, lines).endorse();
      failpoint('batch-endorsed');
      const { stale } = endorsed.answer;
      if (stale !== undefined && stale < after)
        throw new PeersBehind(`the ledger's peers are at batch ${stale} of ${org}, the store at ${after}`);
      // A difference is found before anything is written.
      const judged =
        stale === undefined
          ? await judgeAgain(pipeline, pipeline.pool, org, endorsed, 'endorsed')
          : undefined;
      failpoint('batch-judged');
      return { endorsed, judged };
    } catch (error) {
      const lagging = isDisagreement(error) || error instanceof PeersBehind || error instanceof LogDiffers;
      if (!lagging || Date.now() > end) throw error;
      // Not in step with the other organisations' workers.
      await sleep(pause * Math.random());
    }
  }
}

/** The peers do not know a batch yet that is valid and settled here. */
class PeersBehind extends LedgerUnavailable {}

/** The ledger has gone on from where we thought it was: then one of our own attempts went in after all. */
async function overtaken(pipeline: Pipeline, org: string, after: number, last: number): Promise<boolean> {
  // The peer that is asked about them may be behind those that said so.
  for (const end = Date.now() + LAG; ; await sleep(100)) {
    if (await settleAttempt(pipeline, org, after, Number.MAX_SAFE_INTEGER)) return true;
    if (Date.now() > end)
      throw new LogDiffers(
        `the ledger is at batch ${last}, the store at ${after}, and none of its attempts is known`,
      );
  }
}
