import { flags } from '../flags.ts';
import type { NetworkLayout, Places } from './layout.ts';
import type { Member } from './members.ts';
import { askOperations, isHealthy, metricIn } from './operations.ts';
import type { Tools } from './tools.ts';
import { insist } from './wait.ts';

const LIMIT_MS = 60_000;

/** Resolves when every orderer and every peer says that it is well. */
export async function nodesAreHealthy(members: readonly Member[]): Promise<void> {
  const ports = members.flatMap((member) => [
    [member, member.layout.peer.operations] as const,
    [member, member.layout.orderer.operations] as const,
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
  await Promise.all(members.map((member) => joinOrderer(tools, member, places.genesis)));
  await Promise.all(members.map((member) => joinPeer(tools, places, member)));
  if (layout.ordering === 'raft') await raftLeads(members);
}

/** Has a member's orderer join the channel, from a configuration block of it, unless it is in it. */
export async function joinOrderer(tools: Tools, member: Member, block: string): Promise<void> {
  const { mspId } = member.layout;
  // The admin endpoint opens a little after the node has called itself healthy.
  const listed = await insist(`the orderer of ${mspId} answers its administrator`, LIMIT_MS, () =>
    tools.osnadmin(member, 'list'),
  );
  if (listed.includes(`"${tools.channel}"`)) return;
  const what = flags({ '--channelID': tools.channel, '--config-block': block });
  const answer = await tools.osnadmin(member, 'join', ...what);
  // osnadmin ends well whatever it is answered.
  if (!answer.includes('Status: 201')) throw new Error(`the orderer of ${mspId} does not join: ${answer}`);
}

/** What an orderer says of its part in the channel. */
interface Participation {
  readonly status: 'active';
  readonly consensusRelation?: 'consenter';
}

/** Resolves when a member's orderer says so: that it is active once it has the blocks, and a consenter once it orders. */
export async function ordererSays(tools: Tools, member: Member, wanted: Participation): Promise<void> {
  const words = Object.entries(wanted).map(([name, value]) => new RegExp(`"${name}": *"${value}"`));
  await insist(`the orderer of ${member.layout.mspId} is in the channel`, LIMIT_MS, async () => {
    const said = await tools.osnadmin(member, 'list', ...flags({ '--channelID': tools.channel }));
    if (!words.every((word) => word.test(said))) throw new Error(said);
  });
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
async function raftLeads(members: readonly Member[]): Promise<void> {
  await insist('an orderer leads', LIMIT_MS, async () => {
    const leads = await Promise.all(
      members.map(async ({ identities, layout: { orderer } }) => {
        const { body } = await askOperations(identities, orderer.operations, '/metrics');
        return metricIn(body, 'consensus_etcdraft_is_leader');
      }),
    );
    if (!leads.includes(1)) throw new Error('none leads yet');
  });
}
