import { parseToken, toHex, verify, type Outcome, type VerifierSuite } from '@yaoji/chaincode/core';
import { config } from 'zod/mini';
import { storyOf } from './bundle-story.ts';
import { domOf } from './dom.ts';
import type { Piece } from './element.ts';
import { rememberLargeType } from './large-type.ts';
import { loadBundle, loadTrust, Trouble } from './load.ts';
import { isWhole, listOf, resultOf, running, troubleOf } from './report.ts';
import { both, paragraph, storyParts } from './story.ts';
import { browserSuite } from './suite.ts';
import { CHECKING, PAGE, type Words } from './words/page.ts';

// The page of a box, in the browser: load, verify, show. The token comes from the page's own address, trust from its own file,
// and neither from the bundle.

/** Checks the box and shows what came of it; never shows *passed* for anything else than a report that says so. */
async function check(): Promise<void> {
  show('result', running());
  show('checks', []);
  try {
    const token = tokenOfAddress();
    const [bundle, trust, suite] = await Promise.all([loadBundle(token), loadTrust(), loadSuite()]);
    const report = await verify(bundle.value, { trust: trust.value, token, now: Date.now(), suite });
    // What can still go wrong goes wrong before anything is shown.
    const list = listOf(report, trust.value, toHex(suite.sha256(trust.bytes)));
    const whole = isWhole(report, trust.value.development);
    const parts = whole ? storyParts(storyOf(bundle.value)) : undefined;
    show('checks', [list]);
    const note = parts ? replaceStory(parts) : [];
    say(whole ? 'passed' : report.ok ? 'not-checked' : 'failed');
    show('result', [...resultOf(report, trust.value.development), ...note]);
  } catch (error) {
    say('not-checked');
    show('checks', []);
    show(
      'result',
      troubleOf(error instanceof Trouble ? error : { id: 'bug', status: undefined, wait: undefined }),
    );
    document.getElementById('retry')?.addEventListener('click', start);
    if (!(error instanceof Trouble)) console.error(error);
  }
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

/** Puts the checked story in the place of the server's; says so where they differ. */
function replaceStory(parts: ReturnType<typeof storyParts>): Piece[] {
  let same = true;
  for (const [id, part] of Object.entries(parts)) {
    const checked = domOf(part);
    const told = document.getElementById(id);
    if (told?.textContent !== checked.textContent) same = false;
    told?.replaceWith(checked);
  }
  return same ? [] : [paragraph(CHECKING.storyDiffers, { class: 'note' })];
}

const SOURCE: Readonly<Record<Outcome, Words>> = {
  passed: CHECKING.storyChecked,
  failed: CHECKING.storyBad,
  'not-checked': PAGE.serviceWord,
};

/** Says of each part of the story whose word it is. */
function say(outcome: Outcome): void {
  for (const source of document.querySelectorAll('.source')) {
    source.className = `source ${outcome}`;
    source.replaceChildren(...both(SOURCE[outcome]).map(domOf));
  }
}

function show(id: string, pieces: readonly Piece[]): void {
  document.getElementById(id)?.replaceChildren(...pieces.map(domOf));
}

function start(): void {
  void check();
}

// zod may compile schemas with `new Function`: our Content-Security-Policy forbids that and reports even the probe for it.
config({ jitless: true });
rememberLargeType();
if (document.getElementById('check')) start();
