import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

import type { NetworkProfile } from '../profile.ts';

const DAY_MS = 86_400_000;
/** Less than this left, and nothing is started with the certificate any more. */
const TOO_SHORT_MS = DAY_MS;
/** Less than this left, and whoever watches is told. */
const SHORT_MS = 30 * DAY_MS;

/** A certificate (PEM) and what people call it. */
export interface Watched {
  readonly name: string;
  readonly certificate: string;
}

/** The certificates that a client of a network works with, for `checkExpiry`. Throws when one cannot be read. */
export function certificatesIn({ organisations }: NetworkProfile): Watched[] {
  return organisations.flatMap(({ mspId, ca, identities, client }) => {
    const files = { ...identities, ...(client && { 'client TLS': client }) };
    return [
      { name: `CA of ${mspId}`, certificate: ca },
      ...Object.entries(files).map(([name, { certificate }]) => ({
        name: `${name} of ${mspId}`,
        certificate: readFileSync(certificate, 'utf8'),
      })),
    ];
  });
}

/** A certificate that has expired, or is about to. */
export class CertificateExpired extends Error {
  override readonly name = 'CertificateExpired';
}

/**
 * Throws a sentence that names each certificate which has expired or will within a day: Fabric would refuse the calls made
 * with it one by one, each with another error. Answers with a sentence for each that has less than 30 days left.
 */
export function checkExpiry(certificates: readonly Watched[], now: Date): string[] {
  const left = certificates.map(({ name, certificate }) => {
    const end = new Date(new X509Certificate(certificate).validTo);
    return { name, end, ms: end.getTime() - now.getTime() };
  });
  const dead = left.filter(({ ms }) => ms < TOO_SHORT_MS);
  if (dead.length > 0) {
    throw new CertificateExpired(`${dead.map((one) => say(one)).join('; ')}. Issue new certificates first.`);
  }
  return left.filter(({ ms }) => ms < SHORT_MS).map((one) => say(one));
}

function say({ name, end, ms }: { name: string; end: Date; ms: number }): string {
  const when = `${end.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
  return `the certificate ${name} ${ms < 0 ? 'expired' : 'expires'} at ${when}`;
}
