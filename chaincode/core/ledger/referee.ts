import { fromBase64url, toBase64url } from '../bytes.ts';
import { canonical } from '../canonical.ts';
import { originOf, printCheckpoint } from '../checkpoint.ts';
import { MAX_ENTRY, parseEntry, verifyEntry, type Entry } from '../entry.ts';
import { append, root, type Coordinate, type Frontier } from '../merkle.ts';
import { leafOf, type Record } from '../record.ts';
import type { Mark, Refusal } from '../rules/codes.ts';
import { judge, type Scene } from '../rules/judge.ts';
import { RULE_SETS } from '../rules/rule-sets.ts';
import { RULES } from '../rules/table.ts';
import type { Suite } from '../suite.ts';
import { printMinute } from '../time.ts';
import { spend } from './window.ts';
import {
  World,
  at as keyOf,
  type Log,
  type Member,
  type Site,
  type Station,
  type Subject,
  type TokenTarget,
  type Values,
  type Window,
} from './world.ts';

// The referee of one batch. The contract runs it on the ledger's state; the API runs the very same code on its mirror of
// that state, before it stores an event and again when the ledger has answered.

/** Entries in one batch: beyond some hundreds a larger transaction gains nothing. */
export const MAX_BATCH = 1000;

/** The ledger's verdict on one entry. */
export type Verdict =
  { accepted: Record; leaf: string; marks: Mark[]; refused?: never } | { refused: Refusal; accepted?: never };

/** What RecordBatch answers, as canonical JSON: refusals only, the rest is accepted in order. */
export type Answer =
  | { batch: number; checkpoint: string; refused: { i: number; code: Refusal }[]; stale?: never }
  | { stale: number };

export interface Batch {
  channel: string;
  /** the organisation that submits it */
  org: string;
  /** the batch number that it follows */
  after: number;
  /** canonical entries */
  lines: readonly string[];
}

const NO_LOG: Log = { batch: 0, size: 0, root: '', frontier: [] };

/** Entries that can be read; a malformed line reads as undefined and is refused. */
export function readLines(lines: readonly string[]): (Entry | undefined)[] {
  return lines.map((line) => {
    if (line.length > MAX_ENTRY) return undefined;
    try {
      return parseEntry(line);
    } catch {
      return undefined;
    }
  });
}

/** Every key that judging these entries may touch, each once, sorted: to be read in one go before. */
export function keysOf(entries: readonly (Entry | undefined)[], orgs: readonly string[]): string[] {
  const keys = new Set<string>(orgs.map(keyOf.log));
  for (const entry of entries) {
    if (!entry) continue;
    keys.add(keyOf.member(entry.org));
    keys.add(keyOf.site(entry.org, entry.site));
    keys.add(keyOf.station(entry.station));
    keys.add(keyOf.window(entry.station));
    for (const subject of [entry.subject, ...(entry.links ?? [])]) keys.add(keyOf.subject(subject));
    const { to, token } = entry.open;
    if (typeof to === 'string') keys.add(keyOf.member(to));
    if (typeof token === 'string') keys.add(keyOf.token(token));
  }
  return [...keys].sort();
}

/**
 * Judges a batch and gives its accepted entries their places in trail and log. `values` holds what stands under keysOf the
 * batch; `at` is the transaction's minute. Never throws for anything an entry says. With another `after` than the log's last
 * batch the answer is stale and nothing is written.
 */
export async function refereeBatch(
  batch: Batch,
  entries: readonly (Entry | undefined)[],
  values: Values,
  at: number,
  suite: Suite,
  completed?: (node: Coordinate, hash: Uint8Array) => void,
): Promise<{ answer: Answer; verdicts: Verdict[]; writes: [key: string, value: string][] }> {
  const world = new World(values);
  const log = world.get<Log>(keyOf.log(batch.org)) ?? NO_LOG;
  if (log.batch !== batch.after) return { answer: { stale: log.batch }, verdicts: [], writes: [] };

  let frontier: Frontier = { size: log.size, nodes: log.frontier.map(fromBase64url) };
  const verdicts: Verdict[] = [];
  for (const entry of entries) {
    const verdict: Verdict = entry
      ? await refereeEntry(entry, batch.org, frontier.size, world, at, suite)
      : { refused: 'ENTRY_MALFORMED' };
    verdicts.push(verdict);
    if (verdict.accepted) frontier = append(frontier, fromBase64url(verdict.leaf), suite.sha256, completed);
  }
  const rootHash = root(frontier, suite.sha256);
  const number = log.batch + 1;
  const next: Log = {
    batch: number,
    size: frontier.size,
    root: toBase64url(rootHash),
    frontier: frontier.nodes.map(toBase64url),
  };
  world.put(keyOf.log(batch.org), next);
  const answer: Answer = {
    batch: number,
    checkpoint: printCheckpoint({
      origin: originOf(batch.channel, batch.org),
      size: frontier.size,
      root: rootHash,
    }),
    refused: verdicts.flatMap((verdict, i) => (verdict.refused ? [{ i, code: verdict.refused }] : [])),
  };
  return { answer, verdicts, writes: world.writes() };
}

/** One entry: who says so, whether it is new, whether it is legal; then its place in trail and log. */
export async function refereeEntry(
  entry: Entry,
  org: string,
  index: number,
  world: World,
  at: number,
  suite: Suite,
): Promise<Verdict> {
  const station = world.get<Station>(keyOf.station(entry.station));
  const untrusted = await distrust(entry, station, org, suite);
  if (untrusted) return { refused: untrusted };

  // From here on the entry is the station's word, and its number is spent whatever becomes of it.
  const window = spend(world.get<Window>(keyOf.window(entry.station)), entry.n);
  if (typeof window === 'string') return { refused: window };
  world.put(keyOf.window(entry.station), window);

  if (station!.revoked !== undefined) return { refused: 'STATION_REVOKED' };
  const rule = Object.hasOwn(RULES, entry.step) ? RULES[entry.step] : undefined;
  if (!rule) return { refused: 'ENTRY_MALFORMED' };
  if (!rule.roles.some((role) => station!.roles.includes(role))) return { refused: 'ROLE_NOT_ALLOWED' };
  const site = world.get<Site>(keyOf.site(org, entry.site));
  if (!site) return { refused: 'SITE_UNKNOWN' };
  const rules = RULE_SETS.get(site.rules);
  if (!rules) return { refused: 'RULES_UNKNOWN' };

  const subject = world.get<Subject>(keyOf.subject(entry.subject));
  const judgement = judge(entry, sceneOf(entry, subject, world), at, rules);
  if (judgement.refused) return { refused: judgement.refused };

  const record: Record = {
    entry,
    seq: (subject?.seq ?? 0) + 1,
    prev: subject?.head ?? '',
    index,
    at: printMinute(at),
    rules: rules.id,
  };
  const leaf = leafOf(record, suite.sha256);
  entry.links?.forEach((key, i) => {
    const before = world.get<Subject>(keyOf.subject(key))!;
    const state = judgement.links[i]!;
    // A subject that was only looked at is not written: a write would put its other steps in conflict with this one.
    if (canonical(state) !== canonical(before.state)) world.put(keyOf.subject(key), { ...before, state });
  });
  world.put(keyOf.subject(entry.subject), { state: judgement.subject, seq: record.seq, head: leaf });
  const { token } = entry.open;
  if (rule.opens && typeof token === 'string')
    world.put(keyOf.token(token), { package: entry.subject } satisfies TokenTarget);
  return { accepted: record, leaf, marks: judgement.marks };
}

async function distrust(
  entry: Entry,
  station: Station | undefined,
  org: string,
  suite: Suite,
): Promise<Refusal | undefined> {
  if (!station) return 'STATION_UNKNOWN';
  if (entry.org !== org || station.org !== org || station.site !== entry.site) return 'STATION_FOREIGN';
  return (await verifyEntry(entry, station.key, suite)) ? undefined : 'SIGNATURE_BAD';
}

function sceneOf(entry: Entry, subject: Subject | undefined, world: World): Scene {
  const { token } = entry.open;
  return {
    subject: subject?.state,
    links: (entry.links ?? []).map((key) => world.get<Subject>(keyOf.subject(key))?.state),
    kindOf: (org) => world.get<Member>(keyOf.member(org))?.kind,
    tokenUsed: typeof token === 'string' && world.get(keyOf.token(token)) !== undefined,
  };
}
