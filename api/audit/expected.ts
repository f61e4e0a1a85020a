import type { Coordinate } from '@yaoji/chaincode/core';
import type { Db } from '../store/pool.ts';

// What the store must hold, recomputed from the ledger: in temporary tables of the auditing connection, so that a year of
// records takes no more memory than a day, and so that holding the store against it is one join per table.

const TABLES = `
  create temp table audit_batch (
    org text, number bigint, tx_id text, block bigint, proposed_at timestamptz, entries integer, checkpoint text
  );
  create temp table audit_line (
    station text, n bigint, org text, batch bigint, entry_hash bytea, code text,
    index bigint, leaf text, subject text, seq bigint, primary key (station, n)
  );
  create temp table audit_node (org text, level smallint, index bigint, hash bytea);
  create temp table audit_tx (
    tx_id text primary key, org text, follows bigint, code smallint, block bigint, proposed_at timestamptz
  );
  create temp table audit_world (key text primary key, ledger text, mirror text, used boolean not null)`;

/** Makes the tables: before the snapshot's transaction, which may write into temporary tables only. */
export async function createExpected(db: Db): Promise<void> {
  await db.query(TABLES);
}

/** For the planner: it knows nothing of tables that were filled in this very transaction. */
export async function analyseExpected(db: Db): Promise<void> {
  await db.query('analyze audit_batch, audit_line, audit_node, audit_tx, audit_world');
}

/** A batch of the ledger that the store has settled. */
export interface ExpectedBatch {
  org: string;
  number: number;
  txId: string;
  block: number;
  timestamp: number;
  checkpoint: string;
  lines: readonly ExpectedLine[];
  nodes: readonly { at: Coordinate; hash: Uint8Array }[];
  /** how many lines it carried: a line that cannot be read has no identity */
  entries: number;
}
export interface ExpectedLine {
  station: string;
  n: number;
  entryHash: Uint8Array;
  refused?: string;
  accepted?: { index: number; leaf: string; subject: string; seq: number };
}

/** A transaction that carried a batch, whatever its code. */
export interface ExpectedTransaction {
  txId: string;
  org: string;
  follows: number;
  code: number;
  block: number;
  timestamp: number;
}

/** Rows that wait to be written together: a round trip for each batch would take longer than judging it. */
const MOST_WAITING = 2000;

/** What the store must hold, as it is found. */
export class Expectations {
  private readonly db: Db;
  private batches: ExpectedBatch[] = [];
  private transactions: ExpectedTransaction[] = [];
  private waiting = 0;

  constructor(db: Db) {
    this.db = db;
  }

  async batch(batch: ExpectedBatch): Promise<void> {
    this.batches.push(batch);
    await this.added(1 + batch.lines.length + batch.nodes.length);
  }

  async transaction(transaction: ExpectedTransaction): Promise<void> {
    this.transactions.push(transaction);
    await this.added(1);
  }

  private async added(rows: number): Promise<void> {
    this.waiting += rows;
    if (this.waiting >= MOST_WAITING) await this.flush();
  }

  async flush(): Promise<void> {
    const { batches, transactions } = this;
    this.batches = [];
    this.transactions = [];
    this.waiting = 0;
    await insertTransactions(this.db, transactions);
    await insertBatches(this.db, batches);
  }
}

async function insertTransactions(db: Db, transactions: readonly ExpectedTransaction[]): Promise<void> {
  // Fabric gives a transaction whose id was there before a code of its own: the first one counts.
  await db.query(
    `insert into audit_tx
     select * from unnest($1::text[], $2::text[], $3::bigint[], $4::smallint[], $5::bigint[], $6::timestamptz[])
     on conflict do nothing`,
    [
      transactions.map(({ txId }) => txId),
      transactions.map(({ org }) => org),
      transactions.map(({ follows }) => follows),
      transactions.map(({ code }) => code),
      transactions.map(({ block }) => block),
      transactions.map(({ timestamp }) => new Date(timestamp)),
    ],
  );
}

async function insertBatches(db: Db, batches: readonly ExpectedBatch[]): Promise<void> {
  await db.query(
    `insert into audit_batch
     select * from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::timestamptz[], $6::integer[], $7::text[])`,
    [
      batches.map(({ org }) => org),
      batches.map(({ number }) => number),
      batches.map(({ txId }) => txId),
      batches.map(({ block }) => block),
      batches.map(({ timestamp }) => new Date(timestamp)),
      batches.map(({ entries }) => entries),
      batches.map(({ checkpoint }) => checkpoint),
    ],
  );
  const lines = batches.flatMap(({ org, number, lines: some }) =>
    some.map((line) => ({ org, batch: number, ...line })),
  );
  // The first verdict on a (station, n) is the one that stands: a repeated entry is refused with N_USED.
  await db.query(
    `insert into audit_line
     select station, n, org, batch, entry_hash, code, index, leaf, subject, seq
     from unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bytea[], $6::text[], $7::bigint[], $8::text[], $9::text[], $10::bigint[])
       with ordinality as l (station, n, org, batch, entry_hash, code, index, leaf, subject, seq, position)
     order by position on conflict do nothing`,
    [
      lines.map(({ station }) => station),
      lines.map(({ n }) => n),
      lines.map(({ org }) => org),
      lines.map(({ batch }) => batch),
      lines.map(({ entryHash }) => Buffer.from(entryHash)),
      lines.map(({ refused }) => refused ?? null),
      lines.map(({ accepted }) => accepted?.index ?? null),
      lines.map(({ accepted }) => accepted?.leaf ?? null),
      lines.map(({ accepted }) => accepted?.subject ?? null),
      lines.map(({ accepted }) => accepted?.seq ?? null),
    ],
  );
  const nodes = batches.flatMap(({ org, nodes: some }) => some.map((node) => ({ org, ...node })));
  await db.query(
    'insert into audit_node select * from unnest($1::text[], $2::smallint[], $3::bigint[], $4::bytea[])',
    [
      nodes.map(({ org }) => org),
      nodes.map(({ at }) => at.level),
      nodes.map(({ at }) => at.index),
      nodes.map(({ hash }) => Buffer.from(hash)),
    ],
  );
}

/** What stands under a key. */
interface Cell {
  ledger: string | undefined;
  /** what the store's mirror is to hold: without the batches that it has not settled */
  mirror: string | undefined;
  /** whether a settled batch needed it, so that the mirror must have it */
  used: boolean;
}

/** Far below what would be felt, and more than one day's subjects: small stores never touch the table. */
const MOST_HOT = 20_000;

/** The ledger's state while its blocks are gone through: in memory while it is small, then in audit_world. */
export class ReplayedState {
  private readonly hot = new Map<string, Cell>();
  private readonly db: Db;
  private spilled = false;

  constructor(db: Db) {
    this.db = db;
  }

  /** What the ledger holds under these keys at this point. */
  async read(keys: readonly string[]): Promise<Map<string, string | undefined>> {
    await this.load(keys);
    return new Map(keys.map((key) => [key, this.hot.get(key)!.ledger]));
  }

  /** What the mirror is to hold under a key that was read. */
  mirrored(key: string): string | undefined {
    return this.hot.get(key)?.mirror;
  }

  async write(writes: Iterable<readonly [string, string | undefined]>, settled: boolean): Promise<void> {
    const all = [...writes];
    await this.load(all.map(([key]) => key));
    for (const [key, value] of all) {
      const cell = this.hot.get(key)!;
      cell.ledger = value;
      if (settled) cell.mirror = value;
    }
  }

  /** Says that a settled batch could not have been judged without these, which were read. */
  use(keys: readonly string[]): void {
    for (const key of keys) this.hot.get(key)!.used = true;
  }

  private async load(keys: readonly string[]): Promise<void> {
    const cold = keys.filter((key) => !this.hot.has(key));
    for (const key of cold) this.hot.set(key, { ledger: undefined, mirror: undefined, used: false });
    if (!this.spilled || cold.length === 0) return;
    const { rows } = await this.db.query<{
      key: string;
      ledger: string | null;
      mirror: string | null;
      used: boolean;
    }>('select key, ledger, mirror, used from audit_world where key = any($1)', [cold]);
    for (const { key, ledger, mirror, used } of rows)
      this.hot.set(key, { ledger: ledger ?? undefined, mirror: mirror ?? undefined, used });
  }

  /** Makes room; to be called between transactions. */
  async spillIfLarge(): Promise<void> {
    if (this.hot.size > MOST_HOT) await this.spill();
  }

  /** Puts all of it into audit_world. */
  async spill(): Promise<void> {
    const cells = [...this.hot].filter(([, { ledger, mirror, used }]) => ledger ?? mirror ?? used);
    for (let from = 0; from < cells.length; from += 1000) {
      const some = cells.slice(from, from + 1000);
      await this.db.query(
        `insert into audit_world select * from unnest($1::text[], $2::text[], $3::text[], $4::boolean[])
         on conflict (key) do update set ledger = excluded.ledger, mirror = excluded.mirror, used = excluded.used`,
        [
          some.map(([key]) => key),
          some.map(([, { ledger }]) => ledger ?? null),
          some.map(([, { mirror }]) => mirror ?? null),
          some.map(([, { used }]) => used),
        ],
      );
    }
    this.hot.clear();
    this.spilled = true;
  }
}
