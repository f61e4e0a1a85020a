import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { ordererMspOf } from '../identities/member.ts';
import type { Running } from './admit.ts';
import { dismissOrganisations } from './channel-change.ts';
import { LAST_CALLS_MS } from './deployment.ts';
import { nodesAreHealthy } from './join.ts';
import { ordererNode, peerNode, readLayout, writeLayout, type Ordering } from './layout.ts';
import { restartOrderers } from './restart.ts';

/**
 * Takes a member out of a running network: its peer ends, a change of the channel that a majority of the members sign takes
 * its two organisations and its orderer out, and its other processes end. What it has written stays valid, its folder with
 * its keys stays where it is, its orderer's data do not. What was begun before and not finished is finished. Throws when it
 * is no member, when too few would be left, and when one of those is not well.
 */
export async function dismissMember(running: Running, mspId: string): Promise<void> {
  const { tools, places, supervisor, deployment, members, log } = running;
  const layout = readLayout(places);
  if (!layout) throw new Error(`${places.layout} is gone`);
  const { joining, leaving = layout.members.find((member) => member.mspId === mspId) } = layout;
  if (joining) throw new Error(`${joining.mspId}:${joining.kind} has not joined to the end: add it first`);
  if (!leaving) throw new Error(`${mspId} is no member`);
  if (leaving.mspId !== mspId) throw new Error(`${leaving.mspId} has not left to the end: remove it first`);
  const staying = layout.members.filter((member) => member.mspId !== mspId);
  checkEnough(layout.ordering, staying.length);
  const others = members.filter((member) => member.layout.mspId !== mspId);
  await nodesAreHealthy(others);

  const without = { ...layout, members: staying, leaving };
  writeLayout(places, without);
  // What is on its way with an endorsement of its would be refused afterwards.
  if (supervisor.has(peerNode(leaving))) {
    await supervisor.end(peerNode(leaving));
    await sleep(LAST_CALLS_MS);
  }
  const changing = { tools, places, layout: without, members: others };
  await dismissOrganisations(changing, { mspId, ordererMspId: ordererMspOf(mspId) });
  log(`a majority of the members has taken ${mspId} out of the channel`);
  await deployment.dismiss(leaving);
  await supervisor.end(ordererNode(leaving));
  await restartOrderers({ ...running, members: others }, layout.ordering, others.length + 1);
  // Should it ever come back, its orderer must not believe what it has voted for.
  rmSync(places.data(ordererNode(leaving)), { recursive: true, force: true });

  const { leaving: _, ...rest } = readLayout(places) ?? without;
  writeLayout(places, rest);
}

/** Throws a sentence when so many members cannot order as they should. */
export function checkEnough(ordering: Ordering, members: number): void {
  if (ordering === 'bft' && members < 4) {
    throw new Error('fewer than four members cannot order by BFT: add one before you remove one');
  }
  if (ordering === 'raft' && members < 3) {
    throw new Error(
      'with fewer than three members the first orderer that fails stops all: add one before you remove one',
    );
  }
}
