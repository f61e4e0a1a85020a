import type { Json } from '@yaoji/chaincode/core';
import { h, htmlOf, type Element, type Piece } from './element.ts';
import { both, paragraph, storyParts } from './story.ts';
import { filled, NOT_FOUND, PAGE, PRODUCT, STORY, type Words } from './words/page.ts';

/** What the server-rendered page of a box says: nothing that a stranger with the token may not see. */
export interface PackagePage {
  token: string;
  /** the package's phase as the store knows it */
  phase: string;
  centre: { zh: string; en: string };
  /** who has custody */
  custodian: { zh: string; en: string };
  bags: number;
  sealNo?: string;
  /** a minute of UTC */
  bestBefore?: string;
  /** oldest first */
  steps: { step: string; time: string; org: { zh: string; en: string }; open: { [name: string]: Json } }[];
  /** events about the box or its fulfilment that have no verdict yet */
  unsettled: number;
}

/** The page of a box as HTML: whole and readable without a script. Whatever is in it may come from anyone. */
export function renderPackagePage(page: PackagePage): string {
  const { where, label, steps } = storyParts(page);
  const bundle = `/v1/packages/${encodeURIComponent(page.token)}/bundle`;
  return documentOf(
    PAGE.title,
    section({ class: 'first' }, where, source()),
    page.unsettled > 0
      ? paragraph(filled(PAGE.unsettled, { count: page.unsettled }), { class: 'note unsettled' })
      : undefined,
    section(
      { class: 'panel', id: 'check', 'aria-labelledby': 'check-title' },
      h('h2', { id: 'check-title' }, ...both(PAGE.check)),
      h(
        'div',
        { id: 'result', role: 'status' },
        h(
          'p',
          { class: 'verdict not-checked' },
          h('span', { class: 'mark', 'aria-hidden': 'true' }, '?'),
          h('strong', {}, ...both(PAGE.notChecked)),
        ),
        paragraph(PAGE.serviceSays),
        h('noscript', {}, paragraph(PAGE.noScript)),
      ),
    ),
    section(
      { class: 'panel' },
      h('h2', {}, ...both(PAGE.label)),
      source(),
      label,
      paragraph(PAGE.compare, { class: 'hint' }),
    ),
    section(
      { class: 'panel' },
      h('h2', {}, ...both(PAGE.steps)),
      source(),
      paragraph(PAGE.stepsNote, { class: 'hint' }),
      steps,
    ),
    h('div', { id: 'checks' }),
    section(
      { class: 'save' },
      h(
        'p',
        {},
        h('a', { class: 'button', href: bundle, download: 'yaoji-bundle.json' }, ...both(PAGE.save)),
      ),
      paragraph(PAGE.saveNote, { class: 'hint' }),
      // Only a script can open a file: so it brings the chooser along.
      h('div', { id: 'saved' }),
    ),
    h('footer', {}, paragraph(PAGE.whoSees)),
  );
}

/** The page of a code that leads to no box: the same for one that never was and one that was erased. */
export function renderNotFound(): string {
  return documentOf(
    NOT_FOUND.title,
    h('h1', {}, ...both(NOT_FOUND.title)),
    paragraph(NOT_FOUND.why),
    paragraph(NOT_FOUND.beware, { class: 'note' }),
  );
}

const section = (attributes: Readonly<Record<string, string>>, ...pieces: Piece[]): Element =>
  h('section', attributes, ...pieces);

/** Whose word the part below is; the browser changes it once it has checked. */
const source = (): Element => paragraph(STORY.serviceWord, { class: 'source not-checked' });

function documentOf(title: Words, ...pieces: (Piece | undefined)[]): string {
  const document = h(
    'html',
    { lang: 'zh-CN' },
    h(
      'head',
      {},
      h('meta', { charset: 'utf-8' }),
      h('title', {}, `${title.zh} · ${PRODUCT.zh} ${PRODUCT.en}`),
      h('meta', { name: 'viewport', content: 'width=device-width, initial-scale=1' }),
      h('meta', { name: 'robots', content: 'noindex, nofollow, noarchive' }),
      // The token stands in the address: no other site may learn it from a link.
      h('meta', { name: 'referrer', content: 'no-referrer' }),
      h('meta', { name: 'color-scheme', content: 'light dark' }),
      h('meta', { name: 'format-detection', content: 'telephone=no' }),
      h('link', { rel: 'icon', href: '/assets/icon.svg', type: 'image/svg+xml' }),
      h('link', { rel: 'stylesheet', href: '/assets/style.css' }),
      h('script', { type: 'module', src: '/assets/app.js' }),
    ),
    h(
      'body',
      {},
      h(
        'header',
        {},
        h('p', { class: 'product' }, ...both(PRODUCT)),
        // A checkbox: the style sheet alone makes it work, the script only remembers it.
        h(
          'label',
          { class: 'switch' },
          h('input', { type: 'checkbox', id: 'large', autocomplete: 'off' }),
          h('span', {}, ...both(PAGE.largeType)),
        ),
      ),
      h('main', {}, ...pieces),
    ),
  );
  return `<!doctype html>${htmlOf(document)}`;
}
