import type { Db } from './pool.ts';

// The queue of events without a verdict, without their entries: it may be long.

/** An event's place in the queue. */
export interface QueuedEvent {
  station: string;
  n: number;
  org: string;
  step: string;
  subjects: string[];
  arrival: number;
}

interface QueuedRow extends Omit<QueuedEvent, 'n' | 'arrival'> {
  n: string;
  arrival: string;
}
const toQueued = ({ n, arrival, ...row }: QueuedRow): QueuedEvent => ({
  ...row,
  n: Number(n),
  arrival: Number(arrival),
});

/** The organisation's oldest pending events that arrived after this one, oldest first. */
export async function queueOf(db: Db, org: string, after: number, most: number): Promise<QueuedEvent[]> {
  const { rows } = await db.query<QueuedRow>(
    `select station, n, org, step, subjects, arrival from pending
     where org = $1 and arrival > $2 order by arrival limit $3`,
    [org, after, most],
  );
  return rows.map(toQueued);
}

/** What all others (or only those) have pending about any of these subjects, as far as it arrived before `last`. */
export async function queuedByOthers(
  db: Db,
  about: { org: string; those?: readonly string[] | undefined; subjects: readonly string[]; last: number },
): Promise<QueuedEvent[]> {
  const { rows } = await db.query<QueuedRow>(
    `select station, n, org, step, subjects, arrival from pending
     where subjects && $1::text[] and org <> $2 and ($3::text[] is null or org = any($3)) and arrival < $4`,
    [about.subjects, about.org, about.those, about.last],
  );
  return rows.map(toQueued);
}

/** The others that have a taker's side of a handover pending. */
export async function takers(db: Db, org: string): Promise<string[]> {
  const { rows } = await db.query<{ org: string }>(
    `select distinct org from pending where step = 'COURIER_ACCEPTED' and org <> $1`,
    [org],
  );
  return rows.map((row) => row.org);
}

/** Each station's smallest pending number; every one of them has some. */
export async function oldestNumbers(db: Db, stations: readonly string[]): Promise<Map<string, number>> {
  const { rows } = await db.query<{ station: string; n: string }>(
    `select station, (select min(n) from pending where pending.station = asked.station) as n
     from unnest($1::text[]) as asked (station)`,
    [stations],
  );
  return new Map(rows.map(({ station, n }) => [station, Number(n)]));
}

/** The numbers of what a station has pending. */
export async function pendingOf(db: Db, org: string, station: string): Promise<number[]> {
  const { rows } = await db.query<{ n: string }>('select n from pending where org = $1 and station = $2', [
    org,
    station,
  ]);
  return rows.map(({ n }) => Number(n));
}

/** The entries of these events (canonical JSON), and when they were received (ms since the epoch), by `station n`. */
export async function linesOf(
  db: Db,
  identities: readonly { station: string; n: number }[],
): Promise<Map<string, { line: string; receivedAt: number }>> {
  if (identities.length === 0) return new Map();
  const { rows } = await db.query<{ station: string; n: string; entry: string; received_at: Date }>(
    `select station, n, entry, received_at from event
     join unnest($1::text[], $2::bigint[]) as asked (station, n) using (station, n)`,
    [identities.map(({ station }) => station), identities.map(({ n }) => n)],
  );
  return new Map(
    rows.map(({ station, n, entry, received_at }) => [
      `${station} ${n}`,
      { line: entry, receivedAt: received_at.getTime() },
    ]),
  );
}

export async function countPending(db: Db): Promise<number> {
  const { rows } = await db.query<{ count: string }>('select count(*) from pending');
  return Number(rows[0]!.count);
}

/** Whether an organisation has pending events. */
export async function hasPending(db: Db, org: string): Promise<boolean> {
  const { rowCount } = await db.query('select from pending where org = $1 limit 1', [org]);
  return rowCount === 1;
}
