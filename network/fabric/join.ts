import { orderingMembers, type NetworkLayout, type OrderingMember, type Places } from './layout.ts';
import type { Member } from './members.ts';
import { askOperations, isHealthy, metricIn } from './operations.ts';
import type { Tools } from './tools.ts';
import { insist } from './wait.ts';

const LIMIT_MS = 60_000;

/** Resolves when every orderer and every peer says that it is well. */
export async function nodesAreHealthy(members: readonly Member[]): Promise<void> {
  const ports = members.flatMap((member) => [
    [member, member.layout.peer.operations] as const,
    ...(member.layout.orderer ? [[member, member.layout.orderer.operations] as const] : []),
  ]);
  await Promise.all(
    ports.map(
      ([
        {
          identities,
          layout: { mspId },
        },
        port,
      ]) =>
        insist(`a node of ${mspId} is healthy`, LIMIT_MS, async () => {
          if (!(await isHealthy(identities, port))) throw new Error(`no good answer at port ${port}`);
        }),
    ),
  );
}

/** Has every orderer and every peer join the channel that is not in it yet, and waits for an orderer to lead. */
export async function joinChannel(
  tools: Tools,
  places: Places,
  layout: NetworkLayout,
  members: readonly Member[],
): Promise<void> {
  const orderers = orderingMembers(layout).flatMap((at) => {
    const member = members.find((one) => one.layout.mspId === at.mspId);
    return member ? [{ member, at }] : [];
  });
  await Promise.all(orderers.map(({ member, at }) => joinOrderer(tools, places, member, at)));
  await Promise.all(members.map((member) => joinPeer(tools, places, member)));
  if (layout.ordering === 'raft') await raftLeads(orderers);
}

/** Has a member's orderer join the channel, from its block 0, unless it is in it. */
export async function joinOrderer(
  tools: Tools,
  places: Places,
  member: Member,
  at: OrderingMember,
): Promise<void> {
  // The admin endpoint opens a little after the node has called itself healthy.
  const listed = await insist(`the orderer of ${at.mspId} answers its administrator`, LIMIT_MS, () =>
    tools.osnadmin(member, at, 'list'),
  );
  if (listed.includes(`"${tools.channel}"`)) return;
  const answer = await tools.osnadmin(
    member,
    at,
    'join',
    '--channelID',
    tools.channel,
    '--config-block',
    places.genesis,
  );
  // osnadmin ends well whatever it is answered.
  if (!answer.includes('Status: 201')) throw new Error(`the orderer of ${at.mspId} does not join: ${answer}`);
}

/** Has a member's peer join the channel, from its block 0, unless it is in it. */
export async function joinPeer(tools: Tools, places: Places, member: Member): Promise<void> {
  const listed = await insist(`the peer of ${member.layout.mspId} answers its administrator`, LIMIT_MS, () =>
    tools.peer(member, 'channel', 'list'),
  );
  if (listed.split('\n').includes(tools.channel)) return;
  await tools.peer(member, 'channel', 'join', '-b', places.genesis);
}

// Until one leads, Raft's orderers refuse everything.
async function raftLeads(orderers: readonly { member: Member; at: OrderingMember }[]): Promise<void> {
  await insist('an orderer leads', LIMIT_MS, async () => {
    const leads = await Promise.all(
      orderers.map(async ({ member, at }) => {
        const { body } = await askOperations(member.identities, at.orderer.operations, '/metrics');
        return metricIn(body, 'consensus_etcdraft_is_leader');
      }),
    );
    if (!leads.includes(1)) throw new Error('none leads yet');
  });
}
