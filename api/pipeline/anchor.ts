import { anchorRoot, at as keyOf, checkpointsOf, originOf, type Checkpoint } from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import type { Chain } from '../chain/chain.ts';
import { RpcRefusal } from '../chain/rpc.ts';
import { ChainTrouble, type TroubleCode } from '../chain/trouble.ts';
import { failpoint } from '../failpoints.ts';
import { isUnavailable } from '../ledger/errors.ts';
import { takeView } from '../ledger/view.ts';
import { LedgerUnavailable, type AnchorAnswer } from '../service.ts';
import {
  anchorAttempts,
  anchorState,
  lastAnchor,
  newestFinal,
  notFinal,
  oldestPending,
  saveAnchor,
  saveAnchorAttempt,
  saveFinal,
  saveInclusion,
  saveLost,
  type AnchorPlace,
  type Included,
  type KeptAnchor,
} from '../store/anchors.ts';
import { withTransaction } from '../store/pool.ts';
import { isStoreUnavailable } from '../store/unavailable.ts';
import type { Pipeline } from './context.ts';

// One loop, beside those of the organisations: it shares nothing with them but the store, so that whatever the chain does
// delays anchoring and nothing else. One anchor is published at a time, the oldest first: then our next nonce is always the one
// after our last transaction in a block, and a transaction that was sent before is replaced by one of the same nonce.

/** What delays anchoring, for people and machines; the codes that are not the chain's name the other parts. */
export type AnchorTrouble = TroubleCode | 'LEDGER_UNAVAILABLE' | 'STORE_UNAVAILABLE' | 'INTERNAL';

export interface Anchorer {
  /** Anchors what is new now, and says what came of it as soon as there is a number, or a reason why there is none. */
  demand(): Promise<AnchorAnswer>;
  /** what delays anchoring since the last turn; undefined: nothing */
  trouble(): AnchorTrouble | undefined;
  /** ends at once: what was under way goes on where it was at the next start */
  stop(): Promise<void>;
}

/** How often things are done, all in ms. */
export interface AnchorPace {
  /** from one anchor to the next */
  every: number;
  /** from one anchor to the next at least, also on demand: each costs money */
  least: number;
  /** between two looks at the chain, while an anchor waits for a block and otherwise */
  waiting: number;
  idle: number;
  /** after a failure: twice as long each time, up to this */
  mostBackOff: number;
  /** how long a transaction may wait for a block before it is replaced by one that pays more */
  replaceAfter: number;
  /** how long a node may not know a block before that is believed */
  behind: number;
}

/** A chain that others run is asked seldom and paid seldom; a development chain may be gone, and is there again at once. */
export const paceOf = (every: number, development: boolean): AnchorPace => ({
  every,
  ...(development
    ? { least: 0, waiting: 200, idle: 1_000, mostBackOff: 2_000, replaceAfter: 10_000, behind: 0 }
    : {
        least: 60_000,
        waiting: 5_000,
        idle: 30_000,
        mostBackOff: 60_000,
        replaceAfter: 180_000,
        behind: 120_000,
      }),
});

/** So many transactions for one nonce: the last pays more than three times what the first did. */
const MOST_ATTEMPTS = 12;
/** One kind of trouble is told this often at most, ms. */
const TELL_EVERY = 600_000;
/** How long whoever demands an anchor waits for the answer, ms. */
const PATIENCE = 8_000;

/** What only a person can put right. */
const GRAVE: ReadonlySet<AnchorTrouble> = new Set([
  'CHAIN_OTHER',
  'CONTRACT_OTHER',
  'OPERATOR_OTHER',
  'KEY_FILE_OPEN',
  'KEY_FILE_BAD',
  'SEQ_TAKEN',
  'INTERNAL',
]);

type Demand = (answer: AnchorAnswer) => void;

interface Turn {
  pipeline: Pipeline;
  chain: Chain;
  place: AnchorPlace;
  pace: AnchorPace;
  /** what is remembered between turns */
  memory: { looked: number; behindSince: number | undefined };
  /** who waits to be told what came of it */
  demands: Demand[];
  signal: AbortSignal;
}

/** Anchors the logs for ever; what fails is tried again. `connect` makes the chain's client, whose calls end with the signal. */
export function startAnchorer(
  pipeline: Pipeline,
  connect: (signal: AbortSignal) => Chain,
  pace: AnchorPace,
): Anchorer {
  const stopping = new AbortController();
  const { signal } = stopping;
  const chain = connect(signal);
  const turn: Turn = {
    pipeline,
    chain,
    place: { chain: chain.name, contract: chain.contract },
    pace,
    memory: { looked: -Infinity, behindSince: undefined },
    demands: [],
    signal,
  };
  const told = new Map<AnchorTrouble, number>();
  let trouble: AnchorTrouble | undefined;
  let isTold = false;
  /** ends the pause under way */
  let wake: (() => void) | undefined;
  /** … and where none is, the next one */
  let isWoken = false;

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      wake = done;
      if (isWoken || signal.aborted) done();
      isWoken = false;
    });
  const wakeUp = (): void => {
    isWoken = wake === undefined;
    wake?.();
  };

  async function loop(): Promise<void> {
    let backOff = 0;
    while (!signal.aborted) {
      let pause: number;
      try {
        const left = await lockedTurn(turn);
        backOff = 0;
        recovered();
        pause = left === 'pending' ? pace.waiting : pace.idle;
      } catch (error) {
        if (signal.aborted) return;
        failed(error);
        backOff = Math.min(pace.mostBackOff, backOff * 2 || 500);
        pause = backOff;
      }
      if (turn.demands.length > 0) pause = Math.min(pause, pace.waiting);
      await sleep(pause);
    }
  }

  function failed(error: unknown): void {
    trouble = codeOf(error);
    const now = pipeline.now();
    if (now - (told.get(trouble) ?? -Infinity) >= TELL_EVERY) {
      told.set(trouble, now);
      isTold = true;
      const level = GRAVE.has(trouble) ? 'error' : 'warn';
      pipeline.log({ level, what: 'anchoring waits', code: trouble, why: (error as Error).message });
    }
    for (const answer of turn.demands.splice(0)) answer({ reason: trouble });
  }

  function recovered(): void {
    if (isTold) pipeline.log({ level: 'info', what: 'anchoring goes on', after: trouble });
    isTold = false;
    trouble = undefined;
  }

  const running = loop();
  return {
    demand: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          const place = turn.demands.indexOf(demand);
          if (place >= 0) turn.demands.splice(place, 1);
          resolve({ reason: trouble ?? 'LATER' });
        }, PATIENCE);
        const demand: Demand = (answer) => {
          clearTimeout(timer);
          resolve(answer);
        };
        turn.demands.push(demand);
        wakeUp();
      }),
    trouble: () => trouble,
    async stop() {
      stopping.abort();
      wakeUp();
      await running;
      for (const answer of turn.demands.splice(0)) answer({ reason: 'LATER' });
    },
  };
}

function codeOf(error: unknown): AnchorTrouble {
  if (error instanceof ChainTrouble) return error.code;
  if (isUnavailable(error)) return 'LEDGER_UNAVAILABLE';
  return isStoreUnavailable(error) ? 'STORE_UNAVAILABLE' : 'INTERNAL';
}

const LOCK = 'select pg_try_advisory_lock(hashtextextended($1, 2)) as taken';
const UNLOCK = 'select pg_advisory_unlock(hashtextextended($1, 2))';

/** What is left to be looked at. */
type Left = 'pending' | 'nothing';

/** One turn, unless another process of this service is at it. */
async function lockedTurn(turn: Turn): Promise<Left> {
  const client = await turn.pipeline.pool.connect();
  let usable = false;
  try {
    const name = [`anchor ${turn.place.chain} ${turn.place.contract}`];
    const { rows } = await client.query<{ taken: boolean }>(LOCK, name);
    try {
      return rows[0]!.taken ? await anchor(turn) : 'nothing';
    } finally {
      if (rows[0]!.taken) await client.query(UNLOCK, name);
      usable = true;
    }
  } finally {
    // A connection whose lock could not be given back takes the lock with it.
    client.release(!usable);
  }
}

/** Looks at what the chain made of the earlier anchors, keeps a view where one is due, and publishes what is pending. */
async function anchor(turn: Turn): Promise<Left> {
  const { chain, pipeline, place, demands } = turn;
  await chain.inspect();
  await watch(turn);
  for (;;) {
    const pending = (await oldestPending(pipeline.pool, place)) ?? (await keepView(turn));
    if (!pending) return 'nothing';
    const stillPending = { seq: pending.seq, state: 'pending', reason: 'OLDER_PENDING' } as const;
    for (const answer of demands.splice(0)) answer(stillPending);
    if (!(await publish(turn, pending))) return 'pending';
  }
}

// ── Keeping a view ─────────────────────────────────────────────────────────────────────────────────────────────────

/** Keeps a view of all logs as the next anchor, if one is due or demanded and there is something new in it. */
async function keepView(turn: Turn): Promise<KeptAnchor | undefined> {
  const { pipeline, place, pace, memory, demands } = turn;
  const { pool, now } = pipeline;
  const last = await lastAnchor(pool, place);
  const since = now() - Math.max(memory.looked, last?.keptAt ?? -Infinity);
  if (since < (demands.length > 0 ? pace.least : pace.every)) {
    for (const answer of demands.splice(0)) answer({ reason: 'TOO_SOON' });
    return undefined;
  }
  const { payload, values } = await viewLogs(turn);
  const { channel } = pipeline.ledger.profile;
  const checkpoints = checkpointsOf(values, channel);
  const root = anchorRoot(checkpoints, nodeSuite.sha256);
  const logs = checkpoints.map(({ origin, size }) => ({
    org: origin.slice(originOf(channel, '').length),
    size,
  }));
  for (const [org, size] of last?.sizes ?? [])
    if ((logs.find((log) => log.org === org)?.size ?? 0) < size)
      throw new LedgerUnavailable(`the ledger's peers are behind the last anchor with the log of ${org}`);
  memory.looked = now();
  if (isEmpty(checkpoints) || last?.root === `0x${Buffer.from(root).toString('hex')}`) {
    const state = last && (await anchorState(pool, place, last.seq));
    for (const answer of demands.splice(0))
      answer({ ...(state && { seq: state.seq, state: state.state }), reason: 'NOTHING_NEW' });
    return undefined;
  }
  failpoint('anchor-viewed');
  const seq = (last?.seq ?? 0) + 1;
  await withTransaction(pool, async (tx) => {
    await saveAnchor(tx, place, { seq, root, view: payload, logs });
    failpoint('anchor-before-commit');
  });
  failpoint('anchor-after-commit');
  for (const answer of demands.splice(0)) answer({ seq, state: 'pending' });
  return oldestPending(pool, place);
}

const isEmpty = (checkpoints: readonly Checkpoint[]): boolean => checkpoints.every(({ size }) => size === 0);

/** A view of all logs. When we are to stop it is not waited for: nothing depends on it. */
async function viewLogs({ pipeline: { ledger }, signal }: Turn): ReturnType<typeof takeView> {
  const orgs = ledger.profile.organisations.map(({ mspId }) => mspId);
  const taking = takeView(ledger, orgs[0]!, orgs.map(keyOf.log).sort());
  taking.catch(() => {});
  const stopped = new Promise<never>((_, reject) => {
    const stop = (): void => reject(new Error('stopping'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
  stopped.catch(() => {});
  return Promise.race([taking, stopped]);
}

// ── Publishing it ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Takes an anchor one step further. Returns whether it is in a block now, with its evidence stored. */
async function publish({ pipeline, chain, pace }: Turn, { id, seq, root }: KeptAnchor): Promise<boolean> {
  const { pool, log, now } = pipeline;
  const attempts = await anchorAttempts(pool, id);
  const there = await chain.rootOf(seq);
  if (there !== undefined) {
    if (there !== root)
      throw new ChainTrouble(
        'SEQ_TAKEN',
        `the chain has root ${there} under number ${seq}, and ours is ${root}: another store uses this contract, or this one is an older copy`,
      );
    const hashes = attempts.map(({ hash }) => hash);
    const evidence = await chain.find(seq, root, hashes);
    if (!evidence)
      throw new ChainTrouble('NODE_BEHIND', `the node knows the root of anchor ${seq}, and not its block`);
    failpoint('anchor-found');
    await saveInclusion(pool, id, evidence);
    failpoint('anchor-included');
    log({ level: 'info', what: 'anchored', seq, block: evidence.block, hash: evidence.hash });
    return true;
  }
  const nonce = await chain.nonce();
  // The others are dead: another transaction of theirs nonce is in a block, or the chain has forgotten what came before them.
  const [newest, ...others] = attempts.filter((attempt) => attempt.nonce === nonce);
  if (newest && (await isAccepted(chain, newest)) && now() - newest.begunAt < pace.replaceAfter) return false;
  if (others.length + 1 >= MOST_ATTEMPTS)
    throw new ChainTrouble('TRANSACTION_STUCK', `no block takes the transaction of anchor ${seq}`);
  const signed = await chain.sign(seq, root, nonce, newest);
  if (!signed) return false;
  failpoint('anchor-signed');
  await saveAnchorAttempt(pool, id, signed);
  failpoint('anchor-attempt-saved');
  await chain.send(signed);
  failpoint('anchor-sent');
  if (newest)
    log({ level: 'info', what: 'transaction replaced', seq, instead: newest.hash, by: signed.hash });
  return false;
}

/** Sends what was sent before: the node may have forgotten it. Returns whether it is good as it is. */
async function isAccepted(chain: Chain, attempt: Parameters<Chain['send']>[0]): Promise<boolean> {
  try {
    await chain.send(attempt);
    return true;
  } catch (error) {
    if (error instanceof RpcRefusal) return false;
    throw error;
  }
}

// ── Watching what became of it ─────────────────────────────────────────────────────────────────────────────────────

/** Notes which blocks have become final, and which the chain has no longer: their anchors are pending again. */
async function watch(turn: Turn): Promise<void> {
  const { pipeline, chain, place } = turn;
  const { pool, log } = pipeline;
  const open = await notFinal(pool, place);
  if (open.length > 0) {
    const final = await chain.finalBlock();
    for (const included of open) {
      if (await isGone(turn, included)) await lose(turn, included);
      else if (included.block <= final) {
        await saveFinal(pool, included.inclusion);
        failpoint('anchor-finished');
        log({ level: 'info', what: 'anchor final', seq: included.seq, block: included.block });
      }
    }
  }
  // A chain that has forgotten everything has forgotten these too.
  for (let last = await newestFinal(pool, place); last; last = await newestFinal(pool, place, last.seq)) {
    if (!(await isGone(turn, last))) break;
    await lose(turn, last);
  }
}

async function lose(
  { pipeline: { pool, log } }: Turn,
  { inclusion, seq, block, hash }: Included,
): Promise<void> {
  await saveLost(pool, inclusion);
  failpoint('anchor-lost');
  log({ level: 'warn', what: 'the chain has lost an anchor: it is published again', seq, block, hash });
}

/** Whether the chain has another block in this one's place, or has had none for so long that it is believed. */
async function isGone({ chain, memory, pace, pipeline }: Turn, { block, hash }: Included): Promise<boolean> {
  const found = await chain.hashOf(block);
  if (found !== undefined) {
    memory.behindSince = undefined;
    return found !== hash;
  }
  memory.behindSince ??= pipeline.now();
  if (pipeline.now() - memory.behindSince >= pace.behind) return true;
  throw new ChainTrouble('NODE_BEHIND', `the node does not know block ${block}, which holds an anchor`);
}
