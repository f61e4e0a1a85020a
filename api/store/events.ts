import type { Entry } from '@yaoji/chaincode/core';
import type { Db } from './pool.ts';

/** A custody event as it is stored: its signed entry, what it hides, and the hash of the body that brought it. */
export interface StoredEvent {
  entry: Entry;
  /** the entry's canonical JSON */
  line: string;
  disclosures: readonly string[];
  bodyHash: Uint8Array;
}

/** Appends events with their disclosures. The caller holds the locks of their subjects and stations. */
export async function appendEvents(tx: Db, events: readonly StoredEvent[]): Promise<void> {
  if (events.length === 0) return;
  const shown = events.flatMap(({ entry, disclosures }) =>
    disclosures.map((text, position) => ({ station: entry.station, n: entry.n, position, text })),
  );
  // One statement: each costs as much as many rows.
  await tx.query(
    `with shown as (
       insert into disclosure (station, n, position, text)
       select * from unnest($10::text[], $11::bigint[], $12::smallint[], $13::text[])
     )
     insert into event (station, n, org, site, step, subject, links, entry, body_hash)
     select station, n, org, site, step, subject,
            array(select jsonb_array_elements_text(links)), entry, body_hash
     from unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::text[], $9::bytea[])
       with ordinality as e (station, n, org, site, step, subject, links, entry, body_hash, position)
     order by position`,
    [
      events.map(({ entry }) => entry.station),
      events.map(({ entry }) => entry.n),
      events.map(({ entry }) => entry.org),
      events.map(({ entry }) => entry.site),
      events.map(({ entry }) => entry.step),
      events.map(({ entry }) => entry.subject),
      events.map(({ entry }) => JSON.stringify(entry.links ?? [])),
      events.map(({ line }) => line),
      events.map(({ bodyHash }) => Buffer.from(bodyHash)),
      shown.map(({ station }) => station),
      shown.map(({ n }) => n),
      shown.map(({ position }) => position),
      shown.map(({ text }) => text),
    ],
  );
}

/** Waits until nobody else writes about these subjects and stations, until the transaction ends. */
export async function lockNames(tx: Db, names: readonly string[]): Promise<void> {
  // One order for everybody, so that two requests never wait for one another in a circle.
  await tx.query(
    `select pg_advisory_xact_lock(key) from (
       select distinct hashtextextended(name, 0) as key from unnest($1::text[]) as name order by 1
     ) as keys`,
    [names],
  );
}

/** The hash of the body that each of these events came with, by `station n`. */
export async function bodyHashes(
  db: Db,
  identities: readonly { station: string; n: number }[],
): Promise<Map<string, Uint8Array>> {
  const { rows } = await db.query<{ station: string; n: string; body_hash: Buffer }>(
    `select station, n, body_hash from event
     join unnest($1::text[], $2::bigint[]) as asked (station, n) using (station, n)`,
    [identities.map(({ station }) => station), identities.map(({ n }) => n)],
  );
  return new Map(rows.map(({ station, n, body_hash }) => [`${station} ${n}`, body_hash]));
}

/** An event without a verdict. */
export interface PendingEvent {
  station: string;
  n: number;
  org: string;
  step: string;
  /** its subject, then its links */
  subjects: string[];
  /** the handover that it is a side of */
  handover: string | null;
}

/** Every pending event about any of these subjects, oldest arrival first. */
export async function pendingAbout(db: Db, subjects: readonly string[]): Promise<PendingEvent[]> {
  const { rows } = await db.query<Omit<PendingEvent, 'n'> & { n: string }>(
    `select station, n, org, step, subjects, case when step in ('HANDED_OVER', 'COURIER_ACCEPTED') then (
       select entry::json #>> '{open,handover}' from event e where e.station = p.station and e.n = p.n
     ) end as handover
     from pending p where subjects && $1::text[] order by arrival`,
    [subjects],
  );
  return rows.map(({ n, ...rest }) => ({ ...rest, n: Number(n) }));
}

/** The entries of these events (canonical JSON), in their order; all of them are stored. */
export async function entriesOf(
  db: Db,
  identities: readonly { station: string; n: number }[],
): Promise<string[]> {
  if (identities.length === 0) return [];
  const { rows } = await db.query<{ entry: string }>(
    `select e.entry from unnest($1::text[], $2::bigint[]) with ordinality as asked (station, n, position)
     join event e using (station, n) order by position`,
    [identities.map(({ station }) => station), identities.map(({ n }) => n)],
  );
  return rows.map(({ entry }) => entry);
}

/** Keeps the service's own refusal of an event beside it. */
export async function refuseByService(
  tx: Db,
  refusals: readonly { entry: Entry; code: string }[],
): Promise<void> {
  if (refusals.length === 0) return;
  await tx.query(
    `insert into verdict (station, n, said_by, code, org)
     select station, n, 'service', code, org from unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) as v (station, n, code, org)`,
    [
      refusals.map(({ entry }) => entry.station),
      refusals.map(({ entry }) => entry.n),
      refusals.map(({ code }) => code),
      refusals.map(({ entry }) => entry.org),
    ],
  );
}

/** What is stored of an event and what was said of it. */
export interface EventStatus {
  station: string;
  n: number;
  org: string;
  step: string;
  subject: string;
  /** the entry's canonical JSON */
  entry: string;
  said_by: 'ledger' | 'service' | null;
  code: string | null;
  index: number | null;
  leaf: string | null;
  body: string | null;
  /** the checks that found it outside the process rules, sorted */
  deviations: string[];
}

/** The status of the events that are stored, in any order. */
export async function eventStatuses(
  db: Db,
  identities: readonly { station: string; n: number }[],
): Promise<EventStatus[]> {
  const { rows } = await db.query<Omit<EventStatus, 'n' | 'index'> & { n: string; index: string | null }>(
    `select e.station, e.n, e.org, e.step, e.subject, e.entry, v.said_by, v.code, r.index, r.leaf, r.body,
       array(select d.check_id from deviation d where d.station = e.station and d.n = e.n order by 1) as deviations
     from unnest($1::text[], $2::bigint[]) as asked (station, n)
     join event e using (station, n) left join verdict v using (station, n) left join record r using (station, n)`,
    [identities.map(({ station }) => station), identities.map(({ n }) => n)],
  );
  return rows.map((row) => ({
    ...row,
    n: Number(row.n),
    index: row.index === null ? null : Number(row.index),
  }));
}
