import type { Check, Outcome } from '@yaoji/chaincode/core';
import { stepAt } from './bundle-story.ts';
import { h, type Element, type Piece } from './element.ts';
import type { Trouble } from './load.ts';
import { foundOf } from './found.ts';
import { countsOf, sentenceOf, type Seen } from './sentence.ts';
import { both, paragraph } from './story.ts';
import { dayAndHour } from './time.ts';
import { CHECKING, FAILS, filled, OUTCOME, SAVED, TROUBLE, type Words } from './words/page.ts';
import type * as CheckWords from './words/checks.ts';

// What came of checking, as pieces of the page. An outcome is always a word, a symbol and a shape; colour only helps.

/** Something is being done. */
export const running = (): Piece[] => [verdict('not-checked', CHECKING.running)];

/** How the bundle was come by: asked for, asked for with the reader's own nonce, or opened from a file of this name. */
export type Source = { kind: 'loaded' } | { kind: 'asked' } | { kind: 'file'; name: string };

/** The result in one sentence, what it means, and where to read more. */
export function resultOf(seen: Seen, source: Source): Piece[] {
  const { report, trust } = seen;
  const { outcome, sentence, means } = sentenceOf(seen);
  const fresh = report.checks.find(({ id }) => id === 'fresh')!.outcome;
  return [
    verdict(outcome, sentence),
    paragraph(means),
    ...(source.kind === 'file'
      ? [paragraph(filled(CHECKING.savedFile, { name: source.name }), { class: 'note' })]
      : []),
    ...(source.kind === 'asked' && fresh !== 'failed' ? [paragraph(CHECKING.askedNow)] : []),
    ...(fresh === 'failed' && source.kind !== 'file' ? [paragraph(CHECKING.clock)] : []),
    ...(trust.development ? [paragraph(CHECKING.demo, { class: 'note demo' })] : []),
    paragraph(filled(CHECKING.counts, countsOf(report)), { class: 'hint' }),
    h(
      'p',
      { class: 'buttons' },
      h('button', { type: 'button', class: 'button', id: 'again' }, ...both(CHECKING.again)),
      ' ',
      h('a', { class: 'button', href: '#checks' }, ...both(CHECKING.toList)),
    ),
    h('div', { id: 'again-note' }),
  ];
}

/** What the list says. */
type ListWords = typeof CheckWords;

/** Each check with what came of it, what it shows and who must be honest; then the bytes, folded. */
export function listOf(seen: Seen, bytes: readonly [Words, string][], words: ListWords): Element {
  const { BYTES, LIST } = words;
  const { report, trust } = seen;
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, ...both(LIST.list)),
    h('ol', { class: 'checks' }, ...report.checks.map((check) => itemOf(check, seen, words))),
    h(
      'details',
      { id: 'bytes' },
      h('summary', {}, ...both(BYTES.title)),
      h('dl', { class: 'technical' }, ...bytes.map(([name, value]) => row(both(name), h('code', {}, value)))),
      paragraph(BYTES.trustNote, { class: 'hint' }),
      h('h3', {}, ...both(BYTES.details)),
      h(
        'dl',
        { lang: 'en', class: 'technical' },
        ...report.checks.map(({ id, outcome, detail }) =>
          row(
            [id, trust.required.includes(id) || id === 'box' ? ` (${LIST.required.en})` : ''],
            `${outcome}: ${detail}`,
          ),
        ),
      ),
    ),
  );
}

const row = (name: readonly Piece[], value: Piece): Element =>
  h('div', {}, h('dt', {}, ...name), h('dd', {}, value));

function itemOf({ id, outcome, detail }: Check, seen: Seen, words: ListWords): Element {
  const { CHECK, FOUND, LIST } = words;
  const { name, shows, honest } = CHECK[id];
  const { symbol, ...word } = OUTCOME[outcome];
  const found = foundOf(id, seen, FOUND);
  return h(
    'li',
    { class: outcome, id: `check-${id}` },
    h('span', { class: 'mark', 'aria-hidden': 'true' }, symbol),
    h('h3', {}, ...both(name)),
    h('p', { class: 'outcome' }, ...both(word)),
    ...(outcome === 'failed' ? wrong(FAILS[id], detail, seen.bundle, LIST) : []),
    found && line(outcome === 'passed' ? LIST.found : LIST.why, found, { class: 'found' }),
    line(LIST.shows, shows),
    line(LIST.honest, honest, { class: 'honest' }),
    id === 'anchor' ? blockForm(seen, words.BLOCK) : undefined,
  );
}

/** What does not hold, in which step, and in the words of the check itself. */
function wrong(fails: Words, detail: string, bundle: unknown, words: ListWords['LIST']): Element[] {
  const step = stepAt(bundle, detail);
  const hour = step && dayAndHour(step.time);
  const place = (language: 'zh' | 'en'): string =>
    step
      ? `${language === 'zh' ? '：' : ', '}${
          filled(words.place, {
            step: step.words[language],
            hour: hour ? `${hour.day[language]} ${hour.hour}${language === 'zh' ? ' 时' : ' h'}` : '?',
          })[language]
        }`
      : '';
  return [
    line(words.wrong, { zh: fails.zh + place('zh'), en: fails.en + place('en') }, { class: 'found' }),
    h('p', { class: 'detail', lang: 'en' }, h('code', {}, detail)),
  ];
}

/** Where the reader brings the hash of the anchor's block, had from elsewhere. */
function blockForm({ report, blocks }: Seen, words: ListWords['BLOCK']): Element | undefined {
  const anchor = report.facts?.anchor;
  if (!anchor) return undefined;
  const known = blocks.find(({ number }) => number === anchor.block);
  return h(
    'form',
    { id: 'block' },
    h(
      'label',
      { for: 'block-hash' },
      ...both(filled(words.label, { chain: anchor.chain, block: anchor.block })),
    ),
    h('input', {
      id: 'block-hash',
      type: 'text',
      autocomplete: 'off',
      spellcheck: 'false',
      maxlength: '80',
      'aria-describedby': 'block-note',
      ...(known && { value: known.hash }),
    }),
    h('button', { class: 'button' }, ...both(words.compare)),
    h('p', { id: 'block-note', role: 'alert' }),
  );
}

function line(title: Words, text: Words, attributes: Readonly<Record<string, string>> = {}): Element {
  return h(
    'p',
    attributes,
    h('span', { class: 'key' }, `${title.zh}：`),
    text.zh,
    ' ',
    h('span', { lang: 'en', class: 'en' }, `${title.en}: ${text.en}`),
  );
}

/** That there is no result, and why: said so that nobody can take it for one. */
export function troubleOf(trouble: Why): Piece[] {
  return [
    verdict('not-checked', TROUBLE.title),
    ...whyOf(trouble),
    paragraph(TROUBLE.means, { class: 'hint' }),
    h('p', {}, h('button', { type: 'button', class: 'button', id: 'retry' }, ...both(TROUBLE.retry))),
  ];
}

/** That the ledger could not be asked again; the result stands as it was. */
export const notAskedOf = (trouble: Why): Piece[] => [...whyOf(trouble), paragraph(CHECKING.notAsked)];

/** Where the reader chooses a saved bundle. */
export const chooserOf = (): Piece[] => [
  h(
    'details',
    {},
    h('summary', {}, ...both(SAVED.title)),
    paragraph(SAVED.note, { class: 'hint' }),
    h(
      'label',
      { class: 'file' },
      h('span', {}, ...both(SAVED.choose)),
      h('input', { type: 'file', id: 'file', accept: '.json,application/json' }),
    ),
    h('p', { id: 'file-note', role: 'alert' }),
  ),
];

type Why = Pick<Trouble, 'id' | 'status' | 'wait'>;

const whyOf = ({ id, status, wait }: Why): Piece[] => [
  paragraph(filled(TROUBLE[id], { status: status ?? '' })),
  ...(wait === undefined ? [] : [paragraph(filled(TROUBLE.wait, { seconds: wait }))]),
];

const verdict = (outcome: Outcome, words: Words): Element =>
  h(
    'p',
    { class: `verdict ${outcome}` },
    h('span', { class: 'mark', 'aria-hidden': 'true' }, OUTCOME[outcome].symbol),
    h('strong', {}, ...both(words)),
  );
