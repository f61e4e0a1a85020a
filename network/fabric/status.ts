import { openMember } from '../identities/member.ts';
import { ordererNode, peerNode, placesIn, readLayout, type MemberLayout, type Places } from './layout.ts';
import { askOperations, isLeading, metricIn } from './operations.ts';
import { isRunning, readProcesses, type ProcessRecord } from './processes.ts';

/** A node of a network, as it is now. */
export interface NodeStatus {
  readonly name: string;
  readonly mspId: string;
  /** None when it does not run. */
  readonly pid?: number | undefined;
  /** How many blocks it has, where it keeps any and answers. */
  readonly blocks?: number | undefined;
  readonly isLeader?: boolean | undefined;
}

/** The nodes of the network in a folder, whoever runs it. Throws when there is none. */
export async function readStatus(folder: string): Promise<NodeStatus[]> {
  const places = placesIn(folder);
  const layout = readLayout(places);
  if (!layout) throw new Error(`there is no network in ${folder}`);
  const running = readProcesses(places.run).filter(isRunning);
  const members = await Promise.all(layout.members.map((member) => statusOf(places, member, running)));
  return members.flat();
}

async function statusOf(
  places: Places,
  member: MemberLayout,
  running: readonly ProcessRecord[],
): Promise<NodeStatus[]> {
  const { mspId, orderer, peer } = member;
  const identities = await openMember(places.member(mspId), mspId, []);
  const metricsAt = (port: number): Promise<string> =>
    askOperations(identities, port, '/metrics').then(
      ({ body }) => body,
      () => '',
    );
  const node = (name: string) => ({ name, mspId, pid: running.find((one) => one.name === name)?.pid });
  const ofOrderer = await metricsAt(orderer.operations);
  const ofPeer = await metricsAt(peer.operations);
  const contracts = running.filter(({ name }) => name.startsWith(`chaincode-${member.name}-`));
  return [
    {
      ...node(ordererNode(member)),
      // Not the consensus's own count: it stands still while an orderer catches up (3.1.5).
      blocks: metricIn(ofOrderer, 'ledger_blockchain_height'),
      isLeader: isLeading(ofOrderer),
    },
    { ...node(peerNode(member)), blocks: metricIn(ofPeer, 'ledger_blockchain_height') },
    ...contracts.map(({ name, pid }) => ({ name, mspId, pid })),
  ];
}
