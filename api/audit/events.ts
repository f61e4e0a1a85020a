import { createHash } from 'node:crypto';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  canonical,
  disclosureDigest,
  equal,
  leafHash,
  parseDisclosure,
  parseEntry,
  REFUSALS,
  toBase64url,
  utf8,
  verifyEntry,
  type Entry,
  type Json,
  type Station,
} from '@yaoji/chaincode/core';
import type { Db } from '../store/pool.ts';
import { SKEW, SKEW_MS, type Differ } from './differ.ts';
import { rowsOf } from './rows.ts';

// Everything that the store and the ledger say of one (station, n), side by side.

// The numbers are read as text: what somebody wrote into a row may lie beyond what a number can hold.
const IDENTITIES = `
  select station, n::text as number,
    e.org, e.site, e.step, e.subject, e.links, e.entry, e.body_hash, e.arrival::text as arrival,
    extract(epoch from e.received_at)::float8 * 1000 as received,
    d.positions, d.texts,
    v.said_by, v.code, v.org as verdict_org, v.batch::text as verdict_batch,
    v.said_at = e.received_at as said_when_received, v.said_at = b.settled_at as said_when_settled,
    to_jsonb(p) - 'station' - 'n' as pending,
    r.org as record_org, r.index::text as record_index, r.subject as record_subject, r.seq::text as record_seq,
    r.leaf as record_leaf, r.body as record_body,
    l.org as line_org, l.batch::text as line_batch, l.entry_hash as line_hash, l.code as line_code,
    l.index::text as line_index, l.leaf as line_leaf, l.subject as line_subject, l.seq::text as line_seq,
    e.received_at > coalesce(t.begun_at, now()) + interval '${SKEW}' as received_too_late,
    w.ledger as station_value
  from event e
  full join (
    select station, n, array_agg(position order by position) as positions, array_agg(text order by position) as texts
    from disclosure group by station, n
  ) d using (station, n)
  full join verdict v using (station, n)
  full join pending p using (station, n)
  full join record r using (station, n)
  full join audit_line l using (station, n)
  left join batch b on b.org = v.org and b.number = v.batch
  left join audit_batch a on a.org = l.org and a.number = l.batch
  left join attempt t on t.tx_id = a.tx_id
  left join audit_world w on w.key = 'station~' || station
  order by station, n`;

interface EventPart {
  org: string;
  site: string;
  step: string;
  subject: string;
  links: string[];
  entry: string;
  body_hash: Buffer;
  arrival: string;
  received: number;
}
interface Row {
  station: string;
  number: string;
  org: string | null;
  site: string;
  step: string;
  subject: string;
  links: string[];
  entry: string | null;
  body_hash: Buffer;
  arrival: string;
  received: number;
  positions: number[] | null;
  texts: string[] | null;
  said_by: string | null;
  code: string | null;
  verdict_org: string;
  verdict_batch: string | null;
  said_when_received: boolean | null;
  said_when_settled: boolean | null;
  pending: Readonly<Record<string, Json>> | null;
  record_org: string | null;
  record_index: string;
  record_subject: string;
  record_seq: string;
  record_leaf: string;
  record_body: string;
  line_org: string | null;
  line_batch: string;
  line_hash: Buffer;
  line_code: string | null;
  line_index: string | null;
  line_leaf: string;
  line_subject: string;
  line_seq: string;
  received_too_late: boolean | null;
  station_value: string | null;
}

/** What was counted on the way. */
export interface EventCounts {
  events: number;
  pending: number;
  refused: number;
  /** numbers below a station's highest that nothing stands under: gaps show */
  skipped: number;
}

/** Holds every event, its disclosures, verdict, record and place among the pending against the ledger. */
export async function auditEvents(
  db: Db,
  differ: Differ,
  progress: (events: number) => void,
): Promise<EventCounts> {
  const counts: EventCounts = { events: 0, pending: 0, refused: 0, skipped: 0 };
  let last = { station: '', n: 0 };
  let gone = 0;
  for await (const row of rowsOf<Row>(db, IDENTITIES)) {
    const n = Number(row.number);
    counts.skipped += Math.max(0, n - 1 - (row.station === last.station ? last.n : 0));
    last = { station: row.station, n };
    if (row.entry !== null) counts.events++;
    if (row.pending !== null) counts.pending++;
    if (row.code !== null) counts.refused++;
    await auditIdentity(row, differ);
    progress(++gone);
  }
  return counts;
}

async function auditIdentity(row: Row, differ: Differ): Promise<void> {
  const key = `${row.station} ${row.number}`;
  const say = (table: string, what: string): void => differ(table, key, what);
  if (row.entry === null) {
    say('event', row.line_org === null ? 'missing' : `missing: ${carrier(row)} carries it`);
    const rest = { disclosure: row.texts, pending: row.pending };
    for (const [table, value] of Object.entries(rest)) if (value !== null) say(table, 'belongs to no event');
  } else await auditEvent(row, row as Row & EventPart, say);
  auditVerdict(row, say);
  auditPending(row, say);
  auditRecord(row, say);
}

type Say = (table: string, what: string) => void;
const carrier = ({ line_org, line_batch }: Row): string => `batch ${line_batch} of ${line_org}`;

// ── The event ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function auditEvent(row: Row, event: EventPart, say: Say): Promise<void> {
  let entry: Entry;
  try {
    entry = parseEntry(event.entry);
  } catch (error) {
    say('event', `entry: ${(error as Error).message}`);
    return;
  }
  const columns: [name: string, found: string, expected: string][] = [
    ['station', row.station, entry.station],
    ['n', row.number, String(entry.n)],
    ['org', event.org, entry.org],
    ['site', event.site, entry.site],
    ['step', event.step, entry.step],
    ['subject', event.subject, entry.subject],
    ['links', canonical(event.links), canonical(entry.links ?? [])],
  ];
  for (const [name, found, expected] of columns)
    if (found !== expected) say('event', `${name}: the column and the entry differ`);
  if (row.line_org !== null) {
    if (!equal(nodeSuite.sha256(utf8(event.entry)), row.line_hash))
      say('event', `entry: it is not the one in ${carrier(row)}`);
  } else await auditSignature(row, entry, say);
  auditTimes(row, event, entry, say);
  auditDisclosures(row, event, entry, say);
}

/** For what no settled batch carries: the referee has verified the others. */
async function auditSignature({ station_value }: Row, entry: Entry, say: Say): Promise<void> {
  if (station_value === null) return say('event', 'station: the ledger knows no such station');
  const { key, org, site } = JSON.parse(station_value) as Station;
  if (org !== entry.org || site !== entry.site)
    say('event', `entry: its station is enrolled for ${org} ${site}`);
  if (!(await verifyEntry(entry, key, nodeSuite))) say('event', 'entry: the signature does not hold');
}

function auditTimes({ received_too_late }: Row, event: EventPart, entry: Entry, say: Say): void {
  if (event.received < Date.parse(entry.time) - 2 * SKEW_MS)
    say('event', 'received_at: before the event itself');
  if (received_too_late === true) say('event', 'received_at: after it was submitted, or in the future');
}

function auditDisclosures({ positions, texts }: Row, event: EventPart, entry: Entry, say: Say): void {
  const shown: Record<string, Json> = {};
  const left = new Set(entry.digests);
  let whole = true;
  const wrong = (what: string): void => {
    whole = false;
    say('disclosure', what);
  };
  (texts ?? []).forEach((text, i) => {
    const position = positions![i]!;
    if (position !== i) wrong(`position ${position}: position ${i} was expected`);
    if (!left.delete(disclosureDigest(text, nodeSuite.sha256)))
      return wrong(`position ${position}: the entry does not commit to it, or it stands twice`);
    const { name, value } = parseDisclosure(text);
    shown[name] = value;
  });
  if (left.size) wrong(`missing: ${left.size} of ${entry.digests.length} digests have none`);
  if (whole && !hasBody(event.body_hash, entry, texts ?? [], shown))
    say('event', 'body_hash: no body with this entry and these disclosures has it');
}

/** Above this many links a statement's order of them is not guessed. */
const MOST_ORDERED = 4;

/** Whether this is the hash of the body that brought the event: an entry as it is, or a hosted station's statement. */
function hasBody(
  hash: Buffer,
  entry: Entry,
  disclosures: readonly string[],
  shown: Readonly<Record<string, Json>>,
): boolean {
  const is = (body: unknown): boolean => createHash('sha256').update(canonical(body)).digest().equals(hash);
  if (is({ entry, disclosures })) return true;
  const { v: _v, suite: _suite, open, digests: _digests, sig: _sig, links, ...header } = entry;
  const payload = { ...open, ...shown };
  if (links === undefined) return is({ statement: { ...header, payload } });
  return (
    links.length > MOST_ORDERED ||
    orders(links).some((order) => is({ statement: { ...header, links: order, payload } }))
  );
}

/** An entry's links are sorted; a statement's may stand in any order. */
function orders(links: readonly string[]): string[][] {
  if (links.length < 2) return [[...links]];
  return links.flatMap((first) =>
    orders(links.filter((link) => link !== first)).map((rest) => [first, ...rest]),
  );
}

// ── What became of it ──────────────────────────────────────────────────────────────────────────────────────────────

function auditVerdict(row: Row, say: Say): void {
  const byLedger = row.line_org !== null;
  if (row.said_by === null) {
    if (byLedger) say('verdict', `missing: ${carrier(row)} carries the event`);
    return;
  }
  if (!byLedger && row.said_by !== 'service')
    return say('verdict', 'said_by: no settled batch of the ledger carries the event');
  const expected = byLedger
    ? { said_by: 'ledger', code: row.line_code, org: row.line_org, batch: row.line_batch }
    : { said_by: 'service', code: row.code, org: row.org, batch: null };
  const found = { said_by: row.said_by, code: row.code, org: row.verdict_org, batch: row.verdict_batch };
  for (const [name, value] of Object.entries(found)) {
    const right = expected[name as keyof typeof found];
    if (value !== right) say('verdict', `${name}: ${value}, expected ${right}`);
  }
  if (!byLedger && !(row.code !== null && Object.hasOwn(REFUSALS, row.code)))
    say('verdict', `code: ${row.code} is no refusal`);
  const saidRight = byLedger ? row.said_when_settled : row.said_when_received;
  if (saidRight === false)
    say(
      'verdict',
      `said_at: not the moment when ${byLedger ? `${carrier(row)} was settled (settled_at)` : 'the event was received'}`,
    );
}

function auditPending(row: Row, say: Say): void {
  if (row.entry === null) return;
  const isDecided = row.said_by !== null;
  if (row.pending === null) {
    if (!isDecided && row.line_org === null) say('pending', 'missing: the event has no verdict');
    return;
  }
  if (isDecided) say('pending', 'the event has its verdict');
  const expected: Readonly<Record<string, Json>> = {
    org: row.org!,
    arrival: Number(row.arrival),
    step: row.step,
    subjects: [row.subject, ...row.links],
  };
  for (const [name, found] of Object.entries(row.pending))
    if (JSON.stringify(found) !== JSON.stringify(expected[name])) say('pending', `${name}: not the event's`);
}

function auditRecord(row: Row, say: Say): void {
  const isAccepted = row.line_index !== null;
  if (row.record_org === null) {
    if (isAccepted) say('record', `missing: ${row.line_org} ${row.line_index}`);
    return;
  }
  const place = `${row.record_org} ${row.record_index}`;
  if (!isAccepted) return say('record', `${place}: the ledger has accepted no such entry`);
  const columns: [name: string, found: string, expected: string][] = [
    ['org', row.record_org, row.line_org!],
    ['index', row.record_index, row.line_index!],
    ['subject', row.record_subject, row.line_subject],
    ['seq', row.record_seq, row.line_seq],
    ['leaf', row.record_leaf, row.line_leaf],
    // The leaf commits to the body: entry, seq, prev, index, minute and rule set.
    ['body', toBase64url(leafHash(utf8(row.record_body), nodeSuite.sha256)), row.line_leaf],
  ];
  for (const [name, found, expected] of columns)
    if (found !== expected) say('record', `${place}: ${name} is not what the ledger made of the entry`);
}
