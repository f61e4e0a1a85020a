import type { AnchorFacts, CheckId } from '@yaoji/chaincode/core';
import { at, boxIsAnchored, isOld, numbers, outcomeOf, type Seen } from './sentence.ts';
import { momentInChina } from './time.ts';
import type * as CheckWords from './words/checks.ts';
import { filled, type Words } from './words/page.ts';

// The list of checks says more than the first sentence: its words come later, and are handed in.

type FoundWords = typeof CheckWords.FOUND;

/** What a check found, or why it was not made, in plain words; undefined where there is nothing to add to its outcome. */
export function foundOf(id: CheckId, seen: Seen, words: FoundWords): Words | undefined {
  const { report, trust } = seen;
  const { facts } = report;
  const outcome = outcomeOf(report, id);
  if (outcome === 'failed') return undefined;
  if (!facts) return words.unreadable;
  switch (id) {
    case 'box':
      return outcome === 'passed' ? undefined : words.noToken;
    case 'rules':
      return outcome === 'passed' ? undefined : words.unknownRules;
    case 'endorsement':
      return outcome === 'passed' ? filled(words.signed, numbers(facts)) : words.oneOperator;
    case 'fresh':
      return outcome !== 'passed' && trust.development && !isOld(seen, facts)
        ? words.oneOperator
        : at(outcome === 'passed' ? words.taken : words.old, momentInChina(facts.taken, seen.now));
    case 'ordering':
      return words.ordering;
    case 'anchor':
      return anchorFound(seen, facts.anchor, words);
    default:
      return undefined;
  }
}

function anchorFound(seen: Seen, anchor: AnchorFacts | undefined, words: FoundWords): Words {
  const { trust, blocks, report } = seen;
  if (!anchor) return words.unanchored;
  if (!trust.anchor) return words.noChain;
  if (!boxIsAnchored(seen)) return words.boxUnanchored;
  const { chain, block, later } = anchor;
  const brought = [...trust.anchor.blocks, ...blocks].some(({ number }) => number === block);
  const which =
    outcomeOf(report, 'anchor') === 'passed'
      ? words.public
      : trust.anchor.development && brought
        ? words.developmentChain
        : words.lookUp;
  const said = filled(at(which, momentInChina(anchor.time, seen.now)), { chain, block });
  if (!later || which === words.lookUp) return said;
  const rest = filled(words.later, { later });
  return { zh: said.zh + rest.zh, en: said.en + rest.en };
}
