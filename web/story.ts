import { RULES, type Json } from '@yaoji/chaincode/core';
import { h, type Element, type Piece } from './element.ts';
import { chaptersOf, reachedBy, STAGES, type Chapter } from './stages.ts';
import { dayAndHour, fullTime } from './time.ts';
import {
  DEVIATION,
  filled,
  OPEN,
  STORY,
  STAGE,
  WAY,
  WHERE,
  WHERE_UNKNOWN,
  type Words,
} from './words/page.ts';

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

function where(story: Story): Element {
  const { phase, custodian } = story;
  return h(
    'div',
    { id: 'where' },
    h('h1', {}, ...both(own(WHERE, phase) ?? WHERE_UNKNOWN)),
    // Whoever delivered the box stays its last custodian on the ledger, but no longer has it.
    h(
      'p',
      { class: 'custodian' },
      ...named(ARRIVED.has(phase) ? STORY.deliverer : STORY.custodian, custodian),
    ),
    overview(story),
  );
}

function label({ sealNo, bags, bestBefore, centre }: Story): Element {
  const row = (name: Words, ...value: Piece[]): Element =>
    h('div', {}, h('dt', {}, ...both(name)), h('dd', {}, ...value));
  const before = bestBefore === undefined ? undefined : fullTime(bestBefore);
  return h(
    'dl',
    { id: 'label' },
    row(STORY.seal, ...(sealNo === undefined ? both(STORY.unknown) : [h('bdi', { class: 'seal' }, sealNo)])),
    row(STORY.bags, ...both(filled(STORY.bagCount, { count: bags }))),
    row(STORY.bestBefore, ...(before === undefined ? both(STORY.unknown) : [before])),
    row(STORY.centre, foreign(centre.zh), ' ', h('span', { lang: 'en', class: 'en' }, foreign(centre.en))),
  );
}

/** How far each stage is: the whole way at one glance. */
function overview({ steps: all }: Story): Element {
  const reached = reachedBy(chaptersOf(all));
  return h(
    'ol',
    { class: 'way', 'aria-label': `${WAY.overview.zh} ${WAY.overview.en}` },
    ...STAGES.map((stage, i) =>
      h(
        'li',
        { class: reached[i]!, ...(reached[i] === 'now' && { 'aria-current': 'step' }) },
        ...both(STAGE[stage]),
      ),
    ),
  );
}

function steps({ steps: all }: Story): Element {
  const chapters = chaptersOf(all);
  if (!chapters.length) return h('div', { id: 'steps' }, paragraph(STORY.noSteps));
  let day = '';
  return h(
    'ol',
    { id: 'steps', class: 'chapters' },
    ...chapters.map((chapter) => {
      const { text, date } = spanOf(chapter.steps, day);
      day = date;
      return chapterOf(chapter, text);
    }),
  );
}

function chapterOf({ stage, steps: taken }: Chapter<StoryStep>, span: Piece[]): Element {
  const warnings = taken.flatMap((step) => detailsOf(step).filter(isWarning));
  return h(
    'li',
    { class: warnings.length ? `chapter ${stage} warns` : `chapter ${stage}` },
    h('span', { class: 'stamp', 'aria-hidden': 'true' }, STAGE[stage].mark),
    h('h3', {}, ...both(STAGE[stage])),
    h('p', { class: 'when' }, ...span),
    ...warnings.map((warning) => paragraph(warning, { class: 'warning' })),
    ...(stage === 'HANDOVER'
      ? [exchange(taken)]
      : [h('p', { class: 'by' }, ...nameOf(taken[0])), takenSteps(taken)]),
  );
}

/** Both sides of a handover, or that one is still missing. */
function exchange(taken: readonly StoryStep[]): Element {
  const side = (words: Words, name: string): Element => {
    const step = taken.find((one) => one.step === name);
    return h(
      'div',
      { class: step ? 'side' : 'side missing' },
      h('p', { class: 'key' }, ...both(words)),
      ...(step
        ? [
            h('p', { class: 'name' }, foreign(step.org.zh)),
            ...detailsOf(step)
              .filter((detail) => !isWarning(detail))
              .map((detail) => paragraph(detail)),
          ]
        : [paragraph(WAY.waiting)]),
    );
  };
  return h(
    'div',
    { class: 'exchange' },
    side(WAY.gave, 'HANDED_OVER'),
    h('span', { class: 'arrow', 'aria-hidden': 'true' }, '→'),
    side(WAY.took, 'COURIER_ACCEPTED'),
  );
}

// More than these would hide the picture behind its detail.
const SHOWN_STEPS = 3;

function takenSteps(taken: readonly StoryStep[]): Element {
  const who = taken[0]!.org.zh;
  let at = '';
  const list = h(
    'ol',
    { class: 'taken' },
    ...taken.map((step) => {
      const time = dayAndHour(step.time);
      const now = time ? `${time.date} ${time.hour}` : '?';
      const hour = now === at ? '' : time ? `${time.hour} 时` : '';
      at = now;
      // A chapter names whoever began it; only others are named again.
      const others = step.org.zh === who && !isYours(step) ? [] : [' · ', ...nameOf(step)];
      return h('li', {}, h('span', { class: 'hour' }, hour), h('p', {}, ...stepOf(step), ...others));
    }),
  );
  return taken.length <= SHOWN_STEPS
    ? list
    : h('details', {}, h('summary', {}, ...both(filled(WAY.steps, { count: taken.length }))), list);
}

/** What was done, with what its open fields add. */
function stepOf(step: StoryStep): Piece[] {
  const { zh, en } = own(RULES, step.step)!;
  const details = detailsOf(step);
  return [
    h('span', { class: 'name' }, zh),
    ...details.flatMap((detail) => [
      ' ',
      h('span', { class: isWarning(detail) ? 'detail warning' : 'detail' }, detail.zh),
    ]),
    ' ',
    h('span', { lang: 'en', class: 'en' }, [en, ...details.map((detail) => detail.en)].join(' · ')),
  ];
}

const isYours = ({ step }: StoryStep): boolean => own(RULES, step)!.roles.includes('PAGE');

/** Who did it; the patient's own step is recorded by the centre's page. */
function nameOf(step: StoryStep): Piece[] {
  if (isYours(step)) return both(WAY.you);
  return [foreign(step.org.zh), ' ', h('span', { lang: 'en', class: 'en' }, foreign(step.org.en))];
}

/** From when to when, in days and hours; the day is left out where it is the one before it. */
function spanOf(taken: readonly StoryStep[], day: string): { text: Piece[]; date: string } {
  const times = taken.flatMap(({ time }) => dayAndHour(time) ?? []);
  const [from, to] = [times[0], times.at(-1)];
  if (!from || !to) return { text: both(STORY.noTime), date: day };
  const first = from.date === day ? NO_DAY : from.day;
  const last = to.date === from.date ? NO_DAY : to.day;
  const text =
    from.date === to.date && from.hour === to.hour
      ? STORY.hour
      : from.date === to.date
        ? STORY.hours
        : STORY.daysAndHours;
  const values = (language: 'zh' | 'en'): Record<string, string> => ({
    day: first[language],
    from: from.hour,
    lastDay: last[language],
    to: to.hour,
  });
  return {
    text: both({ zh: filled(text, values('zh')).zh.trim(), en: filled(text, values('en')).en.trim() }),
    date: to.date,
  };
}
const NO_DAY: Words = { zh: '', en: '' };

const isWarning = ({ zh }: Words): boolean => zh.startsWith('！');

/** What the open fields add, only as far as there are words for it: whatever else they hold is not for this page. */
function detailsOf({ step, open }: StoryStep): Words[] {
  const details: Words[] = [];
  if (step === 'DEVIATION_RECORDED') details.push(DEVIATION);
  for (const [name, value] of Object.entries(open)) {
    if (name === 'bags' && Number.isSafeInteger(value))
      details.push(filled(STORY.bagCount, { count: Number(value) }));
    const known = own(OPEN, name);
    const said = typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
    const detail = known && own(known, said);
    if (detail) details.push(detail);
  }
  return details;
}
