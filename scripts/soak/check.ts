import { setTimeout as sleep } from 'node:timers/promises';
import { common } from '@hyperledger/fabric-protos';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { readState } from '@yaoji/api/ledger/view';
import { openPool, type Db } from '@yaoji/api/store/pool';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  append,
  at,
  EMPTY,
  fromBase64url,
  fromUtf8,
  parseCanonical,
  parseEntry,
  readView,
  root,
  toBase64url,
  type Answer,
  type Entry,
  type Frontier,
  type Log,
} from '@yaoji/chaincode/core';
import type { Acknowledged } from './load.ts';
import type { Machine } from './machine.ts';

/** What a soak ends with. */
export interface Checked {
  /** What is not as it must be. */
  readonly differences: string[];
  readonly records: number;
  readonly refused: number;
  readonly batches: number;
  readonly blocks: number;
}

interface StoredEvent {
  readonly station: string;
  readonly n: string;
  readonly org: string;
  readonly entry: string;
  readonly said_by: string | null;
  readonly code: string | null;
  readonly index: string | null;
  readonly seq: string | null;
  readonly leaf: string | null;
}

/** The accepted entries of one organisation's log, in their order, as the blocks tell. */
type LedgerLog = Entry[];

const SETTLES_WITHIN = 120_000;

/** Waits until nothing is pending, or two minutes. Answers how much still is. */
export async function drained({ databaseUrl }: Machine): Promise<number> {
  const pool = openPool(databaseUrl, { max: 1, onError: () => {} });
  try {
    for (const end = Date.now() + SETTLES_WITHIN; ;) {
      const { rows } = await pool.query<{ count: string }>('select count(*) from pending');
      const pending = Number(rows[0]!.count);
      if (pending === 0 || Date.now() > end) return pending;
      await sleep(200);
    }
  } finally {
    await pool.end();
  }
}

/**
 * Compares what the API answered with what the store holds, and that with what the ledger's blocks hold: every event there
 * once, with its verdict, in its order.
 */
export async function check(
  { databaseUrl, profile }: Pick<Machine, 'databaseUrl' | 'profile'>,
  acknowledged: readonly Acknowledged[],
): Promise<Checked> {
  const pool = openPool(databaseUrl, { max: 2, onError: () => {} });
  const ledger = connectLedger(profile);
  try {
    const differences: string[] = [];
    const { rows: stopped } = await pool.query<{ org: string; why: string }>('select * from stopped_log');
    for (const { org, why } of stopped) differences.push(`the log of ${org} has stopped: ${why}`);
    const stored = await storedEvents(pool);
    differences.push(...compareAnswers(acknowledged, stored), ...compareOrder(acknowledged, stored));
    const { logs, batches, blocks } = await readLedger(ledger);
    for (const { mspId } of profile.organisations)
      differences.push(...(await compareLog(pool, ledger, mspId, logs.get(mspId) ?? [])));
    const verdicts = [...stored.values()];
    return {
      differences,
      records: verdicts.filter(({ index }) => index !== null).length,
      refused: verdicts.filter(({ code }) => code !== null).length,
      batches,
      blocks,
    };
  } finally {
    ledger.close();
    await pool.end();
  }
}

const nameOf = ({ station, n }: { station: string; n: number | string }): string => `${station} ${n}`;

async function storedEvents(db: Db): Promise<Map<string, StoredEvent>> {
  const { rows } = await db.query<StoredEvent>(
    `select e.station, e.n, e.org, e.entry, v.said_by, v.code, r.index, r.seq, r.leaf
     from event e left join verdict v using (station, n) left join record r using (station, n)`,
  );
  return new Map(rows.map((row) => [nameOf(row), row]));
}

function compareAnswers(
  acknowledged: readonly Acknowledged[],
  stored: ReadonlyMap<string, StoredEvent>,
): string[] {
  return acknowledged.flatMap((event) => {
    const name = `${event.step} ${nameOf(event)}`;
    const found = stored.get(nameOf(event));
    if (!found) return [`${name} was answered and is not stored`];
    if (event.line !== undefined && found.entry !== event.line)
      return [`${name} is stored with another entry`];
    if (found.said_by === null) return [`${name} has no verdict`];
    const outcome = found.code === null ? 'settled' : 'refused';
    if (event.expected !== 'either' && outcome !== event.expected)
      return [`${name} is ${outcome} ${found.code ?? ''}, not ${event.expected}`];
    if (outcome === 'settled' && found.index === null) return [`${name} is settled and has no record`];
    const before = event.receipt?.outcome === 'settled' ? event.receipt : undefined;
    if (before && (String(before.index) !== found.index || before.leaf !== found.leaf))
      return [`${name} was answered with index ${before.index} and has ${found.index}`];
    return [];
  });
}

/** What was answered before the next was sent comes before it in its subject's trail. */
function compareOrder(
  acknowledged: readonly Acknowledged[],
  stored: ReadonlyMap<string, StoredEvent>,
): string[] {
  const trails = new Map<string, Acknowledged[]>();
  for (const event of acknowledged) {
    if (stored.get(nameOf(event))?.index == null) continue;
    trails.set(event.subject, [...(trails.get(event.subject) ?? []), event]);
  }
  const seqOf = (event: Acknowledged): number => Number(stored.get(nameOf(event))!.seq);
  return [...trails.values()].flatMap((trail) =>
    trail
      .toSorted((a, b) => a.sent - b.sent)
      .flatMap((event, i, sorted) => {
        const earlier = sorted[i - 1];
        // A taker's side is held for its giver's.
        if (!earlier || earlier.answered > event.sent || earlier.step === 'COURIER_ACCEPTED') return [];
        if (seqOf(earlier) < seqOf(event)) return [];
        return [
          `${event.step} ${nameOf(event)} stands before ${earlier.step} ${nameOf(earlier)} in its trail`,
        ];
      }),
  );
}

/** Every valid batch in the blocks, from the first on. */
async function readLedger(
  ledger: Ledger,
): Promise<{ logs: Map<string, LedgerLog>; batches: number; blocks: number }> {
  const { network } = ledger.door(ledger.profile.organisations[0]!.mspId);
  const qscc = network.getContract('qscc');
  const info = common.BlockchainInfo.deserializeBinary(
    await qscc.evaluateTransaction('GetChainInfo', ledger.profile.channel),
  );
  const logs = new Map<string, LedgerLog>();
  let batches = 0;
  for (let number = 1; number < info.getHeight(); number++) {
    const bytes = await qscc.evaluateTransaction('GetBlockByNumber', ledger.profile.channel, String(number));
    const block = common.Block.deserializeBinary(bytes);
    const codes = block.getMetadata()!.getMetadataList_asU8()[common.BlockMetadataIndex.TRANSACTIONS_FILTER]!;
    const envelopes = block.getData()!.getDataList_asU8();
    for (const envelope of envelopes.filter((_, i) => codes[i] === 0))
      if (addBatch(logs, envelope, ledger.profile.chaincode)) batches++;
  }
  return { logs, batches, blocks: info.getHeight() };
}

/** Whether it is a chaincode's transaction, and not a configuration of the channel. */
function isEndorsed(payload: Uint8Array): boolean {
  const header = common.Payload.deserializeBinary(payload).getHeader()?.getChannelHeader_asU8();
  const type = common.ChannelHeader.deserializeBinary(header ?? new Uint8Array()).getType();
  return type === common.HeaderType.ENDORSER_TRANSACTION;
}

function addBatch(logs: Map<string, LedgerLog>, envelope: Uint8Array, chaincode: string): boolean {
  const payload = common.Envelope.deserializeBinary(envelope).getPayload_asU8();
  if (!isEndorsed(payload)) return false;
  const view = readView(payload, 32 << 20);
  // A real network's members agree upon its contract in its own blocks.
  if (view.chaincode !== chaincode) return false;
  const [name, , lines = ''] = view.args.map(fromUtf8);
  if (name !== 'RecordBatch') return false;
  const answer = parseCanonical(fromUtf8(view.payload)) as unknown as Answer;
  if (answer.stale !== undefined) return false;
  const refused = new Set(answer.refused.map(({ i }) => i));
  for (const [i, line] of lines.split('\n').entries()) {
    if (refused.has(i)) continue;
    const entry = parseEntry(line);
    const log = logs.get(entry.org);
    if (log) log.push(entry);
    else logs.set(entry.org, [entry]);
  }
  return true;
}

async function compareLog(db: Db, ledger: Ledger, org: string, entries: LedgerLog): Promise<string[]> {
  const twice = entries.length - new Set(entries.map(nameOf)).size;
  if (twice > 0) return [`the ledger has ${twice} entries of ${org} twice`];
  const { rows } = await db.query<{ station: string; n: string; leaf: string }>(
    'select station, n, leaf from record where org = $1 order by index',
    [org],
  );
  const differs = entries.findIndex((entry, i) => !rows[i] || nameOf(entry) !== nameOf(rows[i]));
  if (differs >= 0 || rows.length !== entries.length)
    return [
      `the log of ${org} has ${entries.length} records on the ledger and ${rows.length} in the store; they part at ${differs}`,
    ];
  let frontier: Frontier = EMPTY;
  for (const { leaf } of rows) frontier = append(frontier, fromBase64url(leaf), nodeSuite.sha256);
  const recomputed = rows.length > 0 ? toBase64url(root(frontier, nodeSuite.sha256)) : '';
  const text = (await readState(ledger, org, [at.log(org)])).get(at.log(org));
  const held = text === undefined ? undefined : (JSON.parse(text) as Log);
  if ((held?.size ?? 0) !== rows.length || (rows.length > 0 && held?.root !== recomputed))
    return [`the root of ${org} is ${recomputed} in the store and ${held?.root} on the ledger`];
  return [];
}
