import type { Bundle, KnownBlock, Trust } from '@yaoji/chaincode/core';
import { CHAIN, CONTRACT } from '../support/anchors.ts';
import { anchored, bundleOf, trustOf, type BundlePlan } from '../support/bundles.ts';
import { ledgerAfter, type Act } from '../support/consortium.ts';

/** What a server answers for a box, and the trust file that it sends with its page. */
export interface Served {
  bundle: Bundle;
  trust: Trust;
}

/** The box after these acts, as anyone with its token may see it, taken just now: a page's own clock says how old views are. */
export const boxAfter = async (acts: readonly Act[], plan: BundlePlan = {}): Promise<Served> => ({
  bundle: await bundleOf(await ledgerAfter(acts), { taken: Date.now(), ...plan }),
  trust: await trustOf({
    required: ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'],
  }),
});

/** The box after these acts, its logs anchored ten minutes ago as they stood after the earlier ones; and the anchor's block. */
export async function anchoredBox(
  acts: readonly Act[],
  earlier: readonly Act[],
  plan: BundlePlan = {},
): Promise<Served & { block: KnownBlock }> {
  const ledger = await ledgerAfter(earlier);
  const { bundle: plain, trust } = await boxAfter(acts, plan);
  const time = Date.now() - 10 * 60_000;
  const { bundle, block } = await anchored(plain, { ledger, time, taken: time - 60_000 });
  const anchor = { chain: CHAIN, contract: CONTRACT, development: false, blocks: [] };
  return { bundle, block, trust: { ...trust, anchor } };
}
