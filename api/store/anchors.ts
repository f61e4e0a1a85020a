import type { Db } from './pool.ts';

/** The chain and the contract on it: numbers of anchors are the contract's. */
export interface AnchorPlace {
  /** CAIP-2 */
  chain: string;
  /** 0x and lower hex */
  contract: string;
}

/** A root that is or will be on the chain. */
export interface KeptAnchor {
  id: number;
  seq: number;
  /** 0x and lower hex */
  root: string;
}

/** A view that is to be anchored. */
export interface NewAnchor {
  seq: number;
  root: Uint8Array;
  /** the Fabric payload */
  view: Uint8Array;
  logs: readonly { org: string; size: number }[];
}

const hex = (bytes: Buffer): string => `0x${bytes.toString('hex')}`;
const bytesOf = (text: string): Buffer => Buffer.from(text.slice(2), 'hex');

/** Throws (unique violation) when another process was first with this number. */
export async function saveAnchor(tx: Db, place: AnchorPlace, anchor: NewAnchor): Promise<void> {
  const { rows } = await tx.query<{ id: string }>(
    'insert into anchor (chain, contract, seq, root, view) values ($1, $2, $3, $4, $5) returning id',
    [place.chain, place.contract, anchor.seq, Buffer.from(anchor.root), Buffer.from(anchor.view)],
  );
  await tx.query(
    'insert into anchor_log (anchor, org, size) select $1, l.* from unnest($2::text[], $3::bigint[]) as l',
    [rows[0]!.id, anchor.logs.map(({ org }) => org), anchor.logs.map(({ size }) => size)],
  );
}

/** The newest anchor, when it was kept (ms since the epoch), and the sizes of its logs. */
export async function lastAnchor(
  db: Db,
  { chain, contract }: AnchorPlace,
): Promise<(KeptAnchor & { keptAt: number; sizes: Map<string, number> }) | undefined> {
  const { rows } = await db.query<{ id: string; seq: string; root: Buffer; kept_at: Date }>(
    'select id, seq, root, kept_at from anchor where chain = $1 and contract = $2 order by seq desc limit 1',
    [chain, contract],
  );
  const [last] = rows;
  if (!last) return undefined;
  const logs = await db.query<{ org: string; size: string }>(
    'select org, size from anchor_log where anchor = $1',
    [last.id],
  );
  return {
    id: Number(last.id),
    seq: Number(last.seq),
    root: hex(last.root),
    keptAt: last.kept_at.getTime(),
    sizes: new Map(logs.rows.map(({ org, size }) => [org, Number(size)])),
  };
}

/** The oldest anchor that no block holds. */
export async function oldestPending(
  db: Db,
  { chain, contract }: AnchorPlace,
): Promise<KeptAnchor | undefined> {
  const { rows } = await db.query<{ id: string; seq: string; root: Buffer }>(
    `select a.id, a.seq, a.root from anchor_open o join anchor a on a.id = o.anchor
     where o.inclusion is null and a.chain = $1 and a.contract = $2 order by a.seq limit 1`,
    [chain, contract],
  );
  const [row] = rows;
  return row && { id: Number(row.id), seq: Number(row.seq), root: hex(row.root) };
}

/** A transaction that publishes an anchor. */
export interface AnchorAttempt {
  /** 0x and lower hex */
  hash: string;
  nonce: number;
  /** 0x and hex */
  raw: string;
  /** ms since the epoch */
  begunAt: number;
}

/** One that was saved before stays as it is: a chain that has forgotten everything may lead to the very same transaction. */
export async function saveAnchorAttempt(
  db: Db,
  anchor: number,
  { hash, nonce, raw }: Omit<AnchorAttempt, 'begunAt'>,
): Promise<void> {
  await db.query(
    'insert into anchor_attempt (anchor, tx_hash, nonce, raw) values ($1, $2, $3, $4) on conflict do nothing',
    [anchor, hash, nonce, bytesOf(raw)],
  );
}

/** The newest first. */
export async function anchorAttempts(db: Db, anchor: number): Promise<AnchorAttempt[]> {
  const { rows } = await db.query<{ tx_hash: string; nonce: string; raw: Buffer; begun_at: Date }>(
    'select tx_hash, nonce, raw, begun_at from anchor_attempt where anchor = $1 order by begun_at desc, tx_hash',
    [anchor],
  );
  return rows.map(({ tx_hash, nonce, raw, begun_at }) => ({
    hash: tx_hash,
    nonce: Number(nonce),
    raw: hex(raw),
    begunAt: begun_at.getTime(),
  }));
}

/** Where an anchor is in a block, with what shows it. */
export interface NewInclusion {
  txHash: string;
  block: number;
  /** 0x and lower hex */
  hash: string;
  header: Uint8Array;
  index: number;
  proof: readonly Uint8Array[];
}

/** Throws (unique violation) when the anchor is in a block already. */
export async function saveInclusion(db: Db, anchor: number, inclusion: NewInclusion): Promise<void> {
  await db.query(
    `insert into anchor_inclusion (anchor, tx_hash, block, block_hash, header, tx_index, proof)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      anchor,
      inclusion.txHash,
      inclusion.block,
      inclusion.hash,
      Buffer.from(inclusion.header),
      inclusion.index,
      inclusion.proof.map((node) => Buffer.from(node)),
    ],
  );
}

/** A block that holds an anchor, as far as is known. */
export interface Included {
  inclusion: number;
  seq: number;
  block: number;
  hash: string;
}
interface IncludedRow {
  inclusion: string;
  seq: string;
  block: string;
  hash: string;
}
const toIncluded = ({ inclusion, seq, block, hash }: IncludedRow): Included => ({
  inclusion: Number(inclusion),
  seq: Number(seq),
  block: Number(block),
  hash,
});

/** What is in a block that is not final yet, the oldest first. */
export async function notFinal(db: Db, { chain, contract }: AnchorPlace): Promise<Included[]> {
  const { rows } = await db.query<IncludedRow>(
    `select o.inclusion, a.seq, i.block, i.block_hash as hash
     from anchor_open o join anchor a on a.id = o.anchor join anchor_inclusion i on i.id = o.inclusion
     where a.chain = $1 and a.contract = $2 order by a.seq`,
    [chain, contract],
  );
  return rows.map(toIncluded);
}

/** The newest of what is in a final block, below this number. */
export async function newestFinal(
  db: Db,
  { chain, contract }: AnchorPlace,
  below = Number.MAX_SAFE_INTEGER,
): Promise<Included | undefined> {
  const { rows } = await db.query<IncludedRow>(
    `select i.id as inclusion, a.seq, i.block, i.block_hash as hash
     from anchor a join anchor_inclusion i on i.anchor = a.id join anchor_final f on f.inclusion = i.id
     where a.chain = $1 and a.contract = $2 and a.seq < $3
       and not exists (select from anchor_lost l where l.inclusion = i.id)
     order by a.seq desc limit 1`,
    [chain, contract, below],
  );
  return rows[0] && toIncluded(rows[0]);
}

export async function saveLost(db: Db, inclusion: number): Promise<void> {
  await db.query('insert into anchor_lost (inclusion) values ($1) on conflict do nothing', [inclusion]);
}

export async function saveFinal(db: Db, inclusion: number): Promise<void> {
  await db.query('insert into anchor_final (inclusion) values ($1) on conflict do nothing', [inclusion]);
}

/** What has become of an anchor. */
export interface AnchorState {
  seq: number;
  /** pending: in no block that we know of · included: in a block · final: in one that stays */
  state: 'pending' | 'included' | 'final';
  /** 0x and lower hex */
  root: string;
  /** when its view was kept, ms since the epoch */
  keptAt: number;
  /** where it is, unless pending; hashes as 0x and lower hex */
  block?: { number: number; hash: string };
  transaction?: string;
}

/** What has become of an anchor, or of the newest; undefined: there is none. */
export async function anchorState(
  db: Db,
  { chain, contract }: AnchorPlace,
  seq?: number,
): Promise<AnchorState | undefined> {
  const { rows } = await db.query<{
    seq: string;
    root: Buffer;
    kept_at: Date;
    block: string | null;
    block_hash: string;
    tx_hash: string;
    final: boolean;
  }>(
    `select a.seq, a.root, a.kept_at, i.block, i.block_hash, i.tx_hash, f.inclusion is not null as final
     from anchor a
     left join anchor_inclusion i on i.anchor = a.id and not exists (select from anchor_lost l where l.inclusion = i.id)
     left join anchor_final f on f.inclusion = i.id
     where a.chain = $1 and a.contract = $2 and ($3::bigint is null or a.seq = $3) order by a.seq desc limit 1`,
    [chain, contract, seq ?? null],
  );
  const [row] = rows;
  if (!row) return undefined;
  return {
    seq: Number(row.seq),
    state: row.block === null ? 'pending' : row.final ? 'final' : 'included',
    root: hex(row.root),
    keptAt: row.kept_at.getTime(),
    ...(row.block === null
      ? {}
      : { block: { number: Number(row.block), hash: row.block_hash }, transaction: row.tx_hash }),
  };
}

/** An anchor that is in a block, with all that a bundle carries of it. */
export interface IncludedAnchor {
  seq: number;
  view: Uint8Array;
  /** how far it reaches into each log */
  sizes: ReadonlyMap<string, number>;
  header: Uint8Array;
  index: number;
  proof: Uint8Array[];
}

const INCLUDED = `
  select a.id, a.seq, a.view, i.header, i.tx_index, i.proof
  from anchor a join anchor_inclusion i on i.anchor = a.id
  where a.chain = $1 and a.contract = $2
    and not exists (select from anchor_lost l where l.inclusion = i.id)`;

/**
 * Of the anchors that are in a block the earliest whose logs hold these indexes, by organisation; the newest, where none does;
 * undefined: there is none at all.
 */
export async function includedAnchor(
  db: Db,
  { chain, contract }: AnchorPlace,
  indexes: ReadonlyMap<string, number>,
): Promise<IncludedAnchor | undefined> {
  // Logs only grow, so all from the first that holds an index on hold it.
  const { rows: firsts } = await db.query<{ first: string | null }>(
    `select (
       select min(a.seq) from anchor_log l join anchor a on a.id = l.anchor
       where l.org = asked.org and l.size > asked.index and a.chain = $1 and a.contract = $2
     ) as first
     from unnest($3::text[], $4::bigint[]) as asked (org, index)`,
    [chain, contract, [...indexes.keys()], [...indexes.values()]],
  );
  const holdsAll = firsts.every(({ first }) => first !== null)
    ? Math.max(1, ...firsts.map(({ first }) => Number(first)))
    : undefined;
  const found =
    (holdsAll === undefined
      ? undefined
      : await one(db, `${INCLUDED} and a.seq >= $3 order by a.seq limit 1`, [chain, contract, holdsAll])) ??
    (await one(db, `${INCLUDED} order by a.seq desc limit 1`, [chain, contract]));
  if (!found) return undefined;
  const { rows: logs } = await db.query<{ org: string; size: string }>(
    'select org, size from anchor_log where anchor = $1',
    [found.id],
  );
  return {
    seq: Number(found.seq),
    view: found.view,
    sizes: new Map(logs.map(({ org, size }) => [org, Number(size)])),
    header: found.header,
    index: found.tx_index,
    proof: found.proof,
  };
}

interface IncludedAnchorRow {
  id: string;
  seq: string;
  view: Buffer;
  header: Buffer;
  tx_index: number;
  proof: Buffer[];
}
const one = async (db: Db, query: string, values: unknown[]): Promise<IncludedAnchorRow | undefined> =>
  (await db.query<IncludedAnchorRow>(query, values)).rows[0];
