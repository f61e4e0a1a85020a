import { at as keyOf, parseEntry, WINDOW, type Log, type Subject } from '@yaoji/chaincode/core';
import { isDisagreement } from '../ledger/errors.ts';
import { proposeBatch, VALID } from '../ledger/submit.ts';
import { attemptsAfter, saveAttempt, stoppedLogs } from '../store/batches.ts';
import { oldestPending, type PendingEvent } from '../store/events.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import type { Pipeline } from './context.ts';
import { awaitsGiver, giversFirst, handoverOf, HOLD_FOR, type Side } from './hold.ts';
import { judgeAgain, LogDiffers, settle, settleAttempt } from './settle.ts';

/** Entries in one batch: the gain of larger transactions flattens here. */
const MOST = 500;
/** How many pending events are looked through for one organisation's batch. */
const LOOKED_AT = 20_000;
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

  const lines = await ready(pipeline, org);
  if (lines.length === 0) return false;

  for (let attempt = 1; ; attempt++) {
    const proposal = proposeBatch(ledger, org, after, lines);
    await saveAttempt(pool, { txId: proposal.txId, org, follows: after });
    try {
      const endorsed = await proposal.endorse();
      if (endorsed.answer.stale !== undefined)
        return await overtaken(pipeline, org, after, endorsed.answer.stale);
      // A difference is found before anything is written.
      await judgeAgain(pipeline, org, endorsed, 'endorsed');
      const code = await endorsed.submit();
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

/**
 * The organisation's entries that may be written now, oldest first: everything pending before them on their subjects has a
 * verdict or precedes them here, so that two organisations never fight over one box.
 */
async function ready({ pool, now }: Pipeline, org: string): Promise<string[]> {
  const overdue = now() - HOLD_FOR;
  const pending = giversFirst((await oldestPending(pool, LOOKED_AT)).map(withSide), ({ side }) => side);
  const boxes = await readWorld(pool, [...new Set(pending.map(({ side }) => keyOf.subject(side.subject)))]);
  const oldestN = new Map<string, number>();
  for (const { station, n } of pending) oldestN.set(station, Math.min(n, oldestN.get(station) ?? n));

  const blocked = new Set<string>();
  const waiting = new Set<string>();
  const given = new Set<string | undefined>();
  const lines: string[] = [];
  for (const event of pending) {
    const { side, subjects: touched } = event;
    const handover = handoverOf(side);
    const held =
      event.receivedAt > overdue &&
      !given.has(handover) &&
      awaitsGiver(side, parsedValue<Subject>(boxes, keyOf.subject(side.subject)));
    if (held || touched.some((subject) => waiting.has(`${event.org} ${subject}`))) {
      // It waits for the other side of its handover, which must not wait for it.
      for (const subject of touched) waiting.add(`${event.org} ${subject}`);
      continue;
    }
    if (side.step === 'HANDED_OVER') given.add(handover);
    const free =
      event.org === org &&
      lines.length < MOST &&
      // The ledger remembers a station's last 1,024 numbers only: no entry may push an older pending one out of sight.
      event.n < oldestN.get(event.station)! + WINDOW &&
      !touched.some((subject) => blocked.has(subject));
    if (free) lines.push(event.line);
    else for (const subject of touched) blocked.add(subject);
  }
  return lines;
}

interface Sided extends PendingEvent {
  side: Side;
}

/** Only the entries of handovers are read here: there may be many thousands. */
function withSide(event: PendingEvent): Sided {
  const { org, subjects, line } = event;
  const side = /"step":"(?:COURIER_ACCEPTED|HANDED_OVER)"/.test(line)
    ? parseEntry(line)
    : { org, subject: subjects[0]!, step: '', open: {} };
  return { ...event, side };
}
