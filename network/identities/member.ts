import { readFileSync } from 'node:fs';

import { certify, certifyTls, newCa, type Subject } from './certify.ts';
import type { Watched } from './expiry.ts';
import { ensureIssued, readIssued } from './files.ts';
import type { CertificateFile, IdentityFiles } from './signer.ts';
import { ADMIN, ORDERER, PEER, SERVICE } from './subjects.ts';

/** What everybody may know of a member's identities. */
export interface PublicIdentities {
  readonly mspId: string;
  /** The organisation that the member's orderer belongs to: it has a CA of its own. */
  readonly ordererMspId: string;
  readonly ca: CertificateFile;
  readonly ordererCa: CertificateFile;
  readonly tlsCa: CertificateFile;
  /** Those that orderers know one another by. */
  readonly orderer: CertificateFile;
  readonly ordererTls: CertificateFile;
}

/** One member of a real network: certificates and keys of all that it runs, and of who acts for it. */
export interface MemberIdentities extends PublicIdentities {
  readonly ca: IdentityFiles;
  readonly ordererCa: IdentityFiles;
  /** What TLS certificates are issued by; nothing is signed beneath it that counts on the ledger. */
  readonly tlsCa: IdentityFiles;
  readonly peer: IdentityFiles;
  readonly service: IdentityFiles;
  readonly admin: IdentityFiles;
  readonly orderer: IdentityFiles;
  readonly ordererAdmin: IdentityFiles;
  readonly peerTls: IdentityFiles;
  readonly ordererTls: IdentityFiles;
  readonly chaincodeTls: IdentityFiles;
  /** For whoever calls the member's nodes: its API, its peer's calls to the chaincode, its administrator. */
  readonly clientTls: IdentityFiles;
}

/** The name of the organisation that a member's orderer belongs to. */
export function ordererMspOf(mspId: string): string {
  return `Orderer${mspId}`;
}

/**
 * Opens the member whose certificates and keys lie in a folder, and issues those that are missing. The same folder always
 * gives the same member. `hosts`: the names and addresses that its nodes are called by.
 */
export async function openMember(
  folder: string,
  mspId: string,
  hosts: readonly string[],
): Promise<MemberIdentities> {
  const ordererMspId = ordererMspOf(mspId);
  const ca = await ensureIssued(folder, 'ca', () => newCa('ca', mspId));
  const ordererCa = await ensureIssued(folder, 'orderer-ca', () => newCa('ca', ordererMspId));
  const tlsCa = await ensureIssued(folder, 'tls-ca', () => newCa('tls-ca', mspId));
  const issue = (issuer: IdentityFiles, file: string, subject: Subject) =>
    ensureIssued(folder, file, (key) => certify(readIssued(issuer), { ...subject, key }));
  const issueTls = (name: string, served: readonly string[]) =>
    ensureIssued(folder, `${name}-tls`, (key) =>
      certifyTls(readIssued(tlsCa), { name: `${name}.${mspId}`, hosts: served, key }),
    );
  return {
    mspId,
    ordererMspId,
    ca,
    ordererCa,
    tlsCa,
    peer: await issue(ca, 'peer', PEER),
    service: await issue(ca, 'service', SERVICE),
    admin: await issue(ca, 'admin', ADMIN),
    orderer: await issue(ordererCa, 'orderer', ORDERER),
    ordererAdmin: await issue(ordererCa, 'orderer-admin', ADMIN),
    peerTls: await issueTls('peer', hosts),
    ordererTls: await issueTls('orderer', hosts),
    chaincodeTls: await issueTls('chaincode', hosts),
    clientTls: await issueTls('client', []),
  };
}

/** Every certificate of a member, by a name for people. */
export function certificatesOf(member: MemberIdentities): Watched[] {
  const { mspId, ordererMspId, ...files } = member;
  return Object.entries(files).map(([name, { certificate }]) => ({
    name: `${wordsOf(name)} of ${name.startsWith('orderer') ? ordererMspId : mspId}`,
    certificate: readFileSync(certificate, 'utf8'),
  }));
}

/** `ordererTls` as people say it: "orderer TLS". */
function wordsOf(name: string): string {
  return name
    .replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace(/\b(tls|ca)\b/g, (word) => word.toUpperCase());
}
