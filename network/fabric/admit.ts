import type { Organisation } from '../organisations.ts';
import type { Binaries } from './binaries.ts';
import { admitConsenter, admitOrganisations } from './channel-change.ts';
import type { Deployment } from './deployment.ts';
import { joinOrderer, joinPeer, nodesAreHealthy, ordererSays } from './join.ts';
import { newMember, readLayout, writeLayout, type Places } from './layout.ts';
import { openMembers, type Member } from './members.ts';
import { newOrderer, newPeer } from './nodes.ts';
import { restartOrderers } from './restart.ts';
import type { Supervisor } from './supervisor.ts';
import type { Tools } from './tools.ts';

/** A running network whose members are to change. */
export interface Running {
  readonly tools: Tools;
  readonly binaries: Binaries;
  readonly places: Places;
  readonly supervisor: Supervisor;
  readonly deployment: Deployment;
  readonly members: readonly Member[];
  readonly log: (line: string) => void;
}

/**
 * Takes an organisation into a running network: certificates; a change of the channel that a majority of the members sign; a
 * peer and an orderer that follow it; the contract, which it approves; and a second change, after which its orderer orders.
 * What was begun before and not finished is finished. Throws when the organisation is a member already.
 */
export async function admitMember(running: Running, organisation: Organisation): Promise<Member> {
  const { tools, binaries, places, supervisor, deployment, members, log } = running;
  const layout = readLayout(places);
  if (!layout) throw new Error(`${places.layout} is gone`);
  const { mspId, kind } = organisation;
  if (layout.members.some((member) => member.mspId === mspId))
    throw new Error(`${mspId} is a member already`);
  if (layout.joining && (layout.joining.mspId !== mspId || layout.joining.kind !== kind)) {
    throw new Error(`${layout.joining.mspId}:${layout.joining.kind} has not joined to the end: add it first`);
  }
  if (layout.leaving) throw new Error(`${layout.leaving.mspId} has not left to the end: remove it first`);
  const joining = layout.joining ?? (await newMember(layout, organisation));
  writeLayout(places, { ...layout, joining });

  const [member] = await openMembers(places, [joining], log);
  if (!member) throw new Error('one member was opened');
  // Until the new orderer orders, more of the others are needed than before.
  await nodesAreHealthy(members);
  const changing = { tools, places, layout, members };
  const block = await admitOrganisations(changing, member);
  log(`a majority of the members has taken ${mspId} into the channel`);
  for (const node of [newOrderer(binaries, places, member), newPeer(binaries, places, member)]) {
    if (!supervisor.has(node.name)) supervisor.run(node);
  }
  await nodesAreHealthy([member]);
  await Promise.all([joinOrderer(tools, member, block), joinPeer(tools, places, member)]);
  await deployment.admit(member);
  log(`${mspId} follows the channel and has approved the contract`);
  await ordererSays(tools, member, { status: 'active' });
  await admitConsenter(changing, member);
  await ordererSays(tools, member, { status: 'active', consensusRelation: 'consenter' });
  await restartOrderers({ ...running, members: [...members, member] }, layout.ordering, members.length);
  log(`the orderer of ${mspId} orders with the others`);

  const { joining: _, ...rest } = readLayout(places) ?? layout;
  writeLayout(places, { ...rest, members: [...rest.members, joining] });
  return member;
}
