import type { Coordinate, Verdict } from '@yaoji/chaincode/core';
import { recordText } from '@yaoji/chaincode/core';
import type { Db } from './pool.ts';

/** A transaction that is about to be submitted. */
export interface Attempt {
  txId: string;
  org: string;
  /** the batch number that it follows */
  follows: number;
}

export async function saveAttempt(db: Db, { txId, org, follows }: Attempt): Promise<void> {
  await db.query('insert into attempt (tx_id, org, follows) values ($1, $2, $3)', [txId, org, follows]);
}

/** The newest attempts to write the batch after this one, newest first: one of all at most was or will be valid. */
export async function attemptsAfter(db: Db, org: string, follows: number, most: number): Promise<string[]> {
  const { rows } = await db.query<{ tx_id: string }>(
    'select tx_id from attempt where org = $1 and follows = $2 order by begun_at desc, tx_id limit $3',
    [org, follows, most],
  );
  return rows.map(({ tx_id }) => tx_id);
}

/** Whose attempts these transactions are, and whether they are settled, by id. Not ours: not in the answer. */
export async function attemptsAmong(
  db: Db,
  txIds: readonly string[],
): Promise<Map<string, { org: string; settled: boolean }>> {
  if (txIds.length === 0) return new Map();
  const { rows } = await db.query<{ tx_id: string; org: string; settled: boolean }>(
    `select a.tx_id, a.org, b.tx_id is not null as settled
     from attempt a left join batch b using (tx_id) where a.tx_id = any($1)`,
    [txIds],
  );
  return new Map(rows.map(({ tx_id, org, settled }) => [tx_id, { org, settled }]));
}

/** A batch that the ledger holds valid, with what the referee made of it. */
export interface SettledBatch {
  org: string;
  number: number;
  txId: string;
  checkpoint: string;
  entries: readonly { station: string; n: number }[];
  verdicts: readonly Verdict[];
  nodes: readonly { at: Coordinate; hash: Uint8Array }[];
}

/** Stores verdicts, records and nodes of a settled batch. Throws (unique violation) when it was settled before. */
export async function saveBatch(tx: Db, batch: SettledBatch): Promise<void> {
  const { org, number, verdicts, entries, nodes } = batch;
  await tx.query('insert into batch (org, number, tx_id, entries, checkpoint) values ($1, $2, $3, $4, $5)', [
    org,
    number,
    batch.txId,
    entries.length,
    batch.checkpoint,
  ]);
  // An event that another batch gave its verdict keeps it: a repeated entry is refused with N_USED.
  await tx.query(
    `insert into verdict (station, n, said_by, code, org, batch)
     select v.station, v.n, 'ledger', v.code, $4, $5
     from unnest($1::text[], $2::bigint[], $3::text[]) as v (station, n, code)
     join event e using (station, n)
     on conflict do nothing`,
    [
      entries.map(({ station }) => station),
      entries.map(({ n }) => n),
      verdicts.map(({ refused }) => refused ?? null),
      org,
      number,
    ],
  );
  const accepted = verdicts.flatMap((verdict) => (verdict.accepted ? [verdict] : []));
  await tx.query(
    `insert into record (org, index, station, n, subject, seq, leaf, body)
     select $1, r.* from unnest($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::text[], $8::text[]) as r`,
    [
      org,
      accepted.map(({ accepted: record }) => record.index),
      accepted.map(({ accepted: record }) => record.entry.station),
      accepted.map(({ accepted: record }) => record.entry.n),
      accepted.map(({ accepted: record }) => record.entry.subject),
      accepted.map(({ accepted: record }) => record.seq),
      accepted.map(({ leaf }) => leaf),
      accepted.map(({ accepted: record }) => recordText(record)),
    ],
  );
  await tx.query(
    'insert into node (org, level, index, hash) select $1, n.* from unnest($2::smallint[], $3::bigint[], $4::bytea[]) as n',
    [
      org,
      nodes.map(({ at }) => at.level),
      nodes.map(({ at }) => at.index),
      nodes.map(({ hash }) => Buffer.from(hash)),
    ],
  );
}

/** The hashes of perfect subtrees of a log, by `level/index`. */
export async function readNodes(
  db: Db,
  org: string,
  coordinates: readonly Coordinate[],
): Promise<Map<string, Uint8Array>> {
  const { rows } = await db.query<{ level: number; index: string; hash: Buffer }>(
    `select level, index, hash from node
     join unnest($2::smallint[], $3::bigint[]) as asked (level, index) using (level, index) where org = $1`,
    [org, coordinates.map(({ level }) => level), coordinates.map(({ index }) => index)],
  );
  return new Map(rows.map(({ level, index, hash }) => [`${level}/${index}`, hash]));
}

export async function stopLog(db: Db, org: string, why: string): Promise<void> {
  await db.query('insert into stopped_log (org, why) values ($1, $2) on conflict do nothing', [org, why]);
}

export async function stoppedLogs(db: Db): Promise<{ org: string; why: string }[]> {
  const { rows } = await db.query<{ org: string; why: string }>(
    'select org, why from stopped_log order by org',
  );
  return rows;
}
