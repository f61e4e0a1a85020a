import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { certify, certifyTls } from '../../identities/certify.ts';
import { ensureIssued, readIssued } from '../../identities/files.ts';
import type { IdentityFiles } from '../../identities/signer.ts';
import { ADMIN } from '../../identities/subjects.ts';
import { contractServer } from '../../chaincode-server.ts';
import type { Binaries } from '../binaries.ts';
import { keptBuild } from '../build.ts';
import { chaincodeNode, peerNode } from '../layout.ts';
import { openMembers, type Member } from '../members.ts';
import { administrator, newOrderer, newPeer, prepareNodes } from '../nodes.ts';
import { newPackage } from '../package.ts';
import { HOST } from '../ports.ts';
import { filesIn, openNewFolder, type HostContract, type HostFolder } from './folder.ts';
import { newHandOver, printHandOver } from './hand-over.ts';
import { firewallOf, instructionsFor } from './instructions.ts';
import { environmentOf, unitName, unitOf, type Service } from './units.ts';

/** What prepares a member's host. */
export interface Preparing {
  readonly binaries: Binaries;
  /** How the commands are called that its instructions name. */
  readonly command: string;
  /** Told of certificates that have some weeks left. */
  readonly warn: (line: string) => void;
}

/**
 * Makes a member's folder on its host: its own CAs, certificates and keys, its nodes' settings and units, what to open and
 * do, and what it hands over to the others. In a folder that is there, what is missing is issued and all else written
 * again: a certificate is renewed by deleting it, for the same key where that stays.
 */
export async function prepareMember(
  preparing: Preparing,
  folder: string,
  description: string,
  mspId: string,
): Promise<HostFolder> {
  const host = openNewFolder(folder, description, mspId);
  const { places, own } = host;
  const { binaries, command, warn } = preparing;
  const member = await openOwnMember(host, warn);
  await issueAccess(member);
  prepareNodes(binaries, places);
  writeServices(binaries, host, member);
  for (const contract of host.contracts) writeContract(host, member, contract);
  const files = filesIn(folder);
  writeFileSync(files.handOver, printHandOver(newHandOver(places, own)));
  writeInstructions(host, command);
  return host;
}

/** Writes what to open on a member's host and what to do, for the members that there are. */
export function writeInstructions(host: HostFolder, command: string): void {
  const files = filesIn(host.places.folder);
  writeFileSync(files.firewall, firewallOf(host));
  writeFileSync(files.join, instructionsFor(host, command));
}

/** The member whose folder it is, with its keys. Throws as `openMembers` does. */
export async function openOwnMember(
  { places, own }: HostFolder,
  warn: (line: string) => void,
): Promise<Member> {
  const [member] = await openMembers(places, [own], warn);
  if (!member) throw new Error('one member was opened');
  return member;
}

/** Identities for whoever runs the API: none of them can change the channel, install a contract or call an admin endpoint. */
export interface AccessIdentities {
  readonly service: IdentityFiles;
  /** Registers stations and sites in the contract. */
  readonly registrar: IdentityFiles;
  /** Shown to the member's gateway in TLS. */
  readonly tls: IdentityFiles;
}

/** The identities that a member gives to whoever runs the API; issued now if they are missing. */
export async function issueAccess({ layout, identities }: Member): Promise<AccessIdentities> {
  const { ca, tlsCa, service } = identities;
  const folder = join(ca.certificate, '..');
  const { mspId } = layout;
  return {
    service,
    // The contract asks for the attribute; Fabric would let an OU of "admin" govern the channel.
    registrar: await ensureIssued(folder, 'registrar', (key) =>
      certify(readIssued(ca), { ...ADMIN, name: 'registrar', ou: 'client', key }),
    ),
    tls: await ensureIssued(folder, 'access-tls', (key) =>
      certifyTls(readIssued(tlsCa), { name: `access.${mspId}`, key }),
    ),
  };
}

function writeServices(binaries: Binaries, { places, own }: HostFolder, member: Member): void {
  const orderer = newOrderer(binaries, places, member);
  const peer = newPeer(binaries, places, member);
  const { environments } = filesIn(places.folder);
  mkdirSync(environments, { recursive: true, mode: 0o700 });
  for (const [node, description] of [
    [orderer, 'orderer'],
    [peer, 'peer'],
  ] as const) {
    const data = places.data(node.name);
    mkdirSync(data, { recursive: true, mode: 0o700 });
    const environment = join(environments, `${node.name}.env`);
    writeFileSync(environment, environmentOf(node.env));
    writeUnit(places.folder, node.name, {
      description: `Yaoji: ${description} of ${own.mspId}`,
      command: node.command,
      args: node.args,
      environment,
      data,
    });
  }
  // For an administrator's shell.
  writeFileSync(join(environments, 'admin.env'), environmentOf(administrator(places, member)));
}

/** Writes how the contract's process of a build is run, and answers with the file of its unit. */
export function writeContract({ places, own }: HostFolder, member: Member, contract: HostContract): string {
  const { build, port } = contract;
  const { chaincodeTls, tlsCa } = member.identities;
  const program = {
    folder: keptBuild(places.builds, build),
    id: newPackage(build, port, member.identities).id,
    mspId: own.mspId,
    tls: { ...chaincodeTls, clientCa: tlsCa.certificate },
  };
  const { args, env } = contractServer(program, `${HOST}:${port}`);
  const name = chaincodeNode(own, build);
  const environment = join(filesIn(places.folder).environments, `${name}.env`);
  writeFileSync(environment, environmentOf(env));
  return writeUnit(places.folder, name, {
    description: `Yaoji: contract of ${own.mspId}, build ${build.slice(0, 8)}`,
    command: process.execPath,
    args,
    environment,
    after: unitName(peerNode(own)),
    compiles: true,
  });
}

/** Deletes how the contract's process of a build was run. */
export function forgetContract({ places, own }: HostFolder, { build }: HostContract): void {
  const name = chaincodeNode(own, build);
  const { units, environments } = filesIn(places.folder);
  rmSync(join(environments, `${name}.env`), { force: true });
  rmSync(join(units, unitName(name)), { force: true });
}

function writeUnit(folder: string, name: string, service: Service): string {
  const { units } = filesIn(folder);
  mkdirSync(units, { recursive: true });
  const file = join(units, unitName(name));
  writeFileSync(file, unitOf(service));
  return file;
}
