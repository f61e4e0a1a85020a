import { existsSync, rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

import type { Binaries } from '../binaries.ts';
import { keepBuild, keptBuild, readBuild } from '../build.ts';
import { joinOrderer, joinPeer } from '../join.ts';
import { ordererNode, peerNode } from '../layout.ts';
import { approve, commit, install, readDefinition, type Definition, type Deploying } from '../lifecycle.ts';
import type { Member } from '../members.ts';
import { askOperations, isLeading, metricIn } from '../operations.ts';
import { newPackage } from '../package.ts';
import { allEndorseThrough } from '../ready.ts';
import { Tools } from '../tools.ts';
import { layoutOf } from './consortium.ts';
import { saveFolder, type HostContract, type HostFolder } from './folder.ts';
import { openPublicMember } from './hand-over.ts';
import { forgetContract, openOwnMember, writeContract } from './prepare.ts';

// What a member's administrator does on the member's own host, with the member's own keys.

/** A member's folder, opened to administrate what runs from it. */
export interface Host {
  readonly folder: HostFolder;
  readonly member: Member;
  readonly deploying: Deploying;
}

/** Opens a member's folder that has accepted what was assembled. `warn` is told of certificates that expire soon. */
export async function openHost(
  binaries: Binaries,
  folder: HostFolder,
  warn: (line: string) => void,
): Promise<Host> {
  const { places, consortium, own } = folder;
  const member = await openOwnMember(folder, warn);
  const members = consortium.members.map((one) =>
    one.mspId === own.mspId ? member : openPublicMember(places, one),
  );
  const tools = new Tools(binaries, places, consortium.channel);
  return {
    folder,
    member,
    deploying: { tools, places, layout: layoutOf(consortium), members, own: [member] },
  };
}

/** Has the member's running orderer and peer join the channel, unless they have. */
export async function joinAsMember({ member, deploying }: Host): Promise<void> {
  const { tools, places } = deploying;
  await joinOrderer(tools, member, existsSync(places.joining) ? places.joining : places.genesis);
  await joinPeer(tools, places, member);
}

/**
 * Approves the contract as it is compiled in a package's folder: keeps a copy, tells the member's peer where the process of
 * it serves, and says so to the channel. Answers with the file of the process's unit. It may be said again. `sequence`: the
 * definition's number; if not said the agreed one for the agreed build, the next one for another.
 */
export async function approveContract(host: Host, chaincode: string, sequence?: number): Promise<string> {
  const { member, deploying } = host;
  const build = readBuild(chaincode);
  const agreed = await readDefinition(deploying.tools, member);
  const { folder, contract } = placeContract(host.folder, build.hash, agreed?.version);
  keepBuild(folder.places.builds, build);
  const unit = writeContract(folder, member, contract);
  saveFolder(folder);
  const chaincodePackage = newPackage(build.hash, contract.port, member.identities);
  await install(deploying, member, chaincodePackage);
  const definition = nextDefinition(agreed, build.hash, sequence);
  await approve(deploying, member, definition, chaincodePackage);
  return unit;
}

/**
 * Makes the build that this member approved last the channel's, when every member has approved the same, and waits until the
 * peers of all have endorsed a call of it. Answers with what then holds. `sequence` as in `approveContract`.
 */
export async function commitContract(
  { folder, member, deploying }: Host,
  sequence?: number,
): Promise<Definition> {
  const { tools, members } = deploying;
  const last = folder.contracts.at(-1);
  if (!last) throw new Error(`${folder.own.mspId} has approved no contract: hosts approve`);
  const agreed = await readDefinition(tools, member);
  const definition = nextDefinition(agreed, last.build, sequence);
  if (!isDeepStrictEqual(agreed, definition)) await commit(deploying, definition);
  await allEndorseThrough(member, members, tools.channel);
  return definition;
}

function nextDefinition(
  agreed: Definition | undefined,
  version: string,
  sequence = (agreed?.sequence ?? 0) + (agreed?.version === version ? 0 : 1),
): Definition {
  return { version, sequence };
}

/** A node as its operations endpoint shows it. */
export interface NodeStatus {
  readonly name: string;
  /** What its health check says; "no answer" when it says nothing. */
  readonly health: string;
  readonly blocks?: number | undefined;
  /** Whether it is the orderer that the others follow. */
  readonly isLeader: boolean;
}

/** The nodes of a member's host, as they are now. */
export async function readHostStatus({ folder, member }: Host): Promise<NodeStatus[]> {
  const { own } = folder;
  const node = async (name: string, port: number): Promise<NodeStatus> => {
    const { health, metrics } = await askNode(member, port);
    return {
      name,
      health,
      blocks: metricIn(metrics, 'ledger_blockchain_height'),
      isLeader: isLeading(metrics),
    };
  };
  return Promise.all([
    node(ordererNode(own), own.orderer.operations),
    node(peerNode(own), own.peer.operations),
  ]);
}

async function askNode({ identities }: Member, port: number): Promise<{ health: string; metrics: string }> {
  try {
    const { status, body } = await askOperations(identities, port, '/healthz');
    const { body: metrics } = await askOperations(identities, port, '/metrics');
    return { health: status === 200 ? 'well' : body, metrics };
  } catch {
    return { health: 'no answer', metrics: '' };
  }
}

/** Finds a port for a build beside the agreed one, and forgets all others. */
function placeContract(
  folder: HostFolder,
  build: string,
  agreed: string | undefined,
): { folder: HostFolder; contract: HostContract } {
  const { own, contracts, places } = folder;
  const others = contracts.filter((one) => one.build !== build && one.build === agreed);
  const found = contracts.find((one) => one.build === build);
  const free = [own.contract, own.contract + 1].find((port) => others.every((one) => one.port !== port));
  const contract = found ?? { build, port: free ?? own.contract };
  const kept = [...others, contract];
  for (const one of contracts.filter((old) => !kept.includes(old))) {
    forgetContract(folder, one);
    rmSync(keptBuild(places.builds, one.build), { recursive: true, force: true });
  }
  return { folder: { ...folder, contracts: kept }, contract };
}
