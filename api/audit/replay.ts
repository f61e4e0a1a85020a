import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  at as keyOf,
  canonical,
  keysOf,
  parseCanonical,
  readLines,
  refereeBatch,
  utf8,
  type Answer,
  type Coordinate,
  type Entry,
  type Verdict,
} from '@yaoji/chaincode/core';
import { VALID } from '../ledger/submit.ts';
import type { Db } from '../store/pool.ts';
import type { Chain, ChainTransaction } from './chain.ts';
import { firstDifference, type Differ } from './differ.ts';
import { Expectations, ReplayedState, type ExpectedLine } from './expected.ts';

// Goes through the ledger's blocks in their order, judges every batch anew with the same referee, signatures and all, and
// writes down what the store must hold.

export interface Replay {
  db: Db;
  chain: Chain;
  differ: Differ;
  /** the last batch of each organisation that the store's snapshot says it has settled */
  settled: ReadonlyMap<string, number>;
  /** the height before the snapshot: every transaction below it was submitted before the snapshot was taken */
  before: number;
  /** the height to go to, from after the snapshot */
  height: number;
  progress: (block: number) => void;
}
export interface Replayed {
  /** batches by organisation that the ledger has and the store has yet to settle */
  ahead: Map<string, number>;
  /** earlier values of registry keys that registrations wrote while or after the snapshot was taken */
  recent: Map<string, (string | undefined)[]>;
}

const AHEAD_OF_US = 8;

/** Fills the tables of what is expected. Names where the ledger itself does not follow its rules. */
export async function replayChain(replay: Replay): Promise<Replayed> {
  const { chain, height, progress } = replay;
  const state = new ReplayedState(replay.db);
  const expected = new Expectations(replay.db);
  const replayed: Replayed = { ahead: new Map(), recent: new Map() };
  const coming: Promise<ChainTransaction[]>[] = [];
  for (let block = 0, asked = 0; block < height; block++) {
    for (; asked < Math.min(height, block + AHEAD_OF_US); asked++) {
      const answer = chain.block(asked);
      // It is awaited below; until then nobody else must take its failure for unhandled.
      answer.catch(() => {});
      coming.push(answer);
    }
    for (const transaction of await coming.shift()!) {
      if (transaction.args[0] === 'RecordBatch')
        await goThrough(replay, replayed, state, expected, block, transaction);
      else if (transaction.code === VALID) await register(replay, replayed, state, block, transaction);
    }
    await state.spillIfLarge();
    progress(block + 1);
  }
  await expected.flush();
  await state.spill();
  return replayed;
}

async function register(
  { before }: Replay,
  { recent }: Replayed,
  state: ReplayedState,
  block: number,
  { writes }: ChainTransaction,
): Promise<void> {
  await state.read([...writes.keys()]);
  if (block >= before)
    for (const key of writes.keys()) recent.set(key, [...(recent.get(key) ?? []), state.mirrored(key)]);
  await state.write(writes, true);
}

async function goThrough(
  replay: Replay,
  { ahead }: Replayed,
  state: ReplayedState,
  expected: Expectations,
  block: number,
  transaction: ChainTransaction,
): Promise<void> {
  const { differ } = replay;
  const { txId, org, code, timestamp, args } = transaction;
  const [, after = '', text = ''] = args;
  await expected.transaction({ txId, org, follows: Number(after) || 0, code, block, timestamp });
  if (code !== VALID) return;

  const lines = text.split('\n');
  const entries = readLines(lines);
  const { answer, verdicts, nodes } = await judge(replay, state, transaction, entries, lines);
  if (answer.stale !== undefined) return;
  const isSettled = answer.batch <= (replay.settled.get(org) ?? 0);
  await state.write(transaction.writes, isSettled);
  if (!isSettled) {
    ahead.set(org, (ahead.get(org) ?? 0) + 1);
    const unknown = await whyUnknown(replay, org, answer.batch, txId);
    if (block < replay.before && unknown) differ('batch', `${org} ${answer.batch}`, unknown);
    return;
  }
  const identified = entries.flatMap((entry, i) => (entry ? [{ entry, i }] : []));
  for (const { entry, i } of identified)
    if (verdicts[i]?.accepted)
      state.use([keyOf.member(org), keyOf.site(org, entry.site), keyOf.station(entry.station)]);
  await expected.batch({
    org,
    number: answer.batch,
    txId,
    block,
    timestamp,
    checkpoint: answer.checkpoint,
    entries: lines.length,
    lines: identified.flatMap(({ entry, i }) => expectedLine(entry, lines[i]!, verdicts[i])),
    nodes,
  });
}

interface Judged {
  /** the ledger's */
  answer: Answer;
  /** recomputed; none when the referee calls the batch stale and the ledger did not */
  verdicts: Verdict[];
  nodes: { at: Coordinate; hash: Uint8Array }[];
}

/** Judges a batch on the ledger's state before it, and names where the ledger came to something else. */
async function judge(
  { chain: { channel }, differ }: Replay,
  state: ReplayedState,
  { txId, org, timestamp, args, answer: said, writes }: ChainTransaction,
  entries: (Entry | undefined)[],
  lines: string[],
): Promise<Judged> {
  const nodes: Judged['nodes'] = [];
  const values = await state.read([...new Set([...keysOf(entries, [org]), ...writes.keys()])]);
  const judged = await refereeBatch(
    { channel, org, after: Number(args[1]), lines },
    entries,
    values,
    Math.floor(timestamp / 60_000),
    nodeSuite,
    (place, hash) => nodes.push({ at: place, hash }),
  );
  const recomputed = canonical(judged.answer);
  if (recomputed !== said)
    differ(
      'ledger',
      `transaction ${txId}`,
      `the recomputed answer differs: ${firstDifference(recomputed, said)}`,
    );
  // What stands there afterwards counts, not whether it was written anew.
  const own = new Map<string, string | undefined>(judged.writes);
  const after = (made: ReadonlyMap<string, string | undefined>, key: string): string | undefined =>
    made.has(key) ? made.get(key) : values.get(key);
  for (const key of new Set([...own.keys(), ...writes.keys()]))
    if (after(own, key) !== after(writes, key))
      differ('ledger', `transaction ${txId}`, `it leaves another value under ${key} than was recomputed`);
  const answer = recomputed === said ? judged.answer : (parseCanonical(said) as unknown as Answer);
  return { answer, verdicts: judged.verdicts, nodes };
}

/** Why the store should have known more of a batch that it has not settled; undefined: it will settle it. */
async function whyUnknown(
  { db, settled }: Replay,
  org: string,
  number: number,
  txId: string,
): Promise<string | undefined> {
  const last = settled.get(org) ?? 0;
  // The service proposes a batch only once the one before it is settled.
  if (number > last + 1) return `the ledger has it (transaction ${txId}), the store ends at batch ${last}`;
  const { rowCount } = await db.query('select from attempt where tx_id = $1', [txId]);
  return rowCount ? undefined : `the ledger has it (transaction ${txId}), the store knows no attempt at it`;
}

function expectedLine(entry: Entry, line: string, verdict: Verdict | undefined): ExpectedLine[] {
  if (!verdict) return [];
  const { station, n } = entry;
  const about = { station, n, entryHash: nodeSuite.sha256(utf8(line)) };
  if (verdict.refused) return [{ ...about, refused: verdict.refused }];
  const { index, seq } = verdict.accepted;
  return [{ ...about, accepted: { index, seq, leaf: verdict.leaf, subject: entry.subject } }];
}
