import type { ReadTrail } from './bundle.ts';
import { TraceError } from './error.ts';
import type { Record } from './record.ts';
import { REFUSALS, type Mark } from './rules/codes.ts';
import { judge, type Judgement } from './rules/judge.ts';
import { RULE_SETS } from './rules/rule-sets.ts';
import type { Kind, State } from './rules/state.ts';
import { RULES } from './rules/table.ts';
import { parseMinute } from './time.ts';

/** What anybody can see of a subject from its trail: everything but the linked part. */
type OwnState = Pick<State, 'kind' | 'org' | 'own'>;

export interface Replayed {
  states: ReadonlyMap<string, OwnState>;
  /** each once, sorted */
  marks: Mark[];
  /** the first rule set that is not known here: then nothing can be said */
  unknownRules?: string;
}

interface History {
  records: readonly Record[];
  /** the state before the first record: only a device has one, since it is registered without a record */
  before: OwnState | undefined;
  /** the state after each record, so far */
  states: OwnState[];
}

/**
 * Takes every step of the shown trails again. Records of one organisation are ordered by their place in its log; between
 * logs there is no order, so it is enough that some prefix of a linked trail allows the step. A linked subject whose trail
 * is not shown leaves its questions open. Throws BUNDLE_MALFORMED with the place of the first step that was not legal.
 */
export function replay(trails: readonly ReadTrail[], kindOf: (org: string) => Kind | undefined): Replayed {
  const histories = new Map<string, History>(
    trails.map(({ subject, records }) => [
      subject,
      { records: records.map(({ record }) => record), before: registered(records[0]!.record), states: [] },
    ]),
  );
  const unknown = trails
    .flatMap(({ records }) => records.map(({ record }) => record.rules))
    .find((id) => !RULE_SETS.has(id));
  const marks = new Set<Mark>();
  if (unknown !== undefined) return { states: new Map(), marks: [], unknownRules: unknown };

  const places = new Set<string>();
  for (const [t, { records }] of trails.entries())
    for (const [i, { record }] of records.entries()) {
      const taken = `${record.index} ${record.entry.org}`;
      if (places.has(taken))
        throw new TraceError('BUNDLE_MALFORMED', 'another record has this place in its log', {
          place: `/trails/${t}/records/${i}`,
        });
      places.add(taken);
    }

  // What a prescription allows, a fulfilment needs; what a fulfilment allows, a package needs.
  const inOrder = [...trails.entries()].sort(([, a], [, b]) => rank(a) - rank(b));
  for (const [t, trail] of inOrder) {
    const own = histories.get(trail.subject)!;
    for (const [i, record] of own.records.entries()) {
      const place = `/trails/${t}/records/${i}`;
      const before = own.records.slice(0, i).findLast(({ entry }) => entry.org === record.entry.org);
      if (before && before.index >= record.index)
        throw new TraceError('BUNDLE_MALFORMED', 'the record stands before the one it follows in its log', {
          place,
        });
      const judgement = judged(
        record,
        own.states.at(-1) ?? own.before,
        histories,
        (org) => kindOf(org) ?? 'unseen',
      );
      if (judgement.refused)
        throw new TraceError('BUNDLE_MALFORMED', `${record.entry.step}: ${REFUSALS[judgement.refused]}`, {
          place,
        });
      const { kind, org, own: state } = judgement.subject;
      own.states.push({ kind, org, own: state });
      for (const mark of judgement.marks) marks.add(mark);
    }
  }
  return {
    states: new Map([...histories].map(([subject, { states }]) => [subject, states.at(-1)!])),
    marks: [...marks].sort(),
  };
}

const registered = ({ entry: { step, org } }: Record): OwnState | undefined =>
  RULES[step]?.subject === 'DEV' ? { kind: 'DEV', org, own: { phase: 'REGISTERED', moved: 0 } } : undefined;

const KINDS = ['DEV', 'RX', 'FUL', 'PKG'];
const rank = ({ records }: ReadTrail): number =>
  KINDS.indexOf(RULES[records[0]!.record.entry.step]?.subject ?? 'DEV');

function judged(
  record: Record,
  subject: OwnState | undefined,
  histories: ReadonlyMap<string, History>,
  kindOf: (org: string) => Kind | 'unseen',
): Judgement {
  const { entry } = record;
  let judgement: Judgement = { refused: 'LINK_UNKNOWN' };
  for (const links of combinations(
    (entry.links ?? []).map((key) => candidates(record, histories.get(key))),
  )) {
    const scene = { subject, links, kindOf, tokenUsed: false };
    judgement = judge(entry, scene, parseMinute(record.at), RULE_SETS.get(record.rules)!);
    if (!judgement.refused) break;
  }
  return judgement;
}

/** The states that a linked subject may have had when this record was made. */
function candidates(record: Record, linked: History | undefined): (OwnState | 'unseen')[] {
  if (!linked) return ['unseen'];
  // Its own organisation's log orders the two: all that stands before the record there had happened, all after it had not.
  const ours = ({ entry: { org } }: Record): boolean => org === record.entry.org;
  const least = linked.records.findLastIndex((other) => ours(other) && other.index < record.index) + 1;
  const next = linked.records.findIndex((other) => ours(other) && other.index > record.index);
  const most = next < 0 ? linked.states.length : Math.min(next, linked.states.length);
  const possible = linked.states.slice(Math.max(least - 1, 0), most);
  return least === 0 && linked.before ? [linked.before, ...possible] : possible;
}

/** Every way to take one item from each list; a step links at most a handful. */
function combinations<T>(lists: readonly T[][]): T[][] {
  return lists.reduce<T[][]>(
    (found, list) => found.flatMap((taken) => list.map((item) => [...taken, item])).slice(0, 256),
    [[]],
  );
}
