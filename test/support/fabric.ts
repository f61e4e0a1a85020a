import { findBinaries, FabricMissing } from '@yaoji/network/fabric/binaries';

import { isRequired, leaveOut } from './left-out.ts';

/** The titles of tests that run on a real network begin with it, and no others: the runner counts them by it. */
export const REAL_FABRIC = 'Real Fabric';

/** Why this machine cannot run a Fabric network, in a sentence; undefined where it can. */
export async function fabricMissing(): Promise<string | undefined> {
  try {
    await findBinaries();
    return undefined;
  } catch (error) {
    if (error instanceof FabricMissing) return error.message;
    throw error;
  }
}

/** Leaves out the running suite, and says so, where there is no Fabric; fails it where YAOJI_REQUIRE wants \`fabric\`. */
export async function needsFabric(test: Mocha.Context): Promise<void> {
  const missing = await fabricMissing();
  if (missing === undefined) return;
  if (isRequired('fabric')) throw new Error(missing);
  leaveOut(test, 'tests on a real Fabric network', missing);
}
