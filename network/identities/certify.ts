// @peculiar/x509 registers its parsers through decorators and needs the polyfill before it is loaded.
// oxlint-disable-next-line import/no-unassigned-import -- a polyfill has nothing to assign
import 'reflect-metadata';

import { createPublicKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';

import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** What Fabric's NodeOUs can tell apart by a certificate's OU. */
export const NODE_OUS = ['client', 'admin', 'peer', 'orderer'] as const;
export type NodeOu = (typeof NODE_OUS)[number];

/** A certificate and its private key (PKCS #8), both PEM. */
export interface Issued {
  readonly certificate: string;
  readonly key: string;
}

export interface Subject {
  readonly name: string;
  readonly ou: NodeOu;
  /** What the contract may ask of the identity: `ctx.clientIdentity.getAttributeValue(name)`. */
  readonly attributes?: Readonly<Record<string, string>>;
  /** Its private key, where it goes on with one that it has: PKCS #8, PEM. */
  readonly key?: string | undefined;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;
const LIFETIME_MS = 3650 * DAY_MS;
// fabric-ca's attribute extension, read by the shim's ClientIdentity: {"attrs":{…}}.
const ATTRIBUTES_OID = '1.2.3.4.5.6.7.8.1';

/** A TLS certificate's subject. */
export interface TlsSubject {
  readonly name: string;
  /** Names and addresses that a server is called by; none for a client. */
  readonly hosts?: readonly string[];
  /** As in a Subject. */
  readonly key?: string | undefined;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

/**
 * A new self-signed CA of an organisation. Its subject says DEVELOPMENT, so that whoever verifies something signed
 * beneath it can see that no real organisation stands behind it.
 */
export async function newDevelopmentCa(mspId: string): Promise<Issued> {
  return selfSigned(`CN=ca.${mspId}, OU=DEVELOPMENT, O=${mspId}`);
}

/** A new self-signed CA of an organisation of a real network. `name` tells its CAs apart: "ca", "tls-ca". */
export async function newCa(name: string, mspId: string): Promise<Issued> {
  return selfSigned(`CN=${name}.${mspId}, O=${mspId}`);
}

/** A certificate for a subject, issued by a CA, and a new key unless it has one. Valid from yesterday for ten years unless told. */
export async function certify(ca: Issued, subject: Subject): Promise<Issued> {
  return issue(ca, `CN=${subject.name}, OU=${subject.ou}`, subject, attributeExtensions(subject));
}

/** A certificate for either end of a TLS connection, and a new key unless it has one. Valid as long as `certify` says. */
export async function certifyTls(ca: Issued, subject: TlsSubject): Promise<Issued> {
  return issue(ca, `CN=${subject.name}`, subject, [
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    ...hostExtensions(subject),
  ]);
}

async function selfSigned(name: string): Promise<Issued> {
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name,
    keys,
    signingAlgorithm: ECDSA_P256,
    notBefore: dayAgo(),
    notAfter: inAges(),
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pemOf(certificate), key: pemOfKey(keys.privateKey) };
}

async function issue(
  ca: Issued,
  subject: string,
  { key, notBefore, notAfter }: Pick<Subject, 'key' | 'notBefore' | 'notAfter'>,
  extensions: readonly Extension[],
): Promise<Issued> {
  const issuer = new X509Certificate(ca.certificate);
  const keys = key === undefined ? await newKeys() : await keysOf(key);
  const certificate = await X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject,
    issuer: issuer.subject,
    notBefore: notBefore ?? dayAgo(),
    notAfter: notAfter ?? inAges(),
    publicKey: keys.publicKey,
    signingKey: await importKey(ca.key),
    signingAlgorithm: ECDSA_P256,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      await AuthorityKeyIdentifierExtension.create(issuer),
      ...extensions,
    ],
  });
  return { certificate: pemOf(certificate), key: pemOfKey(keys.privateKey) };
}

function hostExtensions({ hosts = [] }: TlsSubject): Extension[] {
  if (hosts.length === 0) return [];
  return [
    new SubjectAlternativeNameExtension(
      hosts.map((value) => ({ type: isIP(value) > 0 ? ('ip' as const) : ('dns' as const), value })),
    ),
  ];
}

function attributeExtensions({ attributes }: Subject): Extension[] {
  if (!attributes) return [];
  return [new Extension(ATTRIBUTES_OID, false, Buffer.from(JSON.stringify({ attrs: attributes })))];
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
}

async function keysOf(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const spki = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  const { subtle } = webcrypto;
  return {
    publicKey: await subtle.importKey('spki', spki, ECDSA_P256, true, ['verify']),
    privateKey: await subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), ECDSA_P256, true, ['sign']),
  };
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', PemConverter.decodeFirst(pem), ECDSA_P256, false, ['sign']);
}

function pemOf(certificate: X509Certificate): string {
  return `${certificate.toString('pem')}\n`;
}

function pemOfKey(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

function newSerial(): string {
  const serial = randomBytes(16);
  // A serial is a positive integer without a leading zero byte.
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial.toString('hex');
}

// Not "now": a machine whose clock is a little behind would refuse the certificate.
function dayAgo(): Date {
  return new Date(Date.now() - DAY_MS);
}

function inAges(): Date {
  return new Date(Date.now() + LIFETIME_MS);
}
