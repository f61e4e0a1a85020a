import {
  at as keyOf,
  parseEntry,
  type Mark,
  type Record,
  type Refusal,
  type Subject,
} from '@yaoji/chaincode/core';
import { eventStatuses, type EventStatus } from '../store/events.ts';
import type { Db } from '../store/pool.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import type { Receipt } from '../service.ts';
import { awaitsGiver } from './hold.ts';

/** What became of these events, by `station n`; an event that is not stored has no receipt. */
export async function receiptsOf(
  db: Db,
  identities: readonly { station: string; n: number }[],
): Promise<Map<string, { org: string; receipt: Receipt }>> {
  if (identities.length === 0) return new Map();
  const statuses = await eventStatuses(db, identities);
  const takers = statuses.filter(({ said_by, step }) => said_by === null && step === 'COURIER_ACCEPTED');
  const boxes = await readWorld(
    db,
    takers.map(({ subject }) => keyOf.subject(subject)),
  );
  return new Map(
    statuses.map((status) => {
      const held =
        takers.includes(status) &&
        awaitsGiver(entryOf(status), parsedValue<Subject>(boxes, keyOf.subject(status.subject)));
      return [`${status.station} ${status.n}`, { org: status.org, receipt: toReceipt(status, held) }];
    }),
  );
}

const entryOf = ({ entry }: EventStatus): ReturnType<typeof parseEntry> => parseEntry(entry);

/** What is said of an event that stands so; `held`: it waits for the other side of its handover. */
export function toReceipt(
  {
    station,
    n,
    step,
    subject,
    said_by,
    code,
    index,
    leaf,
    body,
    deviations,
  }: Omit<EventStatus, 'org' | 'entry'>,
  held: boolean,
): Receipt {
  const marks = deviations.map((check): Mark => `DEVIATION:${check}`);
  const about = { station, n, step, subject, ...(marks.length ? { marks } : {}) };
  if (said_by === null) return { ...about, outcome: held ? 'held' : 'pending' };
  if (code !== null) return { ...about, outcome: 'refused', code: code as Refusal, by: said_by };
  const { at } = JSON.parse(body!) as Record;
  return { ...about, outcome: 'settled', index: index!, leaf: leaf!, at };
}
