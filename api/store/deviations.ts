import type { Db } from './pool.ts';

// What the service needs to find and to file deviations.

/** An event's entry (canonical JSON) and what is still kept of what it hides. */
export interface ShownEvent {
  entry: string;
  disclosures: string[];
}

/** The latest event of this step about this subject that nobody refused. */
export async function latestAbout(db: Db, subject: string, step: string): Promise<ShownEvent | undefined> {
  return latest(db, 'e.subject = $1 and e.step = $2', [subject, step]);
}

/** The latest start of a boil in this device that nobody refused. */
export async function latestBoilIn(db: Db, device: string): Promise<ShownEvent | undefined> {
  return latest(db, "e.links[1] = $1 and e.step = 'DECOCT_STARTED'", [device]);
}

async function latest(db: Db, condition: string, values: string[]): Promise<ShownEvent | undefined> {
  const { rows } = await db.query<ShownEvent>(
    `select e.entry,
       array(select d.text from disclosure d where d.station = e.station and d.n = e.n order by d.position) as disclosures
     from (
       select e.station, e.n, e.entry from event e
       where ${condition} and not exists (
         select from verdict v where v.station = e.station and v.n = e.n and v.code is not null
       )
       order by e.arrival desc limit 1
     ) e`,
    values,
  );
  return rows[0];
}

/** The hosted station of this site, not revoked, that files what the service finds; the first of several. */
export async function systemStation(db: Db, org: string, site: string): Promise<string | undefined> {
  const { rows } = await db.query<{ station: string }>(
    `select substr(key, length('station~') + 1) as station from world
     where key like 'station~%' and value::jsonb ->> 'org' = $1 and value::jsonb ->> 'site' = $2
       and value::jsonb @> '{"hosted": true, "roles": ["SYSTEM"]}' and not value::jsonb ? 'revoked'
     order by key limit 1`,
    [org, site],
  );
  return rows[0]?.station;
}

/** The number after the highest that is stored of this station. */
export async function nextNumber(db: Db, station: string): Promise<number> {
  const { rows } = await db.query<{ next: string }>(
    'select coalesce(max(n), 0) + 1 as next from event where station = $1',
    [station],
  );
  return Number(rows[0]!.next);
}

/** Keeps beside each stored event what was found about it. */
export async function saveDeviations(
  tx: Db,
  found: readonly { station: string; n: number; checkId: string }[],
): Promise<void> {
  if (found.length === 0) return;
  await tx.query(
    'insert into deviation (station, n, check_id) select * from unnest($1::text[], $2::bigint[], $3::text[])',
    [found.map(({ station }) => station), found.map(({ n }) => n), found.map(({ checkId }) => checkId)],
  );
}
