import type { Organisation } from '../organisations.ts';
import type { Binaries } from './binaries.ts';
import { admitOrganisation } from './channel-change.ts';
import type { Deployment } from './deployment.ts';
import { joinPeer, nodesAreHealthy } from './join.ts';
import { newMember, readLayout, writeLayout, type Places } from './layout.ts';
import { openMembers, type Member } from './members.ts';
import { newPeer } from './nodes.ts';
import type { Supervisor } from './supervisor.ts';
import type { Tools } from './tools.ts';

/** A running network, as admitting needs it. */
export interface Admitting {
  readonly tools: Tools;
  readonly binaries: Binaries;
  readonly places: Places;
  readonly supervisor: Supervisor;
  readonly deployment: Deployment;
  readonly members: readonly Member[];
  readonly log: (line: string) => void;
}

/**
 * Takes an organisation into a running network: certificates, a change of the channel that a majority of the members sign,
 * a peer that joins it, and the contract, which it approves. It orders nothing. What was begun before and not finished is
 * finished. Throws when the organisation is a member already.
 */
export async function admitMember(admitting: Admitting, organisation: Organisation): Promise<Member> {
  const { tools, binaries, places, supervisor, deployment, members, log } = admitting;
  const layout = readLayout(places);
  if (!layout) throw new Error(`${places.layout} is gone`);
  const { mspId, kind } = organisation;
  if (layout.members.some((member) => member.mspId === mspId))
    throw new Error(`${mspId} is a member already`);
  if (layout.joining && (layout.joining.mspId !== mspId || layout.joining.kind !== kind)) {
    throw new Error(`${layout.joining.mspId}:${layout.joining.kind} has not joined to the end: add it first`);
  }
  const joining = layout.joining ?? (await newMember(layout, organisation));
  writeLayout(places, { ...layout, joining });

  const [member] = await openMembers(places, [joining], log);
  if (!member) throw new Error('one member was opened');
  await admitOrganisation({ tools, places, layout, members }, member);
  log(`a majority of the members has taken ${mspId} into the channel`);
  const node = newPeer(binaries, places, member);
  if (!supervisor.has(node.name)) supervisor.run(node);
  await nodesAreHealthy([member]);
  await joinPeer(tools, places, member);
  await deployment.admit(member);
  log(`${mspId} follows the channel and has approved the contract`);

  const { joining: _, ...rest } = readLayout(places) ?? layout;
  writeLayout(places, { ...rest, members: [...rest.members, joining] });
  return member;
}
