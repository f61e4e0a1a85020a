import type { Check, CheckId, Outcome, Report, Trust } from '@yaoji/chaincode/core';
import { h, type Element, type Piece } from './element.ts';
import { both, paragraph } from './story.ts';
import { CHECK, CHECKING, filled, OUTCOME, TROUBLE, type Words } from './words/page.ts';
import type { Trouble } from './load.ts';

// What came of checking, as pieces of the page. An outcome is always a word, a symbol and a shape; colour only helps.

/** Something is being done. */
export const running = (): Piece[] => [verdict('not-checked', CHECKING.running)];

// Without these, a report that is ok says less than "complete and unchanged": the trust file decides which are required.
const WHOLE: readonly CheckId[] = ['form', 'box', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'];

/** Whether a report says of the whole record that it holds; on a development ledger, as far as one operator's word goes. */
export function isWhole({ ok, checks }: Report, development: boolean): boolean {
  const needed: readonly CheckId[] = development ? WHOLE : [...WHOLE, 'endorsement'];
  return ok && needed.every((id) => checks.some((check) => check.id === id && check.outcome === 'passed'));
}

/** The result in one sentence, what it means, and where to read more. */
export function resultOf(report: Report, development: boolean): Piece[] {
  const { ok, checks } = report;
  const count = (wanted: Outcome): number => checks.filter(({ outcome }) => outcome === wanted).length;
  const counts = { passed: count('passed'), failed: count('failed'), open: count('not-checked') };
  const said = (outcome: Outcome, sentence: Words, means: Words): Piece[] => [
    verdict(outcome, filled(sentence, counts)),
    paragraph(means),
  ];
  const clock = checks.some(({ id, outcome }) => id === 'fresh' && outcome === 'failed');
  return [
    ...(!ok
      ? said('failed', CHECKING.bad, CHECKING.badMeans)
      : !isWhole(report, development)
        ? said('not-checked', CHECKING.partly, CHECKING.partlyMeans)
        : said('passed', CHECKING.ok, development ? CHECKING.okMeansDemo : CHECKING.okMeans)),
    ...(clock ? [paragraph(CHECKING.clock)] : []),
    ...(development ? [paragraph(CHECKING.demo, { class: 'note demo' })] : []),
    h('p', {}, h('a', { class: 'button', href: '#checks' }, ...both(CHECKING.toList))),
  ];
}

/** Each check with what it shows and who must be honest, then the technical detail, folded. */
export function listOf({ checks }: Report, trust: Trust, trustHash: string): Element {
  return h(
    'section',
    { class: 'panel' },
    h('h2', {}, ...both(CHECKING.list)),
    h('ol', { class: 'checks' }, ...checks.map(itemOf)),
    h(
      'details',
      {},
      h('summary', {}, ...both(CHECKING.technical)),
      h(
        'dl',
        { lang: 'en', class: 'technical' },
        ...checks.map(({ id, outcome, detail }) =>
          h(
            'div',
            {},
            h('dt', {}, id, trust.required.includes(id) || id === 'box' ? ` (${CHECKING.required.en})` : ''),
            h('dd', {}, `${outcome}: ${detail}`),
          ),
        ),
      ),
      h('p', {}, ...both(CHECKING.trustHash), h('code', {}, trustHash)),
      paragraph(CHECKING.trustNote, { class: 'hint' }),
    ),
  );
}

function itemOf({ id, outcome, detail }: Check): Element {
  const { name, shows, honest } = CHECK[id];
  const { symbol, ...word } = OUTCOME[outcome];
  return h(
    'li',
    { class: outcome, id: `check-${id}` },
    h('span', { class: 'mark', 'aria-hidden': 'true' }, symbol),
    h('h3', {}, ...both(name)),
    h('p', { class: 'outcome' }, ...both(word)),
    outcome === 'failed'
      ? h('p', {}, h('span', { class: 'key' }, `${CHECKING.found.zh}：`), h('span', { lang: 'en' }, detail))
      : undefined,
    line(CHECKING.shows, shows),
    line(CHECKING.honest, honest, { class: 'honest' }),
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
export function troubleOf({ id, status, wait }: Pick<Trouble, 'id' | 'status' | 'wait'>): Piece[] {
  return [
    verdict('not-checked', TROUBLE.title),
    paragraph(filled(TROUBLE[id], { status: status ?? '' })),
    ...(wait === undefined ? [] : [paragraph(filled(TROUBLE.wait, { seconds: wait }))]),
    paragraph(TROUBLE.means, { class: 'hint' }),
    h('p', {}, h('button', { type: 'button', class: 'button', id: 'retry' }, ...both(TROUBLE.retry))),
  ];
}

const verdict = (outcome: Outcome, words: Words): Element =>
  h(
    'p',
    { class: `verdict ${outcome}` },
    h('span', { class: 'mark', 'aria-hidden': 'true' }, OUTCOME[outcome].symbol),
    h('strong', {}, ...both(words)),
  );
