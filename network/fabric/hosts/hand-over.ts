import { X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { object, text } from '../../fields.ts';
import { checkExpiry } from '../../identities/expiry.ts';
import { ordererMspOf } from '../../identities/member.ts';
import type { Places } from '../layout.ts';
import type { PublicMember } from '../members.ts';
import { writePublicMsp } from '../msp.ts';
import type { HostMember } from './consortium.ts';

// What a member tells the others: a file without any key. They are called as the member's own files are (openMember).
const CERTIFICATES = ['ca', 'orderer-ca', 'tls-ca', 'orderer', 'orderer-tls'] as const;
type CertificateName = (typeof CERTIFICATES)[number];

/** What a member hands over to the others. */
export interface HandOver {
  readonly member: HostMember;
  /** PEM, each. */
  readonly certificates: Readonly<Record<CertificateName, string>>;
}

/** What a member hands over: its place in the description, and the public certificates in its folder. */
export function newHandOver(places: Places, member: HostMember): HandOver {
  const read = (name: CertificateName): string =>
    canonical(readFileSync(join(places.member(member.mspId), `${name}.pem`), 'utf8'));
  const certificates = Object.fromEntries(CERTIFICATES.map((name) => [name, read(name)]));
  return { member, certificates: certificates as HandOver['certificates'] };
}

/** A hand-over as the text of a file. */
export function printHandOver({ member, certificates }: HandOver): string {
  return `${JSON.stringify({ version: 1, member, certificates }, undefined, 2)}\n`;
}

/**
 * Reads a hand-over that somebody has sent. Throws a sentence when it is not what that member can have meant: it differs from
 * the description, holds more than certificates, or they do not belong together or are about to expire.
 */
export function parseHandOver(file: string, members: readonly HostMember[]): HandOver {
  const fields = object(JSON.parse(file), 'the hand-over', ['version', 'member', 'certificates']);
  if (fields['version'] !== 1) throw new Error('the hand-over was written by another version of Yaoji');
  const { mspId } = fields['member'] as { mspId?: unknown };
  const member = members.find((one) => one.mspId === mspId);
  if (!member) throw new Error(`the description has no ${String(mspId)}`);
  if (!isDeepStrictEqual(fields['member'], member)) {
    throw new Error(
      `${member.mspId} says of itself what the description does not: ask for the same description`,
    );
  }
  const given = object(fields['certificates'], `certificates of ${member.mspId}`, [...CERTIFICATES]);
  const certificates = Object.fromEntries(CERTIFICATES.map((name) => [name, canonical(text(given, name))]));
  const handOver = { member, certificates: certificates as HandOver['certificates'] };
  checkCertificates(handOver);
  return handOver;
}

/** Writes what everybody may know of a member into a folder, as Fabric reads it. */
export function writePublicMember(places: Places, { member, certificates }: HandOver): PublicMember {
  const folder = places.member(member.mspId);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of CERTIFICATES) writeFileSync(join(folder, `${name}.pem`), certificates[name]);
  return openPublicMember(places, member);
}

/** What everybody may know of a member, from a folder that it was written into. */
export function openPublicMember(places: Places, member: HostMember): PublicMember {
  const folder = places.member(member.mspId);
  const at = (name: CertificateName) => ({ certificate: join(folder, `${name}.pem`) });
  const identities = {
    mspId: member.mspId,
    ordererMspId: ordererMspOf(member.mspId),
    ca: at('ca'),
    ordererCa: at('orderer-ca'),
    tlsCa: at('tls-ca'),
    orderer: at('orderer'),
    ordererTls: at('orderer-tls'),
  };
  return { layout: member, identities, msp: writePublicMsp(folder, identities) };
}

function checkCertificates({ member: { mspId, host }, certificates }: HandOver): void {
  const refuse = (why: string): never => {
    throw new Error(`the hand-over of ${mspId} cannot be used: ${why}`);
  };
  const parsed = Object.fromEntries(
    CERTIFICATES.map((name) => [name, new X509Certificate(certificates[name])]),
  ) as Record<CertificateName, X509Certificate>;
  for (const name of ['ca', 'orderer-ca', 'tls-ca'] as const) {
    const ca = parsed[name];
    if (!ca.ca || !ca.verify(ca.publicKey)) refuse(`${name} is no root CA`);
  }
  const isBeneath = (name: CertificateName, issuer: CertificateName): boolean =>
    !parsed[name].ca &&
    parsed[name].checkIssued(parsed[issuer]) &&
    parsed[name].verify(parsed[issuer].publicKey);
  if (!isBeneath('orderer', 'orderer-ca')) refuse("its orderer's certificate is not from its orderers' CA");
  if (!isBeneath('orderer-tls', 'tls-ca')) refuse("its orderer's TLS certificate is not from its TLS CA");
  const tls = parsed['orderer-tls'];
  if (!(isIPv4(host.name) ? tls.checkIP(host.name) : tls.checkHost(host.name))) {
    refuse(`its orderer's TLS certificate is not for ${host.name}`);
  }
  const watched = CERTIFICATES.map((name) => ({
    name: `${name} of ${mspId}`,
    certificate: certificates[name],
  }));
  checkExpiry(watched, new Date());
}

// Nothing but the certificate itself: a PEM file may carry a key as well.
const canonical = (pem: string): string => new X509Certificate(pem).toString();
