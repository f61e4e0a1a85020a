import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { placesIn, type Places } from '../layout.ts';
import { memberOf, parseConsortium, type Consortium, type HostMember } from './consortium.ts';

// A member's folder on its own host is like the folder of a network on one machine (Places), but of the other members it has
// public certificates only.

/** A process of the contract: the build it runs, and the port of this host that it serves at. */
export interface HostContract {
  readonly build: string;
  readonly port: number;
}

/** A member's folder: what everybody has agreed upon, which of the members it belongs to, and what that one runs. */
export interface HostFolder {
  readonly places: Places;
  /** The text of the description. */
  readonly description: string;
  readonly consortium: Consortium;
  readonly own: HostMember;
  readonly contracts: readonly HostContract[];
}

interface Kept {
  readonly version: 1;
  readonly own: string;
  readonly description: string;
  readonly contracts: readonly HostContract[];
}

const kept = (folder: string): string => join(folder, 'host.json');

/** Where the files are that a member's host is set up from. */
export const filesIn = (folder: string) => ({
  handOver: join(folder, 'hand-over.json'),
  firewall: join(folder, 'FIREWALL.md'),
  join: join(folder, 'JOIN.md'),
  units: join(folder, 'units'),
  environments: join(folder, 'env'),
});

/** Opens a member's folder, by its absolute path. Throws when there is none. */
export function openFolder(folder: string): HostFolder {
  const found = findFolder(folder);
  if (!found) throw new Error(`${folder} is no member's folder: hosts init makes one`);
  return found;
}

/** A new member's folder, or the one that is there. Throws when it belongs to another member or another consortium. */
export function openNewFolder(folder: string, description: string, mspId: string): HostFolder {
  const consortium = parseConsortium(description);
  const own = memberOf(consortium, mspId);
  const found = findFolder(folder);
  if (found && (found.own.mspId !== mspId || found.description !== description)) {
    throw new Error(`${folder} is of ${found.own.mspId}, with a description of its own: take another folder`);
  }
  if (!found && existsSync(placesIn(folder).layout))
    throw new Error(`${folder} holds a network on one machine`);
  return found ?? saveFolder({ places: placesIn(folder), description, consortium, own, contracts: [] });
}

/** Writes what is to be kept of a folder, whole or not at all. */
export function saveFolder(folder: HostFolder): HostFolder {
  const { places, own, description, contracts } = folder;
  const content: Kept = { version: 1, own: own.mspId, description, contracts };
  const path = kept(places.folder);
  mkdirSync(places.folder, { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.new`, `${JSON.stringify(content, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return folder;
}

function findFolder(folder: string): HostFolder | undefined {
  const path = kept(folder);
  if (!existsSync(path)) return undefined;
  const { version, own, description, contracts } = JSON.parse(readFileSync(path, 'utf8')) as Kept;
  if (version !== 1) throw new Error(`${path} was written by another version of Yaoji`);
  const consortium = parseConsortium(description);
  return { places: placesIn(folder), description, consortium, own: memberOf(consortium, own), contracts };
}
