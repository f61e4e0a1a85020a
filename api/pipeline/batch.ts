import { at as keyOf, type Log } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import { isDisagreement } from '../ledger/errors.ts';
import { proposeBatch, VALID } from '../ledger/submit.ts';
import { attemptsAfter, saveAttempt, stoppedLogs } from '../store/batches.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import type { Pipeline } from './context.ts';
import { ready } from './ready.ts';
import { judgeAgain, LogDiffers, settle, settleAttempt } from './settle.ts';

/** Entries in one batch: the gain of larger transactions flattens here. */
const MOST = 500;
// Other organisations' peers lag by a block now and then: nothing was submitted, so endorsing again is free.
const ENDORSE_TRIES = 10;

/**
 * Writes one organisation's ready entries to the ledger in one transaction and settles it. Returns whether anything was
 * settled; throws what the ledger's client throws, after which the next turn asks what became of the attempt.
 * Only one turn of an organisation may run at a time.
 */
export async function batch(pipeline: Pipeline, org: string): Promise<boolean> {
  const { pool, ledger } = pipeline;
  if ((await stoppedLogs(pool)).some((stopped) => stopped.org === org)) return false;
  const after = parsedValue<Log>(await readWorld(pool, [keyOf.log(org)]), keyOf.log(org))?.batch ?? 0;
  // An attempt whose answer was lost may have gone in.
  if (await settleAttempt(pipeline, org, after)) return true;

  const lines = await ready(pipeline, org, MOST);
  if (lines.length === 0) return false;

  for (let attempt = 1; ; attempt++) {
    const proposal = proposeBatch(ledger, org, after, lines);
    try {
      const endorsed = await proposal.endorse();
      failpoint('batch-endorsed');
      if (endorsed.answer.stale !== undefined)
        return await overtaken(pipeline, org, after, endorsed.answer.stale);
      // A difference is found before anything is written.
      await judgeAgain(pipeline, org, endorsed, 'endorsed');
      failpoint('batch-judged');
      // Not before: in a long outage of the ledger there would be thousands of attempts to ask about behind it.
      failpoint('attempt-before-save');
      await saveAttempt(pool, { txId: proposal.txId, org, follows: after });
      failpoint('attempt-after-save');
      const code = await endorsed.submit();
      failpoint('batch-answered');
      // Overtaken by a registration or by an attempt of ours that was still queued: the next turn builds it anew.
      if (code !== VALID) return false;
      await settle(pipeline, org, endorsed);
      return true;
    } catch (error) {
      if (!isDisagreement(error) || attempt === ENDORSE_TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10 * attempt));
    }
  }
}

/** The ledger has gone on from where we thought it was: then one of our own attempts went in after all. */
async function overtaken(pipeline: Pipeline, org: string, after: number, last: number): Promise<boolean> {
  if (await settleAttempt(pipeline, org, after)) return true;
  const attempts = await attemptsAfter(pipeline.pool, org, after);
  throw new LogDiffers(
    `the ledger is at batch ${last}, the store at ${after}, and none of ${attempts.length} attempts is known`,
  );
}
