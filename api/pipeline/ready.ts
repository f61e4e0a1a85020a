import { at as keyOf, parseEntry, WINDOW, type Subject } from '@yaoji/chaincode/core';
import { linesOf, oldestNumbers, queuedByOthers, queueOf, takers, type QueuedEvent } from '../store/queue.ts';
import type { Db } from '../store/pool.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import type { Pipeline } from './context.ts';
import { awaitsGiver, giversFirst, handoverOf, HOLD_FOR, type Side } from './hold.ts';

// The queue may be 100,000 events long and is looked through at every turn: a page of the organisation's own events at a time,
// with what others have pending on the same subjects, and the entries of handovers and of what is chosen only.

/** How many events of an organisation are looked at together. */
const PAGE = 1_000;

/**
 * The organisation's entries that may be written now, oldest first: everything pending before them on their subjects has a
 * verdict or precedes them here, so that two organisations never fight over one box.
 */
export async function ready({ pool, now }: Pipeline, org: string, most: number): Promise<string[]> {
  const overdue = now() - HOLD_FOR;
  const blocked = new Set<string>();
  const waiting = new Set<string>();
  const given = new Set<string | undefined>();
  const chosen: QueuedEvent[] = [];
  for (let own = await queueOf(pool, org, 0, PAGE); own.length > 0 && chosen.length < most;) {
    const last = own.at(-1)!.arrival;
    const others = await othersAbout(pool, org, own, last);
    const events = await withSides(
      pool,
      [...own, ...others].sort((a, b) => a.arrival - b.arrival),
    );
    const boxes = await readWorld(pool, [
      ...new Set(
        events.flatMap(({ side }) => (side.step === 'COURIER_ACCEPTED' ? keyOf.subject(side.subject) : [])),
      ),
    ]);
    const oldestN = await oldestNumbers(pool, [...new Set(own.map(({ station }) => station))]);
    for (const event of giversFirst(events, ({ side }) => side)) {
      const { side, subjects: touched } = event;
      const handover = handoverOf(side);
      const held =
        event.receivedAt > overdue &&
        !given.has(handover) &&
        awaitsGiver(side, parsedValue<Subject>(boxes, keyOf.subject(side.subject)));
      if (held || touched.some((subject) => waiting.has(`${event.org} ${subject}`))) {
        // It waits for the other side of its handover, which must not wait for it.
        for (const subject of touched) waiting.add(`${event.org} ${subject}`);
        continue;
      }
      if (side.step === 'HANDED_OVER') given.add(handover);
      const free =
        event.org === org &&
        chosen.length < most &&
        // The ledger remembers a station's last 1,024 numbers only: no entry may push an older pending one out of sight.
        event.n < oldestN.get(event.station)! + WINDOW &&
        !touched.some((subject) => blocked.has(subject));
      if (free) chosen.push(event);
      else for (const subject of touched) blocked.add(subject);
    }
    own = own.length < PAGE ? [] : await queueOf(pool, org, last, PAGE);
  }
  const lines = await linesOf(pool, chosen);
  return chosen.map(({ station, n }) => lines.get(`${station} ${n}`)!.line);
}

/**
 * What others have pending on the subjects of these events, as far as it came before the last of them. What a taker says waits
 * behind its side of a handover without standing in anybody's way: so all that takers have pending on what they touch.
 */
async function othersAbout(
  db: Db,
  org: string,
  own: readonly QueuedEvent[],
  last: number,
): Promise<QueuedEvent[]> {
  const known = new Set(own.flatMap(({ subjects }) => subjects));
  const found = new Map<string, QueuedEvent>();
  const held = new Set(await takers(db, org));
  let fresh = [...known];
  for (let those: readonly string[] | undefined; fresh.length > 0; those = [...held]) {
    const more = await queuedByOthers(db, { org, those, subjects: fresh, last });
    for (const event of more) found.set(`${event.station} ${event.n}`, event);
    fresh = [
      ...new Set(
        more
          .filter((event) => held.has(event.org))
          .flatMap(({ subjects }) => subjects.filter((subject) => !known.has(subject))),
      ),
    ];
    for (const subject of fresh) known.add(subject);
  }
  return [...found.values()];
}

interface Sided extends QueuedEvent {
  side: Side;
  /** ms since the epoch; 0 where nobody asks */
  receivedAt: number;
}

/** Reads the entries of handovers: whose other side they wait for stands in them. */
async function withSides(db: Db, events: readonly QueuedEvent[]): Promise<Sided[]> {
  const lines = await linesOf(
    db,
    events.filter(({ step }) => step === 'COURIER_ACCEPTED' || step === 'HANDED_OVER'),
  );
  return events.map((event) => {
    const { station, n, org, step, subjects } = event;
    const stored = lines.get(`${station} ${n}`);
    return {
      ...event,
      side: stored ? parseEntry(stored.line) : { org, subject: subjects[0]!, step, open: {} },
      receivedAt: stored?.receivedAt ?? 0,
    };
  });
}
