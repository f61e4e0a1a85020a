import {
  at as keyOf,
  entryText,
  keysOf,
  printMinute,
  refereeEntry,
  type Entry,
  type Json,
  type Refusal,
  type Statement,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { saveDeviations } from '../store/deviations.ts';
import { appendEvents, bodyHashes, lockNames, refuseByService } from '../store/events.ts';
import type { Db } from '../store/pool.ts';
import type { ItemAnswer, Principal, Rejection } from '../service.ts';
import type { Pipeline } from './context.ts';
import { openInspection } from './deviations.ts';
import type { Projection, Projections } from './projection.ts';
import { receiptsOf, toReceipt } from './receipts.ts';
import { nameOf, Rejected, understandStatement, type Said } from './understand.ts';

/** Refusals after which nothing is stored and the number stays free: malformed, badly signed or impossible. */
const NOT_STORED: ReadonlySet<Refusal> = new Set([
  'ENTRY_MALFORMED',
  'STATION_UNKNOWN',
  'STATION_FOREIGN',
  'SIGNATURE_BAD',
  'SITE_UNKNOWN',
  'RULES_UNKNOWN',
  'N_USED',
  'N_TOO_OLD',
  'TIME_FUTURE',
]);

/** Refusals that no other side of a handover can change. */
const NEVER_HELD: ReadonlySet<Refusal> = new Set(['STATION_REVOKED', 'ROLE_NOT_ALLOWED', 'TIME_TOO_OLD']);

/** An item that was not stored before, as its entry. */
interface Fresh {
  item: Said;
  entry: Entry;
  disclosures: string[];
}

/** What became of some items, and the state they led to. */
export interface Admitted {
  answers: Map<Said, ItemAnswer>;
  projection: Projection;
  /** the entries that wait for the ledger's verdict now */
  pending: Entry[];
}

/**
 * Judges items against the settled and the pending state and stores them, with what the service finds in them; an illegal one is
 * stored with its code. All of it is in the caller's transaction.
 */
export async function admit(
  pipeline: Pipeline,
  tx: Db,
  projections: Projections,
  said: readonly Said[],
): Promise<Admitted> {
  const inspection = await openInspection(
    tx,
    said.map(({ principal: { org, site }, step }) => ({ org, site, step })),
  );
  // The filing stations too, now: a lock that is taken later could wait in a circle.
  await lockNames(tx, [
    ...said.flatMap(({ station, subject, links }) => [station, subject, ...links]),
    ...inspection.stations,
  ]);
  const { fresh, known, conflicts, rejections } = await sortOut(tx, said);

  const at = Math.floor(pipeline.now() / 60_000);
  const projection = await projections.of(
    tx,
    said.flatMap(({ subject, links }) => [subject, ...links]),
    at,
  );
  await projection.read(tx, [
    ...keysOf(
      fresh.map(({ entry }) => entry),
      [],
    ),
    ...inspection.stations.flatMap((station) => [keyOf.station(station), keyOf.window(station)]),
  ]);
  const kept: (Fresh & { refused?: Refusal; held: boolean })[] = [];
  const queue = [...fresh];
  for (let one = queue.shift(); one; one = queue.shift()) {
    const { item, entry } = one;
    const held = projection.holds(entry);
    const { refused } = await refereeEntry(entry, item.principal.org, 0, projection.world, at, nodeSuite);
    if (refused && !said.includes(item))
      pipeline.log({ level: 'warn', what: 'deviation not filed', why: refused });
    if (refused && NOT_STORED.has(refused)) {
      rejections.set(nameOf(item), { code: refused, pointer: '', detail: refused });
      continue;
    }
    if (held && !(refused && NEVER_HELD.has(refused))) {
      projection.hold(entry);
      kept.push({ ...one, held });
    } else if (refused) {
      kept.push({ ...one, held: false, refused });
    } else {
      kept.push({ ...one, held: false });
      // What the service finds in it is filed behind it and goes the same way, before anything else is judged.
      const statements = await inspection.look(one, projection.world, printMinute(at));
      queue.unshift(...statements.flatMap((statement) => ownFiling(pipeline, item.principal, statement)));
    }
  }
  await appendEvents(
    tx,
    kept.map(({ item, entry, disclosures }) => ({
      entry,
      disclosures,
      line: entryText(entry),
      bodyHash: item.bodyHash,
    })),
  );
  await refuseByService(
    tx,
    kept.flatMap(({ entry, refused }) => (refused ? [{ entry, code: refused }] : [])),
  );
  await saveDeviations(tx, inspection.found);

  const receipts = await receiptsOf(tx, known);
  for (const { entry, refused, held } of kept) {
    const receipt = toReceipt(
      {
        ...entry,
        said_by: refused ? 'service' : null,
        code: refused ?? null,
        index: null,
        leaf: null,
        body: null,
        deviations: inspection.found
          .filter(({ station, n }) => station === entry.station && n === entry.n)
          .map(({ checkId }) => checkId)
          .sort(),
      },
      held && entry.step === 'COURIER_ACCEPTED',
    );
    receipts.set(nameOf(entry), { org: entry.org, receipt });
  }
  const answers = new Map<Said, ItemAnswer>();
  for (const item of said) {
    const rejection = conflicts.get(item) ?? rejections.get(nameOf(item));
    answers.set(item, rejection ? { rejection } : { receipt: receipts.get(nameOf(item))!.receipt });
  }
  return {
    answers,
    projection,
    pending: kept.flatMap(({ entry, refused }) => (refused ? [] : [entry])),
  };
}

interface Sorted {
  fresh: Fresh[];
  /** what is stored already, as it was said now */
  known: Said[];
  /** what is said otherwise than before */
  conflicts: Map<Said, Rejection>;
  /** why an event cannot be stored, by `station n` */
  rejections: Map<string, Rejection>;
}

/** Tells what is new from what was said before, also before in the same request: what stands twice gets one answer. */
async function sortOut(tx: Db, said: readonly Said[]): Promise<Sorted> {
  const stored = await bodyHashes(tx, said);
  const seen = new Map(stored);
  const sorted: Sorted = { fresh: [], known: [], conflicts: new Map(), rejections: new Map() };
  for (const item of said) {
    const name = nameOf(item);
    const before = seen.get(name);
    if (before && !Buffer.from(before).equals(item.bodyHash)) {
      const detail = 'another event with this station and number came before';
      sorted.conflicts.set(item, { code: 'N_CONFLICT', pointer: '', detail });
    } else if (before) {
      if (stored.has(name)) sorted.known.push(item);
    } else {
      seen.set(name, item.bodyHash);
      try {
        sorted.fresh.push({ item, ...item.sign() });
      } catch (error) {
        if (!(error instanceof Rejected)) throw error;
        sorted.rejections.set(name, error.rejection);
      }
    }
  }
  return sorted;
}

/** The service's own statement as an item like any other; none when it does not hold the station's key after all. */
function ownFiling(pipeline: Pipeline, principal: Principal, statement: Statement): Fresh[] {
  try {
    const item = understandStatement(pipeline.keys, principal, statement as Json);
    return [{ item, ...item.sign() }];
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    pipeline.log({ level: 'warn', what: 'deviation not filed', why: error.message });
    return [];
  }
}
