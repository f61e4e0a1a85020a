import { createHash, randomBytes } from 'node:crypto';
import {
  at as keyOf,
  canonical,
  commit,
  disclosureDigest,
  entrySchema,
  keysOf,
  parseDisclosure,
  parseEntry,
  pointer,
  printMinute,
  refereeEntry,
  RULES,
  statementSchema,
  toEntry,
  TraceError,
  World,
  type Entry,
  type Json,
  type Refusal,
  type Rule,
  type Statement,
  type Subject,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import type * as z from 'zod/mini';
import {
  appendEvents,
  bodyHashes,
  lockNames,
  pendingAbout,
  refuseByService,
  type PendingEvent,
} from '../store/events.ts';
import { failpoint } from '../failpoints.ts';
import { saveDeviations } from '../store/deviations.ts';
import { withTransaction, type Db } from '../store/pool.ts';
import { readWorld } from '../store/world.ts';
import { schemaFaults } from '../schema-faults.ts';
import type { ItemAnswer, Principal, Rejection } from '../service.ts';
import { trusting, type Pipeline } from './context.ts';
import { openInspection } from './deviations.ts';
import { awaitsGiver, giversFirst } from './hold.ts';
import { receiptsOf } from './receipts.ts';
import { mirrorRegistry } from './registry.ts';

/** How long a step that decides a race waits for its verdict before the caller is told "verdict pending", ms. */
const WAIT = 4_000;
/** How often it looks meanwhile whether another process has settled it, ms. */
const LOOK_EVERY = 1_000;

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

/** An item as it was understood: who says it, and how it becomes an entry if it is new. */
interface Said {
  station: string;
  n: number;
  step: string;
  subject: string;
  links: readonly string[];
  /** the members, sites and stations that it is judged by: their keys on the ledger */
  registry: readonly string[];
  bodyHash: Uint8Array;
  sign(): { entry: Entry; disclosures: string[] };
}

/** An item that was not stored before, as its entry. */
interface Fresh {
  item: Said;
  entry: Entry;
  disclosures: string[];
}

const nameOf = ({ station, n }: Pick<Said, 'station' | 'n'>): string => `${station} ${n}`;

class Rejected extends Error {
  readonly rejection: Rejection;
  constructor(code: Rejection['code'], place: string, detail: string) {
    super(detail);
    this.rejection = { code, pointer: place, detail };
  }
}

/**
 * Stores what can be stored of these items in one transaction and answers each, in order. What an item says is judged
 * against the settled and the pending state before it is stored; an illegal one is stored with its code. Steps that decide a
 * race are answered after their verdict, or after some seconds.
 */
export async function receive(
  pipeline: Pipeline,
  principal: Principal,
  items: readonly Json[],
): Promise<ItemAnswer[]> {
  const understood = items.map((item) => {
    try {
      return understand(pipeline, principal, item);
    } catch (error) {
      if (error instanceof Rejected) return error;
      throw error;
    }
  });
  const said = understood.flatMap((item) => (item instanceof Rejected ? [] : [item]));
  const rejections = new Map<Said, Rejection>();
  if (said.length) {
    const registry = new Set(said.flatMap((item) => item.registry));
    await mirrorRegistry(pipeline, principal.org, [...registry]);
    const judged = await withTransaction(pipeline.pool, async (tx) => {
      const stored = await store(pipeline, tx, principal, said);
      failpoint('receive-before-commit');
      return stored;
    });
    failpoint('receive-after-commit');
    for (const [item, rejection] of judged) rejections.set(item, rejection);
    pipeline.nudge(principal.org);
  }
  const stored = said.filter((item) => !rejections.has(item));
  if (!pipeline.failing(principal.org)) await waitForRaces(pipeline, stored);
  const receipts = await receiptsOf(pipeline.pool, stored);
  failpoint('receive-before-answer');
  return understood.map((item) => {
    const rejection = item instanceof Rejected ? item.rejection : rejections.get(item);
    return rejection ? { rejection } : { receipt: receipts.get(nameOf(item as Said))!.receipt };
  });
}

async function waitForRaces({ pool, decisions, log }: Pipeline, stored: readonly Said[]): Promise<void> {
  const racing = stored.filter(({ step }) => RULES[step]?.waits);
  if (racing.length === 0) return;
  const waits = racing.map((item) => decisions.wait(item, WAIT));
  // The verdict may have been announced before we listened; a held one will not come in time.
  const undecided = async (): Promise<boolean[]> => {
    const receipts = await receiptsOf(pool, racing);
    return racing.map((item) => receipts.get(nameOf(item))!.receipt.outcome === 'pending');
  };
  const pending = await undecided();
  // Another process of this service may settle it, and announces it to its own callers only.
  const looking = setInterval(() => {
    undecided().then(
      (still) => decisions.announce(racing.filter((_, i) => !still[i])),
      (error: Error) => log({ level: 'warn', what: 'verdict not looked up', why: error.message }),
    );
  }, LOOK_EVERY);
  await Promise.all(waits.filter((_, i) => pending[i]));
  clearInterval(looking);
}

// ── Understanding ──────────────────────────────────────────────────────────────────────────────────────────────────

function understand(pipeline: Pipeline, principal: Principal, item: Json): Said {
  if (typeof item !== 'object' || Array.isArray(item))
    throw new Rejected('ITEM_MALFORMED', '', 'an item is an object');
  const names = Object.keys(item).sort().join(' ');
  if (names === 'statement') return understandStatement(pipeline, principal, item['statement']!);
  if (names === 'disclosures entry') return understandEntry(principal, item['entry']!, item['disclosures']!);
  throw new Rejected('ITEM_MALFORMED', '', 'an item is {statement} or {entry, disclosures}');
}

function understandStatement({ keys }: Pipeline, principal: Principal, value: Json): Said {
  const parsed = statementSchema.safeParse(value);
  if (!parsed.success) throw malformed(parsed.error, value, (path) => `/statement${pointer(path)}`);
  const statement: Statement = parsed.data;
  ownOnly(principal, statement, '/statement');
  const rule = ruleOf(statement.step, '/statement/step');
  checkPayload(rule, statement.payload, (path) => `/statement/payload${pointer(path)}`);
  return {
    ...identityOf(statement, statement.payload),
    bodyHash: hashOf({ statement: value }),
    sign() {
      const { entry, disclosures } = commit(
        statement,
        rule.openFields,
        () => randomBytes(16),
        nodeSuite.sha256,
      );
      const signed = keys.sign(entry);
      if (!signed)
        throw new Rejected(
          'STATION_NOT_HOSTED',
          '/statement/station',
          'the service holds no key of this station',
        );
      return { entry: readable(signed, '/statement'), disclosures };
    },
  };
}

function understandEntry(principal: Principal, value: Json, shown: Json): Said {
  const entry = readable(value, '/entry');
  ownOnly(principal, entry, '/entry');
  const rule = ruleOf(entry.step, '/entry/step');
  if (!Array.isArray(shown) || shown.length > 64)
    throw new Rejected('ITEM_MALFORMED', '/disclosures', 'a list is expected');
  const payload: Record<string, Json> = { ...entry.open };
  const places = new Map<PropertyKey, string>();
  const disclosures = shown.map((text, i) => {
    const place = `/disclosures/${i}`;
    if (typeof text !== 'string') throw new Rejected('ITEM_MALFORMED', place, 'a disclosure is a text');
    try {
      const { name, value: field } = parseDisclosure(text);
      if (!entry.digests.includes(disclosureDigest(text, nodeSuite.sha256)) || Object.hasOwn(payload, name))
        throw new Rejected('DISCLOSURE_FOREIGN', place, 'the entry does not commit to this disclosure');
      if (!Object.hasOwn(rule.sealed, name))
        throw new Rejected('ENTRY_MALFORMED', place, `${entry.step} has no such field to hide`);
      payload[name] = field;
      places.set(name, place);
    } catch (error) {
      if (error instanceof TraceError) throw new Rejected('ITEM_MALFORMED', place, error.message);
      throw error;
    }
    return text;
  });
  if (new Set(disclosures).size !== entry.digests.length)
    throw new Rejected('DISCLOSURE_FOREIGN', '/disclosures', 'every digest comes with its disclosure, once');
  checkOpen(rule, entry.open, '/entry/open');
  // What a disclosure holds is not a part of the body: the disclosure is the nearest place.
  checkPayload(rule, payload, ([name = '']) => places.get(name) ?? '/disclosures');
  return {
    ...identityOf(entry, entry.open),
    bodyHash: hashOf({ entry: value, disclosures: shown }),
    sign: () => ({ entry, disclosures }),
  };
}

const identityOf = (
  { station, n, step, subject, links = [], org, site }: Statement | Entry,
  { to }: Readonly<Record<string, Json>>,
): Omit<Said, 'bodyHash' | 'sign'> => ({
  station,
  n,
  step,
  subject,
  links,
  registry: [
    keyOf.member(org),
    keyOf.site(org, site),
    keyOf.station(station),
    ...(typeof to === 'string' ? [keyOf.member(to)] : []),
  ],
});

/** The entry in a value; what is stored must be readable for ever. */
function readable(value: unknown, place: string): Entry {
  try {
    return toEntry(value);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    // The schema is asked again only here: it tells an unknown field from a missing one.
    const found = entrySchema.safeParse(value).error;
    if (found) throw malformed(found, value, (path) => place + pointer(path));
    throw new Rejected('ENTRY_MALFORMED', place + error.place, error.message);
  }
}

const hashOf = (body: Json): Uint8Array => createHash('sha256').update(canonical(body)).digest();

function ownOnly(principal: Principal, { org, site }: Statement | Entry, place: string): void {
  if (org !== principal.org)
    throw new Rejected('PRINCIPAL_FOREIGN', `${place}/org`, 'this key speaks for another organisation');
  if (site !== principal.site)
    throw new Rejected('PRINCIPAL_FOREIGN', `${place}/site`, 'this key speaks for another site');
}

function ruleOf(step: string, place: string): Rule {
  const rule = Object.hasOwn(RULES, step) ? RULES[step] : undefined;
  if (!rule) throw new Rejected('ENTRY_MALFORMED', place, `there is no step ${step}`);
  return rule;
}

function checkOpen(rule: Rule, open: Entry['open'], place: string): void {
  const result = rule.openSchema.safeParse(open);
  if (!result.success) throw malformed(result.error, open, (path) => place + pointer(path));
}

type PlaceOf = (path: readonly PropertyKey[]) => string;

function checkPayload(rule: Rule, payload: Readonly<Record<string, Json>>, placeOf: PlaceOf): void {
  const result = rule.payloadSchema.safeParse(payload);
  if (!result.success) throw malformed(result.error, payload, placeOf);
}

/** The first of the faults that a schema found in a value. */
function malformed(error: z.core.$ZodError, value: unknown, placeOf: PlaceOf): Rejected {
  const { code, path, message } = schemaFaults(error, value)[0]!;
  return new Rejected(code, placeOf(path), message);
}

// ── Judging and storing ────────────────────────────────────────────────────────────────────────────────────────────

async function store(
  pipeline: Pipeline,
  tx: Db,
  principal: Principal,
  said: readonly Said[],
): Promise<Map<Said, Rejection>> {
  const { org } = principal;
  const rejections = new Map<Said, Rejection>();
  const inspection = await openInspection(
    tx,
    principal,
    said.map(({ step }) => step),
  );
  const filing = inspection.station === undefined ? [] : [inspection.station];
  // The filing station too, now: a lock that is taken later could wait in a circle.
  await lockNames(tx, [
    ...said.flatMap(({ station, subject, links }) => [station, subject, ...links]),
    ...filing,
  ]);
  const known = await bodyHashes(tx, said);
  const pending = await pendingClosure(
    tx,
    said.flatMap(({ subject, links }) => [subject, ...links]),
  );
  const earlier = giversFirst(
    pending.map(({ line }) => parseEntry(line)),
    (entry) => entry,
  );

  const fresh: Fresh[] = [];
  const firsts = new Map<string, Said>();
  for (const item of said) {
    const identity = nameOf(item);
    const before = known.get(identity);
    if (before) {
      if (!Buffer.from(before).equals(item.bodyHash))
        rejections.set(item, conflict('another event with this station and number came before'));
      continue;
    }
    known.set(identity, item.bodyHash);
    firsts.set(identity, item);
    try {
      fresh.push({ item, ...item.sign() });
    } catch (error) {
      if (!(error instanceof Rejected)) throw error;
      rejections.set(item, error.rejection);
    }
  }

  const at = Math.floor(pipeline.now() / 60_000);
  const entries = [...earlier, ...fresh.map(({ entry }) => entry)];
  const filingKeys = filing.flatMap((station) => [keyOf.station(station), keyOf.window(station)]);
  const world = new World(await readWorld(tx, [...keysOf(entries, []), ...filingKeys]));
  const waiting = new Set<string>();
  for (const entry of earlier) {
    if (mustWait(entry, world, waiting)) waiting.add(`${entry.org} ${entry.subject}`);
    await refereeEntry(entry, entry.org, 0, world, at, trusting);
  }
  const kept: Fresh[] = [];
  const refusals: { entry: Entry; code: Refusal }[] = [];
  const queue = [...fresh];
  for (let one = queue.shift(); one; one = queue.shift()) {
    const { item, entry } = one;
    const held = mustWait(entry, world, waiting);
    const { refused } = await refereeEntry(entry, org, 0, world, at, nodeSuite);
    if (refused && !said.includes(item))
      pipeline.log({ level: 'warn', what: 'deviation not filed', why: refused });
    if (refused && NOT_STORED.has(refused)) {
      rejections.set(item, { code: refused, pointer: '', detail: refused });
      continue;
    }
    kept.push(one);
    if (held && !(refused && NEVER_HELD.has(refused))) waiting.add(`${entry.org} ${entry.subject}`);
    else if (refused) refusals.push({ entry, code: refused });
    else {
      // What the service finds in it is filed behind it and goes the same way, before anything else is judged.
      const statements = await inspection.look(one, world, printMinute(at));
      queue.unshift(...statements.flatMap((statement) => ownFiling(pipeline, principal, statement)));
    }
  }
  await appendEvents(
    tx,
    kept.map(({ item, entry, disclosures }) => ({
      entry,
      disclosures,
      line: canonical(entry),
      bodyHash: item.bodyHash,
    })),
  );
  await refuseByService(tx, refusals);
  await saveDeviations(tx, inspection.found);
  // What stands twice in a request gets one answer.
  for (const item of said) {
    const rejection = rejections.get(firsts.get(nameOf(item))!);
    if (rejection && !rejections.has(item)) rejections.set(item, rejection);
  }
  return rejections;
}

/** The service's own statement as an item like any other; none when it does not hold the station's key after all. */
function ownFiling(pipeline: Pipeline, principal: Principal, statement: Statement): Fresh[] {
  try {
    const item = understandStatement(pipeline, principal, statement as Json);
    return [{ item, ...item.sign() }];
  } catch (error) {
    if (!(error instanceof Rejected)) throw error;
    pipeline.log({ level: 'warn', what: 'deviation not filed', why: error.message });
    return [];
  }
}

/** A taker's side before its giver's, or what the same organisation records of that box behind it, is not illegal: it waits. */
function mustWait(entry: Entry, world: World, waiting: ReadonlySet<string>): boolean {
  return (
    waiting.has(`${entry.org} ${entry.subject}`) ||
    awaitsGiver(entry, world.get<Subject>(keyOf.subject(entry.subject)))
  );
}

const conflict = (detail: string): Rejection => ({ code: 'N_CONFLICT', pointer: '', detail });

/** Everything pending that the state of these subjects may depend on, oldest first. */
async function pendingClosure(tx: Db, subjects: readonly string[]): Promise<PendingEvent[]> {
  const known = new Set(subjects);
  for (;;) {
    const pending = await pendingAbout(tx, [...known]);
    const before = known.size;
    for (const { subjects: touched } of pending) for (const subject of touched) known.add(subject);
    if (known.size === before) return pending;
  }
}
