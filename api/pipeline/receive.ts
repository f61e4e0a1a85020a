import { RULES, type Json } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import { withTransaction } from '../store/pool.ts';
import { isStoreUnavailable } from '../store/unavailable.ts';
import type { ItemAnswer, Principal } from '../service.ts';
import { admit } from './admit.ts';
import type { Pipeline } from './context.ts';
import { Projections } from './projection.ts';
import { receiptsOf } from './receipts.ts';
import { mirrorRegistry } from './registry.ts';
import { Together } from './together.ts';
import { nameOf, Rejected, understand, type Said } from './understand.ts';

/** How long a step that decides a race waits for its verdict before the caller is told "verdict pending", ms. */
const WAIT = 4_000;
/** How often it looks meanwhile whether another process has settled it, ms. */
const LOOK_EVERY = 1_000;

/** Events of several requests that are stored together. */
const MOST_TOGETHER = 200;
/** From the beginning of one such transaction to that of the next, ms: the first after a quiet while begins at once. */
const APART = 25;

type Storing = Together<Said, Map<Said, ItemAnswer>>;
const storings = new WeakMap<Pipeline, Storing>();

/** A pipeline's one place where events are stored, so that many small requests share a transaction. */
function storingOf(pipeline: Pipeline): Storing {
  const found = storings.get(pipeline);
  if (found) return found;
  const projections = new Projections(pipeline.ledger.profile.organisations.map(({ mspId }) => mspId));
  const made: Storing = new Together(
    async (said) => {
      const { answers, projection, pending } = await withTransaction(pipeline.pool, async (tx) => {
        const admitted = await admit(pipeline, tx, projections, said);
        failpoint('receive-before-commit');
        return admitted;
      });
      failpoint('receive-after-commit');
      projections.remember(projection, pending);
      return answers;
    },
    { most: MOST_TOGETHER, atOnce: 4, apart: APART, concernsAll: isStoreUnavailable },
  );
  storings.set(pipeline, made);
  return made;
}

/**
 * Stores what can be stored of these items in one transaction, which may hold others', and answers each, in order. What an item
 * says is judged against the settled and the pending state before it is stored; an illegal one is stored with its code. Steps
 * that decide a race are answered after their verdict, or after some seconds.
 */
export async function receive(
  pipeline: Pipeline,
  principal: Principal,
  items: readonly Json[],
): Promise<ItemAnswer[]> {
  const understood = items.map((item) => {
    try {
      return understand(pipeline.keys, principal, item);
    } catch (error) {
      if (error instanceof Rejected) return error;
      throw error;
    }
  });
  const said = understood.flatMap((item) => (item instanceof Rejected ? [] : [item]));
  const answers = said.length ? await stored(pipeline, principal, said) : new Map<Said, ItemAnswer>();
  failpoint('receive-before-answer');
  return understood.map((item) =>
    item instanceof Rejected ? { rejection: item.rejection } : answers.get(item)!,
  );
}

async function stored(
  pipeline: Pipeline,
  principal: Principal,
  said: readonly Said[],
): Promise<ReadonlyMap<Said, ItemAnswer>> {
  const registry = new Set(said.flatMap((item) => item.registry));
  await mirrorRegistry(pipeline, principal.org, [...registry]);
  const answers = await storingOf(pipeline).do(said);
  pipeline.nudge(principal.org);
  const racing = said.filter((item) => RULES[item.step]?.waits && answers.get(item)!.receipt);
  if (racing.length === 0 || pipeline.failing(principal.org)) return answers;
  await waitForRaces(pipeline, racing);
  const receipts = await receiptsOf(pipeline.pool, racing);
  const decided = racing.map((item): [Said, ItemAnswer] => [
    item,
    { receipt: receipts.get(nameOf(item))!.receipt },
  ]);
  return new Map([...answers, ...decided]);
}

/** Waits for the verdicts on these events, some seconds at most. */
async function waitForRaces({ pool, decisions, log }: Pipeline, racing: readonly Said[]): Promise<void> {
  const waits = racing.map((item) => decisions.wait(item, WAIT));
  // The verdict may have been announced before we listened; a held one will not come in time.
  const undecided = async (): Promise<boolean[]> => {
    const receipts = await receiptsOf(pool, racing);
    return racing.map((item) => receipts.get(nameOf(item))!.receipt.outcome === 'pending');
  };
  const pending = await undecided();
  // Another process of this service may settle it, and announces it to its own callers only.
  const looking = setInterval(() => {
    undecided().then(
      (still) => decisions.announce(racing.filter((_, i) => !still[i])),
      (error: Error) => log({ level: 'warn', what: 'verdict not looked up', why: error.message }),
    );
  }, LOOK_EVERY);
  await Promise.all(waits.filter((_, i) => pending[i]));
  clearInterval(looking);
}
