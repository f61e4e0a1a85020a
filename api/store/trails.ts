import type { Record } from '@yaoji/chaincode/core';
import type { Db } from './pool.ts';

/** A record of a trail with the disclosures that are still kept for it. */
export interface TrailRecord {
  record: Record;
  leaf: string;
  disclosures: string[];
}

/** The records of a subject, from the first to the last settled. */
export async function readTrail(db: Db, subject: string): Promise<TrailRecord[]> {
  const { rows } = await db.query<{ body: string; leaf: string; disclosures: string[] }>(
    `select r.body, r.leaf,
       array(select d.text from disclosure d where d.station = r.station and d.n = r.n order by d.position) as disclosures
     from record r where r.subject = $1 order by r.seq`,
    [subject],
  );
  return rows.map(({ body, leaf, disclosures }) => ({
    record: JSON.parse(body) as Record,
    leaf,
    disclosures,
  }));
}
