import type { Bundle, Trust } from '@yaoji/chaincode/core';
import { bundleOf, trustOf } from '../support/bundles.ts';
import { ledgerAfter, type Act } from '../support/consortium.ts';

/** What a server answers for a box, and the trust file that it sends with its page. */
export interface Served {
  bundle: Bundle;
  trust: Trust;
}

/** The box after these acts, as anyone with its token may see it, taken just now: a page's own clock says how old views are. */
export const boxAfter = async (acts: readonly Act[]): Promise<Served> => ({
  bundle: await bundleOf(await ledgerAfter(acts), { taken: Date.now() }),
  trust: await trustOf({
    required: ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'],
  }),
});
