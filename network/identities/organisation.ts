import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { certify, newDevelopmentCa, type Issued, type Subject } from './certify.ts';
import { readSigner, type IdentityFiles, type Signer } from './signer.ts';

/** One organisation of a development network, with every key it has. */
export interface OrganisationIdentities {
  readonly mspId: string;
  /** The CA's certificate, PEM. */
  readonly ca: string;
  readonly peer: Signer;
  readonly orderer: Signer;
  /** Who may write: the API's own identity, and the one that enrols and revokes stations. */
  readonly clients: { readonly service: IdentityFiles; readonly admin: IdentityFiles };
}

const PEER: Subject = { name: 'peer', ou: 'peer' };
const ORDERER: Subject = { name: 'orderer', ou: 'orderer' };
const SERVICE: Subject = { name: 'service', ou: 'client', attributes: { role: 'service' } };
const ADMIN: Subject = { name: 'admin', ou: 'admin', attributes: { role: 'admin' } };

/**
 * Opens the organisation whose certificates and keys lie in a folder, and issues those that are missing. Keys are
 * readable by their owner only. The same folder always gives the same organisation.
 */
export async function openOrganisation(folder: string, mspId: string): Promise<OrganisationIdentities> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const ca = read(await ensure(folder, 'ca', () => newDevelopmentCa(mspId)));
  const issue = (subject: Subject) => ensure(folder, subject.name, () => certify(ca, subject));
  return {
    mspId,
    ca: ca.certificate,
    peer: readSigner(mspId, await issue(PEER)),
    orderer: readSigner(mspId, await issue(ORDERER)),
    clients: { service: await issue(SERVICE), admin: await issue(ADMIN) },
  };
}

/** Where an organisation's CA lies in its folder. */
export function caFiles(folder: string): IdentityFiles {
  return filesOf(folder, 'ca');
}

async function ensure(folder: string, name: string, make: () => Promise<Issued>): Promise<IdentityFiles> {
  const files = filesOf(folder, name);
  if (!existsSync(files.certificate)) write(files, await make());
  return files;
}

function filesOf(folder: string, name: string): IdentityFiles {
  return { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}

function read(files: IdentityFiles): Issued {
  return { certificate: readFileSync(files.certificate, 'utf8'), key: readFileSync(files.key, 'utf8') };
}

// The certificate appears last and at once: where it is, the key is too, however the process ended.
function write(files: IdentityFiles, issued: Issued): void {
  writeFileSync(files.key, issued.key, { mode: 0o600 });
  writeFileSync(`${files.certificate}.new`, issued.certificate);
  renameSync(`${files.certificate}.new`, files.certificate);
}
