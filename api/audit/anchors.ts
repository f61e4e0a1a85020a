import { Interface, Transaction } from 'ethers';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  anchorRoot,
  checkAnchor,
  checkpointsOf,
  equal,
  fromUtf8,
  originOf,
  parseCanonical,
  readView,
  root,
  TraceError,
  type Checkpoint,
  type View,
} from '@yaoji/chaincode/core';
import { ANCHOR } from '../chain/artifact.ts';
import { verifierSuite } from '../chain/verifier-suite.ts';
import type { Db } from '../store/pool.ts';
import { SKEW_MS, type Differ } from './differ.ts';
import { rowsOf } from './rows.ts';

// What is published on the chain, held against the recomputed logs and against itself. The chain is not asked: that its blocks
// are the chain's is for whoever verifies a bundle.

interface AnchorRow {
  id: string;
  chain: string;
  contract: string;
  seq: string;
  root: Buffer;
  view: Buffer;
  kept_at: Date;
  /** whether the one before it is there */
  follows: boolean;
}
interface AttemptRow {
  tx_hash: string;
  nonce: string;
  raw: Buffer;
  begun_at: Date;
}
interface InclusionRow {
  id: string;
  tx_hash: string;
  block: string;
  block_hash: string;
  header: Buffer;
  tx_index: number;
  proof: Buffer[];
  found_at: Date;
}
/** A kept view and what it shows. */
interface KeptView {
  view: View;
  values: ReadonlyMap<string, unknown>;
}

const CONTRACT = new Interface(ANCHOR.abi);
const hex = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString('hex')}`;

/** Holds every kept anchor against the logs that the ledger's blocks lead to, and its evidence against itself. */
export async function auditAnchors(db: Db, differ: Differ): Promise<void> {
  const query = `
    select id::text, chain, contract, seq::text, root, view, kept_at,
      seq = 1 + coalesce(lag(seq) over (partition by chain, contract order by seq), 0) as follows
    from anchor order by chain, contract, seq`;
  for await (const row of rowsOf<AnchorRow>(db, query)) await auditAnchor(db, row, differ);
  await auditOrphans(db, differ);
  await auditOpen(db, differ);
}

async function auditAnchor(db: Db, row: AnchorRow, differ: Differ): Promise<void> {
  const key = `${row.chain} ${row.contract} ${row.seq}`;
  const say = (what: string): void => differ('anchor', key, what);
  if (!row.follows) say('seq: the one before it is missing');
  await auditAttempts(db, row, key, differ);
  let kept: KeptView;
  let checkpoints: Checkpoint[];
  try {
    kept = readKept(row.view);
    checkpoints = checkpointsOf(kept.values, kept.view.channel);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    say(`view: ${error.message}`);
    return;
  }
  if (!equal(anchorRoot(checkpoints, nodeSuite.sha256), row.root))
    say('root: not that of the checkpoints in its view');
  if (Math.abs(row.kept_at.getTime() - kept.view.timestamp) > SKEW_MS)
    say('kept_at: not when its view was taken');
  const logs = checkpoints.map((checkpoint) => ({
    ...checkpoint,
    org: checkpoint.origin.slice(originOf(kept.view.channel, '').length),
  }));
  for (const { org, size, root: shown } of logs) {
    const found = await rootAt(db, org, size);
    if (found && !equal(found, shown)) say(`view: the log of ${org} had another root at size ${size}`);
  }
  await auditLogs(db, row, key, logs, differ);
  await auditInclusions(db, row, kept, key, differ);
}

function readKept(bytes: Uint8Array): KeptView {
  const view = readView(bytes);
  const values = parseCanonical(fromUtf8(view.payload));
  if (typeof values !== 'object' || Array.isArray(values))
    throw new TraceError('VIEW_MALFORMED', 'the view is not of state');
  return { view, values: new Map(Object.entries(values)) };
}

/** The root of a recomputed log at a size; undefined: the blocks that were gone through do not reach so far. */
async function rootAt(db: Db, org: string, size: number): Promise<Uint8Array | undefined> {
  const levels: number[] = [];
  const indexes: number[] = [];
  for (let at = 0; at < size;) {
    const level = Math.floor(Math.log2(size - at));
    levels.push(level);
    indexes.push(at / 2 ** level);
    at += 2 ** level;
  }
  const { rows } = await db.query<{ hash: Buffer | null }>(
    `select n.hash from unnest($2::smallint[], $3::bigint[]) with ordinality as asked (level, index, place)
     left join audit_node n on n.org = $1 and n.level = asked.level and n.index = asked.index order by place`,
    [org, levels, indexes],
  );
  const nodes = rows.flatMap(({ hash }) => hash ?? []);
  return nodes.length === levels.length ? root({ nodes }, nodeSuite.sha256) : undefined;
}

async function auditLogs(
  db: Db,
  { id }: AnchorRow,
  key: string,
  logs: readonly { org: string; size: number }[],
  differ: Differ,
): Promise<void> {
  const { rows } = await db.query<{ org: string; size: string }>(
    'select org, size::text from anchor_log where anchor = $1 order by org',
    [id],
  );
  if (rows.length === 0) differ('anchor', key, 'id: no log is known to be in it');
  for (const { org, size } of logs) {
    const found = rows.find((row) => row.org === org);
    if (!found) differ('anchor_log', `${key} ${org}`, 'missing');
    else if (Number(found.size) !== size)
      differ('anchor_log', `${key} ${org}`, `size: ${found.size}, the view has ${size}`);
  }
  for (const { org } of rows)
    if (!logs.some((log) => log.org === org))
      differ('anchor_log', `${key} ${org}`, 'the view shows no such log');
}

async function auditAttempts(
  db: Db,
  { id, chain, contract, seq, root: rootBytes, kept_at }: AnchorRow,
  key: string,
  differ: Differ,
): Promise<void> {
  const { rows } = await db.query<AttemptRow>(
    'select tx_hash, nonce::text, raw, begun_at from anchor_attempt where anchor = $1 order by tx_hash',
    [id],
  );
  for (const { tx_hash, nonce, raw, begun_at } of rows) {
    const say = (what: string): void => differ('anchor_attempt', `${key} ${tx_hash}`, what);
    let transaction: Transaction;
    try {
      transaction = Transaction.from(hex(raw));
    } catch {
      say('raw: this is no transaction');
      continue;
    }
    if (transaction.hash !== tx_hash) say('raw: another transaction');
    if (String(transaction.nonce) !== nonce) say(`nonce: ${nonce}, the transaction has ${transaction.nonce}`);
    if (
      `eip155:${transaction.chainId}` !== chain ||
      transaction.to?.toLowerCase() !== contract ||
      transaction.data !== CONTRACT.encodeFunctionData('anchor', [seq, rootBytes])
    ) {
      say('raw: it does not publish this anchor');
      differ('anchor', key, `transaction ${tx_hash} publishes something else`);
    }
    if (isOutside(begun_at, kept_at)) say('begun_at: not after the anchor was kept');
  }
}

async function auditInclusions(
  db: Db,
  { id, chain, contract, seq }: AnchorRow,
  kept: KeptView,
  key: string,
  differ: Differ,
): Promise<void> {
  const { rows } = await db.query<InclusionRow & { ours: boolean }>(
    `select i.id::text, tx_hash, block::text, block_hash, header, tx_index, proof, found_at,
       exists (select from anchor_attempt t where t.anchor = i.anchor and t.tx_hash = i.tx_hash) as ours
     from anchor_inclusion i where anchor = $1 order by id`,
    [id],
  );
  for (const row of rows) {
    const say = (what: string): void => differ('anchor_inclusion', row.id, what);
    if (!row.ours) say('tx_hash: none of our transactions');
    try {
      const evidence = {
        view: kept,
        trails: [],
        chain,
        contract,
        seq: Number(seq),
        header: row.header,
        receipt: { index: row.tx_index, proof: row.proof },
      };
      const found = checkAnchor(evidence, { trails: [], logs: kept }, verifierSuite);
      if (String(found.block) !== row.block) say(`block: ${row.block}, its header has ${found.block}`);
      if (found.hash !== row.block_hash) say('block_hash: not the hash of its header');
      if (isOutside(row.found_at, new Date(found.time))) say('found_at: not after the block was made');
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      say(`${error.place.replace('/anchor/', '')}: ${error.message}`);
      // The same may be said of what it is the evidence for.
      differ('anchor', key, `its evidence ${row.id} does not hold: ${error.message}`);
    }
  }
}

/** Whether something that comes after this was noted before it, or in the future. */
const isOutside = (noted: Date, after: Date): boolean =>
  noted.getTime() < after.getTime() - SKEW_MS || noted.getTime() > Date.now() + SKEW_MS;

/** Names what belongs to nothing, and what was noted of a block before it was found. */
async function auditOrphans(db: Db, differ: Differ): Promise<void> {
  for (const [table, key] of [
    ['anchor_log', "anchor || ' ' || org"],
    ['anchor_attempt', "anchor || ' ' || tx_hash"],
    ['anchor_inclusion', 'id::text'],
  ] as const) {
    const query = `select ${key} as key from ${table} t where not exists (select from anchor a where a.id = t.anchor) order by 1`;
    for await (const row of rowsOf<{ key: string }>(db, query))
      differ(table, row.key, 'belongs to no anchor');
  }
  for (const table of ['anchor_lost', 'anchor_final']) {
    const query = `
      select t.inclusion::text as key, t.found_at, i.found_at as included_at
      from ${table} t left join anchor_inclusion i on i.id = t.inclusion order by t.inclusion`;
    for await (const row of rowsOf<{ key: string; found_at: Date; included_at: Date | null }>(db, query))
      if (row.included_at === null) differ(table, row.key, 'belongs to no block that was found');
      else if (isOutside(row.found_at, row.included_at))
        differ(table, row.key, 'found_at: not after the block was found');
  }
}

/** Holds the list of what is left to do against what it follows from. */
async function auditOpen(db: Db, differ: Differ): Promise<void> {
  const query = `
    with expected as (
      select a.id as anchor, i.id as inclusion
      from anchor a
      left join anchor_inclusion i on i.anchor = a.id and not exists (select from anchor_lost l where l.inclusion = i.id)
      where not exists (select from anchor_final f where f.inclusion = i.id)
    )
    select coalesce(o.anchor, e.anchor)::text as key, o.anchor is null as missing, e.anchor is null as unknown
    from anchor_open o full join expected e on e.anchor = o.anchor and e.inclusion is not distinct from o.inclusion
    where o.anchor is null or e.anchor is null order by 1`;
  for await (const { key, missing } of rowsOf<{ key: string; missing: boolean }>(db, query))
    differ('anchor_open', key, missing ? 'missing' : 'nothing is left to do about it as it stands there');
}
