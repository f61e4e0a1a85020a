import { setTimeout as sleep } from 'node:timers/promises';

import type { Running } from './admit.ts';
import { bftQuorum } from './channel-config.ts';
import type { Ordering } from './layout.ts';
import type { Member } from './members.ts';
import { newOrderer } from './nodes.ts';
import { askOperations, isLeading, metricIn } from './operations.ts';
import { insist } from './wait.ts';

const LIMIT_MS = 60_000;
// How long the others take to find it again. What is not ordered yet, orderers only remember: were they started again in
// quick succession, all would have forgotten it.
const FIND_AGAIN_MS = 5000;

/**
 * Starts the members' orderers again, one after another, where they must be after so many have become so many: an orderer
 * checks blocks that it has missed by whose signatures counted when it was started (3.1.5: ledgerResources.signatureVerifier),
 * and one that finds too few of them tries the same for ever.
 */
export async function restartOrderers(running: Running, ordering: Ordering, before: number): Promise<void> {
  const { binaries, places, supervisor, members } = running;
  if (!mustRestart(ordering, before, members.length)) return;
  const leads = await Promise.all(members.map(async (member) => isLeading(await metricsOf(member))));
  // The one that leads comes last: else the lead would pass to one that is to be started again too.
  for (const member of [...members.filter((_, i) => !leads[i]), ...members.filter((_, i) => leads[i])]) {
    const orderer = newOrderer(binaries, places, member);
    const height = Math.max(...(await Promise.all(members.map(heightOf))));
    await supervisor.end(orderer.name);
    supervisor.run(orderer);
    await insist(`the orderer of ${member.layout.mspId} has all blocks`, LIMIT_MS, async () => {
      const own = await heightOf(member);
      if (own < height) throw new Error(`it has ${own} of ${height}`);
    });
    await sleep(FIND_AGAIN_MS);
  }
}

/** Whether blocks of so many orderers may have too few signatures of those who ordered before. */
export function mustRestart(ordering: Ordering, before: number, after: number): boolean {
  // A Raft block has one signature, of whoever it is asked from; among all there is one of those from before.
  if (ordering === 'raft') return false;
  return bftQuorum(after) - Math.max(0, after - before) < bftQuorum(before);
}

const heightOf = async (member: Member): Promise<number> =>
  metricIn(await metricsOf(member), 'ledger_blockchain_height') ?? 0;

async function metricsOf({ identities, layout }: Member): Promise<string> {
  const { body } = await askOperations(identities, layout.orderer.operations, '/metrics');
  return body;
}
