import {
  parseToken,
  verify,
  type Json,
  type KnownBlock,
  type Outcome,
  type Trust,
  type VerifierSuite,
} from '@yaoji/chaincode/core';
import { config } from 'zod/mini';
import { storyOf } from './bundle-story.ts';
import { bytesOf } from './bytes.ts';
import { domOf } from './dom.ts';
import type { Piece } from './element.ts';
import { rememberLargeType } from './large-type.ts';
import { loadBundle, loadTrust, openFile, Trouble, type Loaded } from './load.ts';
import { chooserOf, listOf, notAskedOf, resultOf, running, troubleOf, type Source } from './report.ts';
import { isOnlyOld, isWhole, type Seen } from './sentence.ts';
import { both, paragraph, storyParts } from './story.ts';
import { browserSuite } from './suite.ts';
import type * as CheckWords from './words/checks.ts';
import { CHECKING, STORY, SAVED, type Words } from './words/page.ts';

// The page of a box, in the browser: load, verify, show. The token comes from the page's own address, trust from its own file,
// and neither from the bundle.

/** What a check is made from. */
interface Material {
  readonly token: string;
  readonly bundle: Loaded<Json>;
  readonly trust: Loaded<Trust>;
  readonly suite: VerifierSuite;
  readonly source: Source;
  /** the nonce that the view must carry, where the reader asked for it */
  readonly nonce?: Uint8Array;
  /** the blocks that the reader has brought */
  readonly blocks: readonly KnownBlock[];
}

/** What the page shows the result of; undefined: nothing has been checked. */
let checked: Material | undefined;
/** Only the last thing that was asked for may be shown. */
let latest = 0;

/** Loads, checks and shows the box; whatever stood there before is gone. */
async function start(): Promise<void> {
  const run = ++latest;
  checked = undefined;
  show('result', running());
  show('checks', []);
  try {
    const token = tokenOfAddress();
    const [bundle, tools] = await Promise.all([loadBundle(token), loadTools()]);
    await check({ token, bundle, ...tools, source: { kind: 'loaded' }, blocks: [] }, run);
  } catch (error) {
    if (run === latest) showTrouble(error);
  }
}

/** Asks the ledger now, with a nonce that nobody can have known before. Where that fails, the result stands as it was. */
async function askAgain(): Promise<void> {
  const before = checked;
  if (!before) return start();
  const run = ++latest;
  const button = document.getElementById('again');
  button?.setAttribute('disabled', '');
  const nonce = crypto.getRandomValues(new Uint8Array(24));
  try {
    const bundle = await loadBundle(before.token, nonce);
    await check({ ...before, bundle, nonce, source: { kind: 'asked' } }, run);
  } catch (error) {
    if (run !== latest) return;
    button?.removeAttribute('disabled');
    show('again-note', notAskedOf(whyOf(error)));
  }
}

/** Checks a bundle that the reader has kept, against the trust file of this page. */
async function checkFile(file: File): Promise<void> {
  const run = ++latest;
  show('file-note', []);
  try {
    const token = tokenOfAddress();
    const bundle = await openFile(file);
    const { blocks, trust, suite } = checked ?? { blocks: [], ...(await loadTools()) };
    await check({ token, bundle, trust, suite, blocks, source: { kind: 'file', name: file.name } }, run);
    document.getElementById('check')?.scrollIntoView();
  } catch (error) {
    if (run !== latest) return;
    const { id } = whyOf(error);
    show('file-note', id === 'unreadable' ? [paragraph(SAVED.unreadable)] : notAskedOf(whyOf(error)));
  }
}

/** Checks once more, with the hash of the anchor's block that the reader has from elsewhere. */
async function compareBlock(block: KnownBlock): Promise<void> {
  if (!checked) return;
  await check({ ...checked, blocks: [block] }, ++latest);
  document.getElementById('check-anchor')?.scrollIntoView({ block: 'nearest' });
}

/** Checks the box and shows what came of it; never shows *passed* for anything else than a report that says so. */
async function check(material: Material, run: number): Promise<void> {
  const { token, bundle, trust, suite, source, nonce, blocks } = material;
  const now = Date.now();
  const asked = { trust: trust.value, token, now, suite, blocks, ...(nonce && { nonce }) };
  const report = await verify(bundle.value, asked);
  if (run !== latest) return;
  const seen: Seen = {
    report,
    bundle: bundle.value,
    trust: trust.value,
    now,
    token: true,
    blocks,
    saved: source.kind === 'file',
  };
  // What can still go wrong goes wrong before anything is shown.
  const result = resultOf(seen, source);
  const parts = isWhole(seen) || isOnlyOld(seen) ? storyParts(storyOf(bundle.value)) : undefined;
  checked = material;
  show('checks', []);
  const differs = parts && !replaceStory(parts) && source.kind === 'loaded';
  say(...sourceOf(seen, source));
  show('result', [...result, ...(differs ? [paragraph(CHECKING.storyDiffers, { class: 'note' })] : [])]);
  document.getElementById('again')?.addEventListener('click', () => void askAgain());
  await showList(seen, material, run);
}

/** Shows each check and the bytes, once their words are here: the sentence does not wait for them. */
async function showList(seen: Seen, { bundle, trust, suite }: Material, run: number): Promise<void> {
  let words: typeof CheckWords;
  try {
    words = await import('./words/checks.ts');
  } catch {
    if (run === latest) show('checks', [paragraph(CHECKING.noList, { class: 'note' })]);
    return;
  }
  if (run !== latest) return;
  const files = { bundle: bundle.bytes, trust: trust.bytes };
  const from = { report: seen.report, bundle: bundle.value, trust: trust.value, bytes: files, suite };
  show('checks', [listOf(seen, bytesOf(from, words.BYTES), words)]);
  listenForBlock(seen.report.facts?.anchor?.block, words.BLOCK);
}

function listenForBlock(block: number | undefined, words: typeof CheckWords.BLOCK): void {
  const form = document.getElementById('block');
  const field = document.getElementById('block-hash');
  if (block === undefined || !form || !(field instanceof HTMLInputElement)) return;
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const hash = field.value.trim().toLowerCase();
    if (/^0x[0-9a-f]{64}$/.test(hash)) void compareBlock({ number: block, hash });
    else show('block-note', [paragraph(words.malformed)]);
  });
}

function showTrouble(error: unknown): void {
  say('not-checked', STORY.serviceWord);
  show('checks', []);
  show('result', troubleOf(whyOf(error)));
  document.getElementById('retry')?.addEventListener('click', () => void start());
}

/** Why something could not be done; what is no Trouble is our own mistake. */
function whyOf(error: unknown): Trouble {
  if (error instanceof Trouble) return error;
  console.error(error);
  return new Trouble('bug', { cause: error });
}

async function loadTools(): Promise<{ trust: Loaded<Trust>; suite: VerifierSuite }> {
  const [trust, suite] = await Promise.all([loadTrust(), loadSuite()]);
  return { trust, suite };
}

async function loadSuite(): Promise<VerifierSuite> {
  try {
    return await browserSuite();
  } catch (cause) {
    throw new Trouble('offline', { cause });
  }
}

function tokenOfAddress(): string {
  try {
    const [, coded] = /^\/p\/([^/]+)\/?$/.exec(location.pathname)!;
    return parseToken(decodeURIComponent(coded!));
  } catch (cause) {
    throw new Trouble('no-token', { cause });
  }
}

/** Puts the checked story in the place of the one that stands there; answers whether they were the same. */
function replaceStory(parts: ReturnType<typeof storyParts>): boolean {
  let same = true;
  for (const [id, part] of Object.entries(parts)) {
    const proved = domOf(part);
    const told = document.getElementById(id);
    if (told?.textContent !== proved.textContent) same = false;
    told?.replaceWith(proved);
  }
  return same;
}

/** Whose word the story is that now stands on the page. */
function sourceOf(seen: Seen, source: Source): [outcome: Outcome, words: Words] {
  if (isOnlyOld(seen)) return ['not-checked', CHECKING.storyOld];
  if (isWhole(seen)) return ['passed', seen.saved ? CHECKING.storyOld : CHECKING.storyChecked];
  if (source.kind === 'file') return ['not-checked', CHECKING.storyBefore];
  return seen.report.ok ? ['not-checked', STORY.serviceWord] : ['failed', CHECKING.storyBad];
}

/** Says of each part of the story whose word it is. */
function say(outcome: Outcome, words: Words): void {
  for (const element of document.querySelectorAll('.source')) {
    element.className = `source ${outcome}`;
    element.replaceChildren(...both(words).map(domOf));
  }
}

function show(id: string, pieces: readonly Piece[]): void {
  document.getElementById(id)?.replaceChildren(...pieces.map(domOf));
}

/** Puts the chooser of a saved file on the page. */
function offerFile(): void {
  show('saved', chooserOf());
  const field = document.getElementById('file');
  if (!(field instanceof HTMLInputElement)) return;
  field.addEventListener('change', () => {
    const file = field.files?.[0];
    // The same file may be chosen again, after it was changed.
    field.value = '';
    if (file) void checkFile(file);
  });
}

// zod may compile schemas with `new Function`: our Content-Security-Policy forbids that and reports even the probe for it.
config({ jitless: true });
rememberLargeType();
if (document.getElementById('check')) {
  offerFile();
  void start();
}
