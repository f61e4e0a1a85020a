import { isIPv4 } from 'node:net';

import { object, text } from '../../fields.ts';
import { MEMBER_KINDS } from '../../profile.ts';
import {
  CHANNEL,
  checkNames,
  nameOf,
  ORDERINGS,
  type Host,
  type MemberLayout,
  type NetworkLayout,
  type Ordering,
} from '../layout.ts';

/** What the members have agreed upon before anything runs: who they are and where. */
export interface Consortium {
  readonly channel: string;
  readonly ordering: Ordering;
  readonly members: readonly HostMember[];
}

/** A member with a host of its own. */
export interface HostMember extends MemberLayout {
  readonly host: Host;
  /** Where the contract's process serves; the next port too, while one build replaces another. */
  readonly contract: number;
}

const PORTS = {
  orderer: 7050,
  ordererAdmin: 7053,
  ordererOperations: 8443,
  peer: 7051,
  peerChaincode: 7052,
  peerOperations: 9443,
  contract: 9051,
};
type PortName = keyof typeof PORTS;

/** Reads the description of a consortium, JSON text. Throws a sentence naming what is wrong with it. */
export function parseConsortium(description: string): Consortium {
  const fields = object(
    JSON.parse(description),
    'the description',
    ['organisations'],
    ['channel', 'ordering'],
  );
  const channel = fields['channel'] === undefined ? CHANNEL : text(fields, 'channel');
  // Fabric's own rule for the names of channels.
  if (!/^[a-z][a-z0-9.-]{0,248}$/.test(channel)) throw new Error(`"${channel}" is no name for a channel`);
  const ordering = ORDERINGS.find((known) => known === (fields['ordering'] ?? 'bft'));
  if (!ordering) throw new Error(`ordering must be one of ${ORDERINGS.join(', ')}`);
  const { organisations } = fields;
  if (!Array.isArray(organisations) || organisations.length === 0) {
    throw new Error('organisations must be a list');
  }
  const members = organisations.map(parseMember);
  checkNames(members);
  return { channel, ordering, members };
}

/** The member of that name. Throws when there is none. */
export function memberOf({ members }: Consortium, mspId: string): HostMember {
  const found = members.find((member) => member.mspId === mspId);
  if (!found) {
    throw new Error(`the description has no ${mspId}, only ${members.map((one) => one.mspId).join(', ')}`);
  }
  return found;
}

/** A consortium as the parts of a network on one machine know it. */
export function layoutOf({ ordering, members }: Consortium): NetworkLayout {
  return { version: 1, ordering, members, builds: [] };
}

function parseMember(value: unknown): HostMember {
  const fields = object(value, 'organisation', ['mspId', 'kind', 'host'], ['listen', 'ports']);
  const mspId = text(fields, 'mspId');
  // The name becomes a folder's name, and part of a unit's.
  if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(mspId)) throw new Error(`"${mspId}" is no name for an organisation`);
  const kind = MEMBER_KINDS.find((known) => known === fields['kind']);
  if (!kind) throw new Error(`kind must be one of ${MEMBER_KINDS.join(', ')}`);
  const name = text(fields, 'host');
  const listen = fields['listen'] === undefined ? defaultListen(name) : text(fields, 'listen');
  if (!/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(name) || !isIPv4(listen)) {
    throw new Error(`${mspId}: host must be a name or an IPv4 address, and listen an IPv4 address`);
  }
  if ([name, listen].some(isLoopback)) {
    throw new Error(`${mspId}: nobody else can reach ${name}, or what listens at ${listen}`);
  }
  const ports = parsePorts(fields['ports'] ?? {}, mspId);
  return {
    mspId,
    kind,
    name: nameOf(mspId),
    host: { name, listen },
    orderer: { listen: ports.orderer, admin: ports.ordererAdmin, operations: ports.ordererOperations },
    peer: { listen: ports.peer, chaincode: ports.peerChaincode, operations: ports.peerOperations },
    contract: ports.contract,
  };
}

// A host's own name often means 127.0.1.1 on that host itself; so a name alone does not say where to listen.
const defaultListen = (host: string): string => (isIPv4(host) ? host : '0.0.0.0');

const isLoopback = (address: string): boolean => address === 'localhost' || address.startsWith('127.');

function parsePorts(value: unknown, mspId: string): Record<PortName, number> {
  const given = object(value, `ports of ${mspId}`, [], Object.keys(PORTS));
  const ports: Record<PortName, number> = { ...PORTS, ...given };
  const all = [...Object.values(ports), ports.contract + 1];
  if (!all.every((port) => Number.isInteger(port) && port > 0 && port < 65_536)) {
    throw new Error(`ports of ${mspId} must be numbers of ports`);
  }
  if (new Set(all).size < all.length) {
    throw new Error(
      `ports of ${mspId} are not all different; the contract takes two, ${ports.contract} and the next`,
    );
  }
  return ports;
}
