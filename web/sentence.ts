import type { Bundle, CheckId, Facts, KnownBlock, Outcome, Report, Trust } from '@yaoji/chaincode/core';
import { momentInChina } from './time.ts';
import { CHECKING, FAILS, filled, SENTENCE, type Words } from './words/page.ts';

// What a report says, in plain words: the page and the command say the same. Each part of a sentence stands only where the
// report has shown it.

/** A report, and what it was made from. */
export interface Seen {
  readonly report: Report;
  /** what was checked */
  readonly bundle: unknown;
  readonly trust: Trust;
  /** ms since the epoch */
  readonly now: number;
  /** whether a token was given, without which no box can be told from another */
  readonly token: boolean;
  /** the blocks that the reader has brought, besides the trust file's */
  readonly blocks: readonly KnownBlock[];
  /** whether the bundle was kept by the reader, rather than asked for just now */
  readonly saved: boolean;
}

/** A report in one sentence, what follows from it for whoever holds the box, and how the whole of it is to be marked. */
export interface Sentence {
  readonly outcome: Outcome;
  readonly sentence: Words;
  readonly means: Words;
}

// As verify() has it: from then on a view is no longer fresh.
const OLD_AFTER = 10 * 60_000;

// Without these, a report that is ok says less than "complete and unaltered": the trust file decides which are required.
const WHOLE: readonly CheckId[] = ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'];

/** Whether a report says of the whole record that it holds; on a development ledger, as far as one operator's word goes. */
export function isWhole({ report, trust, token }: Pick<Seen, 'report' | 'trust' | 'token'>): boolean {
  const needed = [...WHOLE, ...(token ? ['box'] : []), ...(trust.development ? [] : ['endorsement'])];
  return report.ok && needed.every((id) => outcomeOf(report, id) === 'passed');
}

/** Whether nothing is wrong with the record but that it is not from now. */
export function isOnlyOld(seen: Seen): boolean {
  const { checks, facts } = seen.report;
  const failed = checks.filter(({ outcome }) => outcome === 'failed');
  return facts !== undefined && failed.length === 1 && failed[0]!.id === 'fresh' && isOld(seen, facts);
}

/** How many checks came out how. */
export const countsOf = ({ checks }: Report): Record<'passed' | 'failed' | 'open', number> => {
  const count = (wanted: Outcome): number => checks.filter(({ outcome }) => outcome === wanted).length;
  return { passed: count('passed'), failed: count('failed'), open: count('not-checked') };
};

export function sentenceOf(seen: Seen): Sentence {
  const { report, trust, token } = seen;
  const { facts } = report;
  if (!report.ok || !facts) return badSentence(seen);
  if (!isWhole(seen))
    return {
      outcome: 'not-checked',
      sentence: joined([filled(SENTENCE.partly, countsOf(report))]),
      means: CHECKING.partlyMeans,
    };
  const time = momentInChina(facts.taken, seen.now);
  const parts = [
    at(trust.development ? SENTENCE.consistent : SENTENCE.whole, time),
    ...(isOld(seen, facts) ? [SENTENCE.later] : []),
    trust.development ? SENTENCE.demo : filled(SENTENCE.vouched, numbers(facts)),
    publicity(seen, facts),
    ...(token ? [] : [SENTENCE.noToken]),
  ];
  return { outcome: 'passed', sentence: joined(parts), means: CHECKING.compareSeal };
}

function badSentence(seen: Seen): Sentence {
  const { checks, facts } = seen.report;
  const [first, ...more] = checks.filter(({ outcome }) => outcome === 'failed');
  const outcome = 'failed';
  if (facts && isOnlyOld(seen))
    return {
      outcome,
      sentence: joined([at(SENTENCE.old, momentInChina(facts.taken, seen.now))]),
      means: CHECKING.oldMeans,
    };
  const fails = FAILS[first?.id ?? 'form'];
  const parts = [
    { zh: filled(SENTENCE.bad, { fails: fails.zh }).zh, en: filled(SENTENCE.bad, { fails: fails.en }).en },
    // Where nothing can be read, all that is required fails with it: counting that says nothing more.
    ...(facts && more.length ? [filled(SENTENCE.more, { count: more.length })] : []),
  ];
  const means = first?.id === 'fresh' && !more.length ? CHECKING.oldMeans : CHECKING.badMeans;
  return { outcome, sentence: joined(parts), means };
}

/** Since when the record was public, as far as that has been shown. */
function publicity(seen: Seen, { anchor }: Facts): Words {
  if (!anchor) return SENTENCE.unanchored;
  const time = momentInChina(anchor.time, seen.now);
  if (outcomeOf(seen.report, 'anchor') === 'passed')
    return anchor.later
      ? filled(at(SENTENCE.publicButLater, time), { later: anchor.later })
      : at(SENTENCE.public, time);
  if (!boxIsAnchored(seen)) return SENTENCE.unanchored;
  return seen.trust.anchor?.development ? at(SENTENCE.developmentChain, time) : SENTENCE.unconfirmed;
}

/** Whether the anchor holds any record of the box itself. The bundle has passed *form*: it has the shape of one. */
export function boxIsAnchored({ bundle }: Seen): boolean {
  const { package: box, trails, anchor } = bundle as Bundle;
  const trail = trails.findIndex(({ subject }) => subject === box);
  return (anchor?.trails[trail]?.records ?? 0) > 0;
}

export const isOld = ({ saved, now }: Seen, { taken }: Facts): boolean => saved || now - taken > OLD_AFTER;

export const outcomeOf = ({ checks }: Report, id: string): Outcome | undefined =>
  checks.find((check) => check.id === id)?.outcome;

export const numbers = ({ signed = 0, organisations, threshold }: Facts): Record<string, number> => ({
  signed,
  organisations,
  threshold,
});

/** Fills a moment in for `{time}`, in either language as it is written there. */
export const at = ({ zh, en }: Words, time: Words): Words => ({
  zh: zh.replace('{time}', time.zh),
  en: en.replace('{time}', time.en),
});

const joined = (parts: readonly Words[]): Words => ({
  zh: `${parts.map(({ zh }) => zh).join('；')}。`,
  en: `${parts.map(({ en }) => en).join('; ')}.`,
});
