import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { flags } from '../flags.ts';
import { CHAINCODE, hostOf, type BuildLayout, type NetworkLayout, type Places } from './layout.ts';
import type { Member, PublicMember } from './members.ts';
import { newPackage, type ChaincodePackage } from './package.ts';
import { ordererOptions, type Tools } from './tools.ts';
import { insist } from './wait.ts';

const LIMIT_MS = 60_000;

/** The contract as the channel has agreed upon it. */
export interface Definition {
  /** The build's hash. */
  readonly version: string;
  readonly sequence: number;
}

/** A network whose channel is to agree upon a contract. */
export interface Deploying {
  readonly tools: Tools;
  readonly places: Places;
  readonly layout: NetworkLayout;
  readonly members: readonly PublicMember[];
  /** Those of the members whose administrator is asking. */
  readonly own: readonly Member[];
}

/** Each organisation's package of a build, by MSP id. */
export function packagesOf(members: readonly Member[], build: BuildLayout): Map<string, ChaincodePackage> {
  return new Map(
    members.map(({ layout: { mspId }, identities }) => {
      const port = build.ports[mspId];
      if (port === undefined) throw new Error(`build ${build.hash} has no place at ${mspId}`);
      return [mspId, newPackage(build.hash, port, identities)];
    }),
  );
}

/** What the channel has agreed upon, as a member's peer knows it; undefined before the first deployment. */
export async function readDefinition(tools: Tools, member: Member): Promise<Definition | undefined> {
  const list = ['lifecycle', 'chaincode', 'querycommitted', '-C', tools.channel, '-O', 'json'];
  const text = await tools.peer(member, ...list);
  const { chaincode_definitions: definitions = [] } = JSON.parse(text) as {
    chaincode_definitions?: { name: string; version: string; sequence: number }[];
  };
  const found = definitions.find(({ name }) => name === CHAINCODE);
  return found && { version: found.version, sequence: found.sequence };
}

/** Gives a member's peer the package, unless it has it. */
export async function install(
  { tools, places }: Deploying,
  member: Member,
  { id, bytes }: ChaincodePackage,
): Promise<void> {
  const text = await tools.peer(member, 'lifecycle', 'chaincode', 'queryinstalled', '-O', 'json');
  const { installed_chaincodes: installed = [] } = JSON.parse(text) as {
    installed_chaincodes?: { package_id: string }[];
  };
  if (installed.some(({ package_id }) => package_id === id)) return;
  mkdirSync(places.packages, { recursive: true, mode: 0o700 });
  const path = join(places.packages, `${member.layout.mspId}.tgz`);
  // It carries the key by which the peer calls the contract's process.
  writeFileSync(path, bytes, { mode: 0o600 });
  await tools.peer(member, 'lifecycle', 'chaincode', 'install', path);
}

/** A member agrees to a definition, and says which package is its own. It may be said again. */
export async function approve(
  { tools, layout, members }: Deploying,
  member: Member,
  definition: Definition,
  { id }: ChaincodePackage,
): Promise<void> {
  const lifecycle = ['lifecycle', 'chaincode', 'approveformyorg', ...ordererOptions(layout, members, member)];
  try {
    await tools.peer(member, ...lifecycle, ...parameters(tools, definition), '--package-id', id);
  } catch (error) {
    // It was said before, by a deployment that did not come to its end.
    if (!(error instanceof Error && error.message.includes('with unchanged content'))) throw error;
  }
}

/**
 * Makes a definition hold that every member has approved, and waits until the peers of who asks know it. Throws, naming
 * them, when some have approved another.
 */
export async function commit(deploying: Deploying, definition: Definition): Promise<void> {
  const { tools, layout, members, own } = deploying;
  const [first] = own;
  if (!first) throw new Error('the network has no members');
  await insist('all members have approved the contract', LIMIT_MS, () =>
    checkApproved(tools, first, definition),
  );
  const everyPeer = members.flatMap(({ layout: at, identities: { tlsCa } }) =>
    flags({ '--peerAddresses': `${hostOf(at)}:${at.peer.listen}`, '--tlsRootCertFiles': tlsCa.certificate }),
  );
  const lifecycle = ['lifecycle', 'chaincode', 'commit', ...ordererOptions(layout, members, first)];
  await insist(
    'the contract is committed',
    LIMIT_MS,
    () => tools.peer(first, ...lifecycle, ...parameters(tools, definition), ...everyPeer),
    // Peers that lag one another answer differently for a moment.
    500,
  );
  await Promise.all(
    own.map((member) =>
      insist(`${member.layout.mspId} knows the contract`, LIMIT_MS, async () => {
        const known = await readDefinition(tools, member);
        if (known?.sequence !== definition.sequence) throw new Error(`it knows ${known?.sequence ?? 'none'}`);
      }),
    ),
  );
}

async function checkApproved(tools: Tools, member: Member, definition: Definition): Promise<void> {
  const query = [
    'lifecycle',
    'chaincode',
    'checkcommitreadiness',
    ...parameters(tools, definition),
    '-O',
    'json',
  ];
  const { approvals } = JSON.parse(await tools.peer(member, ...query)) as {
    approvals: Record<string, boolean>;
  };
  const others = Object.entries(approvals).flatMap(([mspId, isSame]) => (isSame ? [] : [mspId]));
  if (others.length > 0) {
    throw new Error(`${others.join(', ')} ${others.length > 1 ? 'have' : 'has'} not approved this build`);
  }
}

function parameters({ channel }: Tools, { version, sequence }: Definition): string[] {
  return flags({ '-C': channel, '-n': CHAINCODE, '-v': version, '--sequence': String(sequence) });
}
