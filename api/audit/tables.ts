import { checksOf, PROCESS_CHECKS, type ProcessCheck } from '@yaoji/chaincode/core';
import type { Db } from '../store/pool.ts';
import type { Chain } from './chain.ts';
import { firstDifference, SKEW, type Differ } from './differ.ts';
import { rowsOf } from './rows.ts';

// The tables that are not about one event: batches, attempts, nodes, the mirror; and what no key prevents.

/** The tables that hold evidence, with what must stand once in each. */
const KEYS: Readonly<Record<string, string>> = {
  event: 'station, n',
  disclosure: 'station, n, position',
  verdict: 'station, n',
  pending: 'station, n',
  attempt: 'tx_id',
  batch: 'org, number',
  record: 'org, index',
  node: 'org, level, index',
  world: 'key',
  deviation: 'station, n, check_id',
  anchor: 'chain, contract, seq',
  anchor_log: 'anchor, org',
  anchor_attempt: 'anchor, tx_hash',
  anchor_inclusion: 'id',
  anchor_lost: 'inclusion',
  anchor_final: 'inclusion',
  anchor_open: 'anchor',
};

/** Names what stands more than once: keys prevent it only as long as nobody has taken them away. */
export async function auditKeys(db: Db, differ: Differ): Promise<void> {
  const once = [
    ...Object.entries(KEYS),
    ['event', 'arrival'],
    ['record', 'subject, seq'],
    ['anchor', 'id'],
  ] as const;
  for (const [table, columns] of once) {
    const query = `select concat_ws(' ', ${columns}) as key, count(*)::int as times from ${table} group by ${columns} having count(*) > 1`;
    for await (const { key, times } of rowsOf<{ key: string; times: number }>(db, query))
      differ(table, key, `${columns}: ${times} rows have it`);
  }
}

interface BatchRow {
  key: string;
  kept: boolean;
  known: boolean;
  found: Record<string, string | null>;
  expected: Record<string, string | null>;
  block: string | null;
  in_block: string | null;
  too_early: boolean | null;
  in_future: boolean | null;
}

/** Holds every batch against the transaction of the ledger that carried it. */
export async function auditBatches(db: Db, differ: Differ): Promise<void> {
  const query = `
    select concat_ws(' ', org, number) as key, b.tx_id is not null as kept, a.tx_id is not null as known,
      jsonb_build_object('tx_id', b.tx_id, 'entries', b.entries::text, 'checkpoint', b.checkpoint) as found,
      jsonb_build_object('tx_id', a.tx_id, 'entries', a.entries::text, 'checkpoint', a.checkpoint) as expected,
      b.block::text as block, a.block::text as in_block,
      b.settled_at < a.proposed_at - interval '${SKEW}' as too_early, b.settled_at > now() + interval '${SKEW}' as in_future
    from batch b full join audit_batch a using (org, number) order by org, number`;
  for await (const row of rowsOf<BatchRow>(db, query)) {
    const say = (what: string): void => differ('batch', row.key, what);
    if (!row.kept) say(`missing: transaction ${row.expected['tx_id']} of the ledger is it`);
    else if (!row.known) say('the ledger has no such batch');
    else {
      for (const [name, value] of Object.entries(row.found))
        if (value !== row.expected[name]) say(`${name}: ${value}, the ledger has ${row.expected[name]}`);
      if (row.block !== null && row.block !== row.in_block)
        say(`block: ${row.block}, the ledger has it in ${row.in_block}`);
      if (row.too_early === true) say('settled_at: before it was proposed');
      if (row.in_future === true) say('settled_at: in the future');
    }
  }
}

interface AttemptRow {
  tx_id: string;
  kept: boolean;
  known: boolean;
  org: string;
  follows: string;
  ledger_org: string;
  ledger_follows: string;
  block: string | null;
  /** the last batch of its organisation that is settled */
  last: string | null;
  is_member: boolean;
  other_time: boolean | null;
  out_of_order: boolean | null;
}

/**
 * Holds every attempt against the ledger, and every transaction that the ledger had before the snapshot against the attempts:
 * an attempt is stored before it is submitted.
 */
export async function auditAttempts(db: Db, before: number, differ: Differ): Promise<void> {
  const query = `
    select coalesce(a.tx_id, t.tx_id) as tx_id, a.org is not null as kept, t.org is not null as known,
      a.org, a.follows::text as follows, t.org as ledger_org, t.follows::text as ledger_follows, t.block::text as block,
      (select max(number)::text from audit_batch l where l.org = a.org) as last,
      exists (select from audit_world where key = 'member~' || a.org) as is_member,
      abs(extract(epoch from a.begun_at - t.proposed_at)) > extract(epoch from interval '${SKEW}') as other_time,
      a.begun_at < p.settled_at - interval '${SKEW}'
        or a.begun_at > coalesce(n.settled_at, now()) + interval '${SKEW}' as out_of_order
    from attempt a full join audit_tx t using (tx_id)
    left join batch p on p.org = a.org and p.number = a.follows
    left join batch n on n.org = a.org and n.number = a.follows + 1
    order by 1`;
  for await (const row of rowsOf<AttemptRow>(db, query)) {
    const say = (what: string): void => differ('attempt', row.tx_id, what);
    if (!row.kept) {
      if (Number(row.block) < before)
        say(`missing: block ${row.block} has this transaction of ${row.ledger_org}`);
      continue;
    }
    if (!/^[0-9a-f]{64}$/.test(row.tx_id)) say('tx_id: this is no transaction');
    if (!row.is_member) say(`org: ${row.org} is no member`);
    if (row.known && row.org !== row.ledger_org) say(`org: ${row.org}, the ledger has ${row.ledger_org}`);
    if (row.known && row.follows !== row.ledger_follows)
      say(`follows: ${row.follows}, the ledger has ${row.ledger_follows}`);
    if (!row.known && (Number(row.follows) < 0 || Number(row.follows) > Number(row.last ?? 0)))
      say(`follows: ${row.org} has no batch ${row.follows}`);
    if (row.other_time === true) say('begun_at: the ledger has it at another time');
    else if (row.out_of_order === true) say(`begun_at: not while batch ${row.follows} was the last`);
  }
}

/** Holds the nodes that proofs are made of against the perfect subtrees of the recomputed logs. */
export async function auditNodes(db: Db, differ: Differ): Promise<void> {
  const query = `
    select concat_ws(' ', org, level, index) as key, n.hash is null as missing, a.hash is null as unknown
    from node n full join audit_node a using (org, level, index)
    where n.hash is distinct from a.hash order by org, level, index`;
  for await (const row of rowsOf<{ key: string; missing: boolean; unknown: boolean }>(db, query))
    differ(
      'node',
      row.key,
      row.missing
        ? 'missing'
        : row.unknown
          ? 'no such subtree is complete'
          : 'hash: not the root of its subtree',
    );
}

/** Names trails whose events arrived in another order than they were recorded in. */
export async function auditArrivals(db: Db, differ: Differ): Promise<void> {
  // Of one organisation's events about one subject none overtakes another on its way to the ledger.
  const query = `
    select station, n::text as number from (
      select e.station, e.n, e.arrival, lag(e.arrival) over (partition by l.org, l.subject order by l.seq) as previous
      from audit_line l join event e using (station, n) where l.index is not null
    ) as steps where arrival <= previous order by station, n`;
  for await (const { station, number } of rowsOf<{ station: string; number: string }>(db, query))
    differ('event', `${station} ${number}`, 'arrival: before an event that its trail has earlier');
}

/**
 * Names marks that no event of that step can have. Which of them the service found is its own word: it depends on what was
 * stored and undecided when the event came.
 */
export async function auditDeviations(db: Db, differ: Differ): Promise<void> {
  const query = `
    select concat_ws(' ', station, n, check_id) as key, check_id, step
    from deviation left join event using (station, n) order by station, n`;
  for await (const { key, check_id, step } of rowsOf<{ key: string; check_id: string; step: string | null }>(
    db,
    query,
  )) {
    if (step === null) differ('deviation', key, 'belongs to no event');
    else if (!checksOf(step).some((id) => id === check_id && judgedBy(id) === 'service'))
      differ('deviation', key, `check_id: the service does not check this at ${step}`);
  }
}

const judgedBy = (id: keyof typeof PROCESS_CHECKS): ProcessCheck['judged'] => PROCESS_CHECKS[id].judged;

/** Names the logs that the service itself has stopped. */
export async function auditStopped(db: Db, differ: Differ): Promise<void> {
  const query = 'select org, why from stopped_log order by org';
  for await (const { org, why } of rowsOf<{ org: string; why: string }>(db, query))
    differ('stopped_log', org, `the service has stopped this log: ${why}`);
}

// ── The mirror ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A registry key on which the mirror was behind when the snapshot was taken: a registration may have been under way. */
export interface Stale {
  key: string;
  what: string;
}
export interface MirrorFindings {
  stale: Stale[];
  /** what the ledger has and the mirror will read when it needs it */
  unread: number;
}

interface WorldRow {
  key: string;
  value: string | null;
  mirror: string | null;
  ledger: string | null;
  used: boolean | null;
}

// What registrations write, not batches: the mirror reads it from the ledger.
const REGISTRY = /^(?:member|site|station)~/;

/** Holds the mirror of the ledger's state against the state that the settled batches lead to. */
export async function auditWorld(
  db: Db,
  recent: ReadonlyMap<string, readonly (string | undefined)[]>,
  differ: Differ,
): Promise<MirrorFindings> {
  const findings: MirrorFindings = { stale: [], unread: 0 };
  const query = `
    select key, w.value, a.mirror, a.ledger, a.used from world w full join audit_world a using (key)
    where w.value is distinct from a.mirror order by key`;
  for await (const row of rowsOf<WorldRow>(db, query)) {
    const { key, value, mirror } = row;
    if (value === null && mirror !== null && !row.used && isUnused(key, mirror)) {
      findings.unread++;
      continue;
    }
    if (recent.get(key)?.includes(value ?? undefined)) continue;
    const what =
      mirror === null
        ? 'the ledger has nothing under this key'
        : value === null
          ? 'missing'
          : firstDifference(value, mirror);
    if (REGISTRY.test(key)) findings.stale.push({ key, what });
    else differ('world', key, what);
  }
  return findings;
}

/** Whether the mirror may do without: the registry is read when it is needed, and a new device by its first step. */
function isUnused(key: string, value: string): boolean {
  if (REGISTRY.test(key) || key === 'consortium') return true;
  return key.startsWith('subject~') && (JSON.parse(value) as { seq: number }).seq === 0;
}

/** The keys in the answer of one read; the contract answers for this many. */
const PAGE = 256;
const TRIES = 4;
const PAUSE = 500;

/** Holds what the ledger says it has under every key now against what its blocks lead to. */
export async function auditState(
  db: Db,
  chain: Chain,
  height: number,
  differ: Differ,
  progress: (keys: number) => void,
): Promise<void> {
  const moved = new Set<string>();
  let read = height;
  let gone = 0;
  // What was written since the blocks were gone through.
  const follow = async (): Promise<void> => {
    for (const end = await chain.height(); read < end; read++)
      for (const { code, writes } of await chain.block(read))
        if (code === 0) for (const key of writes.keys()) moved.add(key);
  };
  const compare = async (page: readonly { key: string; ledger: string }[]): Promise<typeof page> => {
    const state = await chain.state(page.map(({ key }) => key));
    const other = page.filter(({ key, ledger }) => state.get(key) !== ledger);
    if (other.length) await follow();
    return other.filter(({ key }) => !moved.has(key));
  };
  const query = 'select key, ledger from audit_world where ledger is not null order by key';
  let page: { key: string; ledger: string }[] = [];
  const turn = async (): Promise<void> => {
    let other = await compare(page);
    // The peer that answers may lag behind the one whose blocks were read.
    for (let attempt = 1; other.length && attempt < TRIES; attempt++) {
      await new Promise((resolve) => setTimeout(resolve, PAUSE));
      other = await compare(other);
    }
    for (const { key } of other) differ('ledger', key, "the ledger's state is not what its blocks lead to");
    progress((gone += page.length));
    page = [];
  };
  for await (const row of rowsOf<{ key: string; ledger: string }>(db, query)) {
    page.push(row);
    if (page.length === PAGE) await turn();
  }
  if (page.length) await turn();
}
