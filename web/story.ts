import { ROLES, RULES, type Json } from '@yaoji/chaincode/core';
import { h, type Element, type Piece } from './element.ts';
import { dayAndHour, fullTime } from './time.ts';
import { DEVIATION, filled, OPEN, PAGE, WHERE, WHERE_UNKNOWN, WHO, type Words } from './words/page.ts';

/** What a box's page tells: nothing that a stranger with the token may not see. */
export interface Story {
  /** the package's phase */
  phase: string;
  centre: Words;
  /** who has custody */
  custodian: Words;
  bags: number;
  sealNo?: string;
  /** a minute of UTC */
  bestBefore?: string;
  /** oldest first */
  steps: readonly StoryStep[];
}
export interface StoryStep {
  step: string;
  /** a minute of UTC */
  time: string;
  org: Words;
  open: { readonly [name: string]: Json };
}

/** The parts of the page that tell the story, by the ids they have on it: the browser replaces them with checked ones. */
export const storyParts = (story: Story): Readonly<Record<'where' | 'label' | 'steps', Element>> => ({
  where: where(story),
  label: label(story),
  steps: steps(story),
});

/** Both languages, the English subordinate. */
export const both = ({ zh, en }: Words): Piece[] => [zh, ' ', h('span', { lang: 'en', class: 'en' }, en)];

/** A paragraph in both languages. */
export const paragraph = (words: Words, attributes: Readonly<Record<string, string>> = {}): Element =>
  h('p', attributes, ...both(words));

/** Names come from outside: `bdi` keeps their writing direction to themselves. */
const foreign = (text: string): Element => h('bdi', {}, text);

/** Words with a name from outside in the place of `{name}`. */
function named({ zh, en }: Words, name: Words): Piece[] {
  return [...around(zh, name.zh), ' ', h('span', { lang: 'en', class: 'en' }, ...around(en, name.en))];
}

function around(text: string, inside: string): Piece[] {
  const [before = '', after = ''] = text.split('{name}');
  return [before, foreign(inside), after];
}

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

const ARRIVED: ReadonlySet<string> = new Set(['DELIVERED', 'CLOSED']);

function where({ phase, custodian }: Story): Element {
  return h(
    'div',
    { id: 'where' },
    h('h1', {}, ...both(own(WHERE, phase) ?? WHERE_UNKNOWN)),
    // Whoever delivered the box stays its last custodian on the ledger, but no longer has it.
    h('p', { class: 'custodian' }, ...named(ARRIVED.has(phase) ? PAGE.deliverer : PAGE.custodian, custodian)),
  );
}

function label({ sealNo, bags, bestBefore, centre }: Story): Element {
  const row = (name: Words, ...value: Piece[]): Element =>
    h('div', {}, h('dt', {}, ...both(name)), h('dd', {}, ...value));
  const before = bestBefore === undefined ? undefined : fullTime(bestBefore);
  return h(
    'dl',
    { id: 'label' },
    row(PAGE.seal, ...(sealNo === undefined ? both(PAGE.unknown) : [h('bdi', { class: 'seal' }, sealNo)])),
    row(PAGE.bags, ...both(filled(PAGE.bagCount, { count: bags }))),
    row(PAGE.bestBefore, ...(before === undefined ? both(PAGE.unknown) : [before])),
    row(PAGE.centre, foreign(centre.zh), ' ', h('span', { lang: 'en', class: 'en' }, foreign(centre.en))),
  );
}

type Who = keyof typeof WHO;

/** Whose step it is, or undefined for what is not told here: hospitals' steps, devices', and those that nobody knows. */
function whoOf({ step, org }: StoryStep, centre: Words): Who | undefined {
  const rule = own(RULES, step);
  if (rule?.subject !== 'FUL' && rule?.subject !== 'PKG') return undefined;
  if (rule.roles.includes('PAGE')) return 'you';
  const kinds = new Set(rule.roles.map((role) => ROLES[role]));
  // Both centre and courier hand boxes over and deliver them: then the name tells.
  if (kinds.size > 1) return org.zh === centre.zh && org.en === centre.en ? 'centre' : 'courier';
  return kinds.has('courier') ? 'courier' : 'centre';
}

function steps({ steps: all, centre }: Story): Element {
  const groups: { who: Who; org: Words; steps: StoryStep[] }[] = [];
  for (const step of all) {
    const who = whoOf(step, centre);
    if (!who) continue;
    const last = groups.at(-1);
    if (last?.who === who && last.org.zh === step.org.zh) last.steps.push(step);
    else groups.push({ who, org: step.org, steps: [step] });
  }
  if (!groups.length) return h('div', { id: 'steps' }, paragraph(PAGE.noSteps));
  let day = '';
  const parts = groups.map(({ who, org, steps: taken }) => {
    let hour = '';
    const items = taken.map((step) => {
      const time = dayAndHour(step.time);
      const at = time ? `${time.date} ${time.hour}` : '?';
      const newDay = time && time.date !== day ? time : undefined;
      const newHour = at !== hour;
      if (time) day = time.date;
      hour = at;
      return item(step, { day: newDay, hour: newHour ? (time ? time.hour : '') : undefined });
    });
    const name = who === 'you' ? [] : [' · ', foreign(org.zh)];
    return h(
      'section',
      { class: `who ${who}` },
      h('h3', {}, WHO[who].zh, ...name, ' ', h('span', { lang: 'en', class: 'en' }, WHO[who].en)),
      h('ol', {}, ...items),
    );
  });
  return h('div', { id: 'steps' }, ...parts);
}

/** One step; day and hour are printed where they change. */
function item(
  step: StoryStep,
  { day, hour }: { day: { date: string; day: Words } | undefined; hour: string | undefined },
): Element {
  const { zh, en } = own(RULES, step.step)!;
  const details = detailsOf(step);
  const warns = details.some((detail) => detail.zh.startsWith('！'));
  const time =
    hour === undefined
      ? undefined
      : h(
          'p',
          { class: 'time' },
          ...(day ? [h('time', { datetime: day.date, class: 'day' }, day.day.zh), ' '] : []),
          ...(hour ? [`${hour} 时`] : both(PAGE.noTime)),
        );
  return h(
    'li',
    warns ? { class: 'warns' } : {},
    time,
    h(
      'p',
      { class: 'step' },
      h('span', { class: 'name' }, zh),
      ...details.flatMap((detail) => [' ', h('span', { class: 'detail' }, detail.zh)]),
      ' ',
      h('span', { lang: 'en', class: 'en' }, [en, ...details.map((detail) => detail.en)].join(' · ')),
    ),
  );
}

/** What the open fields add, only as far as there are words for it: whatever else they hold is not for this page. */
function detailsOf({ step, open }: StoryStep): Words[] {
  const details: Words[] = [];
  if (step === 'DEVIATION_RECORDED') details.push(DEVIATION);
  for (const [name, value] of Object.entries(open)) {
    if (name === 'bags' && Number.isSafeInteger(value))
      details.push(filled(PAGE.bagCount, { count: Number(value) }));
    const known = own(OPEN, name);
    const said = typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
    const detail = known && own(known, said);
    if (detail) details.push(detail);
  }
  return details;
}
