import type { Json } from '../canonical.ts';
import type { Entry } from '../entry.ts';
import { parseMinute } from '../time.ts';
import type { Case } from './case.ts';
import type { Mark, Refusal } from './codes.ts';
import type { RuleSet } from './rule-sets.ts';
import { rankOf, type Kind, type State, type SubjectKind } from './state.ts';
import { RULES, type Rule } from './table.ts';

/** Minutes. An event may lie this far ahead of its transaction, and this far before the move that it follows: clocks differ. */
export const CLOCK_SKEW = 5;
export const LATE_AFTER = 15;
export const TOO_OLD_AFTER = 30 * 1440;

/** What judge may see of the ledger. `unseen` is for whoever holds only some trails: questions about it stay open. */
export interface Scene {
  /** the state of the entry's subject; undefined: it does not exist */
  subject: State | undefined;
  /** the states of the entry's links, in their order */
  links: readonly (State | 'unseen' | undefined)[];
  kindOf: (org: string) => Kind | 'unseen' | undefined;
  /** whether the entry's token already stands on a package */
  tokenUsed: boolean;
}

export type Judgement =
  | { refused: Refusal }
  | { refused?: never; subject: State; links: readonly (State | 'unseen')[]; marks: Mark[] };

/**
 * Whether an entry is a legal next step, and what becomes of the states it touches. Pure: reads the table and nothing else,
 * changes none of its arguments. `at` is the transaction's minute. The station and the signature are not looked at here.
 */
export function judge(entry: Entry, scene: Scene, at: number, rules: RuleSet): Judgement {
  const refused = (code: Refusal): Judgement => ({ refused: code });
  const rule = Object.hasOwn(RULES, entry.step) ? RULES[entry.step] : undefined;
  const open = rule?.openSchema.safeParse(entry.open);
  if (!rule || !open?.success || entry.digests.length < rule.leastDigests) return refused('ENTRY_MALFORMED');

  const time = parseMinute(entry.time);
  if (time > at + CLOCK_SKEW) return refused('TIME_FUTURE');
  if (at - time > TOO_OLD_AFTER) return refused('TIME_TOO_OLD');

  if (rule.opens && scene.subject) return refused('SUBJECT_EXISTS');
  if (!rule.opens && !scene.subject) return refused('SUBJECT_UNKNOWN');
  if (scene.subject && scene.subject.kind !== rule.subject) return refused('SUBJECT_WRONG_KIND');

  const keys = entry.links ?? [];
  if (keys.length < (rule.links?.min ?? 0) || keys.length > (rule.links?.max ?? 0))
    return refused('LINK_UNKNOWN');
  if (scene.links.some((link) => link === undefined || (link !== 'unseen' && link.kind !== rule.links?.kind)))
    return refused('LINK_UNKNOWN');

  // From here on the needs look at copies, and a row's changes are made to them.
  const subject = scene.subject && copy(scene.subject);
  const links = scene.links.map((link) => (link === 'unseen' || !link ? 'unseen' : copy(link)));
  const c = caseOf(entry, open.data as Record<string, Json>, rules, { time, at }, subject, links, scene);

  if (subject) {
    const stranger = notTheirs(rule, subject, entry.org);
    if (stranger) return refused(stranger);
    const { phase } = subject.own;
    // A handover takes a box back behind IN_CUSTODY: that a carrier once had it is what its note needs to have been reached.
    const reached =
      rule.moves === 'note' &&
      (rule.whose === 'carrier' || rankOf(subject.kind, phase) >= rankOf(subject.kind, rule.when[0]!));
    if (!rule.when.includes(phase) && !reached) return refused('STEP_NOT_LEGAL');
  }
  for (const need of rule.needs) {
    const code = need(c);
    if (code) return refused(code);
  }

  const marks: Mark[] = at - time > LATE_AFTER ? ['LATE'] : [];
  if (!subject) {
    const opened = { kind: rule.subject, org: entry.org, ...rule.opens!(c) } as State;
    return { subject: opened, links, marks };
  }
  if (rule.moves === 'note') {
    if (!rule.when.includes(subject.own.phase)) marks.push('OUT_OF_PHASE');
  } else {
    const before = rule.after?.(c) ?? subject.own.moved;
    if (time < before - CLOCK_SKEW) return refused('TIME_ORDER');
    if (time < before) marks.push('CLOCK_SKEW');
  }
  for (const mark of rule.marks?.(c) ?? []) if (mark && !marks.includes(mark)) marks.push(mark);

  rule.does?.(c);
  if (rule.moves !== 'note') {
    if (typeof rule.moves === 'function') subject.own.phase = rule.moves(c.open) as State['own']['phase'];
    else if (rule.moves !== 'part') subject.own.phase = rule.moves as State['own']['phase'];
    subject.own.moved = Math.max(subject.own.moved, time);
  }
  return { subject, links, marks };
}

function caseOf(
  entry: Entry,
  open: Record<string, Json>,
  rules: RuleSet,
  { time, at }: { time: number; at: number },
  subject: State | undefined,
  links: readonly (State | 'unseen')[],
  scene: Scene,
): Case<SubjectKind, never> {
  const keys = entry.links ?? [];
  const seen = links.flatMap((state, i) => (state === 'unseen' ? [] : [[keys[i]!, state] as const]));
  const first = (kind: SubjectKind): State | undefined => seen.find(([, state]) => state.kind === kind)?.[1];
  const c = {
    subject: entry.subject,
    links: keys,
    org: entry.org,
    open,
    time,
    at,
    rules,
    own: subject?.own,
    linked: subject?.linked,
    rx: first('RX'),
    ful: first('FUL'),
    devs: new Map(seen.filter(([, state]) => state.kind === 'DEV')),
    kindOf: scene.kindOf,
    tokenUsed: scene.tokenUsed,
  };
  return c as unknown as Case<SubjectKind, never>;
}

function notTheirs(rule: Rule, subject: State, org: string): Refusal | undefined {
  const box = subject as State<'PKG'>;
  switch (rule.whose) {
    case 'opener':
      return subject.org === org ? undefined : 'NOT_OPENER';
    case 'custodian':
      return box.own.custodian === org ? undefined : 'NOT_CUSTODIAN';
    case 'carrier':
      return box.own.carriers.includes(org) ? undefined : 'NOT_CUSTODIAN';
    case 'taker':
      return box.own.handover === undefined || box.own.handover.to === org ? undefined : 'NOT_NAMED';
    default:
      return undefined;
  }
}

/** A deep copy of plain data. */
function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, copy(member)])) as T;
  return value;
}
