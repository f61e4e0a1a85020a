import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Organisation } from '../organisations.ts';
import { choosePorts, HOST } from './ports.ts';

export const CHANNEL = 'yaoji';
export const CHAINCODE = 'trace';

/** How the orderers agree: bft bears liars among them, raft only crashes. */
export const ORDERINGS = ['bft', 'raft'] as const;
export type Ordering = (typeof ORDERINGS)[number];

/** What one member runs, and where. */
export interface MemberLayout extends Organisation {
  /** What its nodes are called by: "hospital" of HospitalMSP. */
  readonly name: string;
  /** Where it has a host of its own; without one, its nodes are on this machine and reached by nobody else. */
  readonly host?: Host;
  readonly orderer: OrdererPorts;
  readonly peer: PeerPorts;
}

/** A member's host. */
export interface Host {
  /** The name or address that the others reach it by. */
  readonly name: string;
  /** The address its nodes listen at. */
  readonly listen: string;
}

/** The name or address that a member's nodes are reached by. */
export const hostOf = ({ host }: MemberLayout): string => host?.name ?? HOST;

/** Where clients reach a member's gateway. On this machine by name: TLS names a host, and an address is none. */
export const gatewayOf = ({ host, peer }: MemberLayout): string =>
  `${host?.name ?? 'localhost'}:${peer.listen}`;

export interface OrdererPorts {
  readonly listen: number;
  readonly operations: number;
  readonly admin: number;
}
export interface PeerPorts {
  readonly listen: number;
  /** Where the peer would take chaincodes that call it; ours are called. */
  readonly chaincode: number;
  readonly operations: number;
}

/** One build of the contract: where each member's process of it serves. */
export interface BuildLayout {
  /** The build's hash, see build.ts. */
  readonly hash: string;
  /** By MSP id. */
  readonly ports: Readonly<Record<string, number>>;
}

/** What a network's folder was made for. Ports are chosen once, so that a restart uses the same. */
export interface NetworkLayout {
  readonly version: 1;
  readonly ordering: Ordering;
  readonly members: readonly MemberLayout[];
  /** One that is being taken in: where its nodes are to be, whenever that is finished. */
  readonly joining?: MemberLayout;
  /** One that is being taken out, whenever that is finished. */
  readonly leaving?: MemberLayout;
  /** Those that may be running: the deployed one, and another while the contract is being replaced. */
  readonly builds: readonly BuildLayout[];
}

/** The places in a network's folder. */
export interface Places {
  readonly folder: string;
  readonly layout: string;
  readonly profile: string;
  readonly config: string;
  readonly genesis: string;
  /** The configuration that a later member's orderer joins from. */
  readonly joining: string;
  readonly channel: string;
  readonly builder: string;
  readonly builds: string;
  readonly packages: string;
  readonly control: string;
  readonly run: string;
  member(mspId: string): string;
  data(node: string): string;
  log(node: string): string;
}

/** Where things are in a network's folder, which must be an absolute path: Fabric wants absolute paths. */
export function placesIn(folder: string): Places {
  return {
    folder,
    layout: join(folder, 'fabric.json'),
    profile: join(folder, 'network.json'),
    config: join(folder, 'config'),
    genesis: join(folder, 'channel', 'genesis.block'),
    joining: join(folder, 'channel', 'joining.block'),
    channel: join(folder, 'channel'),
    builder: join(folder, 'ccaas'),
    builds: join(folder, 'chaincode'),
    packages: join(folder, 'packages'),
    control: join(folder, 'control.sock'),
    run: join(folder, 'run'),
    member: (mspId) => join(folder, 'organisations', mspId),
    data: (node) => join(folder, 'data', node),
    log: (node) => join(folder, 'log', `${node}.log`),
  };
}

export const ordererNode = ({ name }: MemberLayout): string => `orderer-${name}`;
export const peerNode = ({ name }: MemberLayout): string => `peer-${name}`;
export const chaincodeNode = ({ name }: MemberLayout, build: string): string =>
  `chaincode-${name}-${build.slice(0, 8)}`;

/** Fabric's MAJORITY of so many organisations. */
export function majorityOf(organisations: number): number {
  return Math.floor(organisations / 2) + 1;
}

/** A layout for a new network. Throws a sentence when two organisations cannot be told apart. */
export async function newLayout(
  organisations: readonly Organisation[],
  ordering: Ordering,
): Promise<NetworkLayout> {
  checkNames(organisations);
  const ports = await choosePorts(6 * organisations.length);
  const members = organisations.map((one, i) => placed(one, ports.slice(6 * i, 6 * i + 6)));
  return { version: 1, ordering, members, builds: [] };
}

/** A member for a network that runs already. */
export async function newMember(
  { members }: NetworkLayout,
  organisation: Organisation,
): Promise<MemberLayout> {
  checkNames([...members, organisation]);
  return placed(organisation, await choosePorts(6));
}

/** The layout that a folder was made for; undefined in a new one. Throws when it is of another version. */
export function readLayout(places: Places): NetworkLayout | undefined {
  if (!existsSync(places.layout)) return undefined;
  const layout = JSON.parse(readFileSync(places.layout, 'utf8')) as NetworkLayout;
  if (layout.version !== 1) throw new Error(`${places.layout} was written by another version of Yaoji`);
  return layout;
}

/** Writes a layout for `readLayout`, whole or not at all. */
export function writeLayout(places: Places, layout: NetworkLayout): void {
  mkdirSync(places.folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${places.layout}.new`, `${JSON.stringify(layout, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${places.layout}.new`, places.layout);
}

function placed({ mspId, kind }: Organisation, ports: readonly number[]): MemberLayout {
  const [listen = 0, operations = 0, admin = 0, ...rest] = ports;
  const [peerListen = 0, chaincode = 0, peerOperations = 0] = rest;
  return {
    mspId,
    kind,
    name: nameOf(mspId),
    orderer: { listen, operations, admin },
    peer: { listen: peerListen, chaincode, operations: peerOperations },
  };
}

/** What a member's nodes are called by. */
export function nameOf(mspId: string): string {
  return mspId.replace(/MSP$/, '').toLowerCase();
}

/** Throws a sentence when two organisations cannot be told apart. */
export function checkNames(organisations: readonly Organisation[]): void {
  const names = organisations.flatMap(({ mspId }) => [nameOf(mspId), `orderer${nameOf(mspId)}`]);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new Error(`two organisations would both be called ${twice}`);
}
