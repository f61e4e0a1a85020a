import { equal, fromBase64, fromUtf8, toHex } from '../bytes.ts';
import { TraceError } from '../error.ts';
import type { Suite } from '../suite.ts';
import { daysFromCivil } from '../time.ts';
import {
  BIT_STRING,
  context,
  DerReader,
  GENERALIZED_TIME,
  INTEGER,
  OCTET_STRING,
  OID,
  positiveInteger,
  PRINTABLE_STRING,
  SEQUENCE,
  SET,
  trueOrAbsent,
  UTC_TIME,
  UTF8_STRING,
  wholeBitString,
} from './der.ts';
import { assertP256Key, rawSignature, toLowS } from './signature.ts';

/** What is needed of an X.509 version 3 certificate (RFC 5280 §4.1) of a P-256 key, signed with ECDSA and SHA-256. */
export interface Certificate {
  /** The TBSCertificate: what the issuer signed. */
  readonly tbs: Uint8Array;
  /** The issuer's and the subject's Name, as DER: names are compared byte for byte. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  /** The subject's OUs: Fabric's node OUs say here what an identity is (peer, client, admin, orderer). */
  readonly organisationalUnits: readonly string[];
  /** Valid from and until, both inclusive, in ms since the epoch. */
  readonly notBefore: number;
  readonly notAfter: number;
  /** The SubjectPublicKeyInfo, 91 bytes. */
  readonly publicKey: Uint8Array;
  /** Whether basicConstraints says that it is a CA's. */
  readonly isCa: boolean;
  /** Whether keyUsage, where there is one, lets its key sign certificates. */
  readonly mayIssue: boolean;
  /** r ‖ s, low-S whatever the issuer wrote. */
  readonly signature: Uint8Array;
}

/** Real ones are under 1 KB; Fabric CA's attributes may add some. */
const MAX_PEM = 16384;
const PEM = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE-----(?:\r?\n)?$/;

/** SEQUENCE { ecdsa-with-SHA256 } (RFC 5758 §3.2: no parameters). */
const ECDSA_SHA256 = '300a06082a8648ce3d040302';
const VERSION_3 = '020102';
/** Object identifiers, as the hex of their content. */
const ORGANISATIONAL_UNIT = '55040b';
const KEY_USAGE = '551d0f';
const BASIC_CONSTRAINTS = '551d13';
/** keyCertSign is bit 5 of KeyUsage, counted from the highest (RFC 5280 §4.2.1.3). */
const KEY_CERT_SIGN = 0x80 >> 5;

function malformed(message: string, cause?: unknown): never {
  throw new TraceError('CERTIFICATE_MALFORMED', message, cause === undefined ? {} : { cause });
}

function fromPem(pem: string): Uint8Array {
  const body = pem.length > MAX_PEM ? undefined : PEM.exec(pem)?.[1];
  if (body === undefined) malformed('the certificate is not PEM');
  try {
    return fromBase64(body.replace(/[\r\n]/g, ''));
  } catch (cause) {
    return malformed('the certificate is not base64', cause);
  }
}

/** A Time in ms since the epoch (RFC 5280 §4.1.2.5): UTCTime YYMMDDhhmmssZ of 1950 to 2049, GeneralizedTime YYYY…Z. */
function readTime(reader: DerReader): number {
  const { tag, content } = reader.next();
  const text = String.fromCharCode(...content.subarray(0, 16));
  if (!(tag === UTC_TIME && /^\d{12}Z$/.test(text)) && !(tag === GENERALIZED_TIME && /^\d{14}Z$/.test(text)))
    malformed('a time is not in the form of RFC 5280');
  const digits = tag === GENERALIZED_TIME ? text : (text >= '5' ? '19' : '20') + text;
  const two = (at: number): number => Number(digits.slice(at, at + 2));
  const [year, month, day] = [Number(digits.slice(0, 4)), two(4), two(6)];
  const [hour, minute, second] = [two(8), two(10), two(12)];
  const start = daysFromCivil(year, month, 1);
  const next = month === 12 ? daysFromCivil(year + 1, 1, 1) : daysFromCivil(year, month + 1, 1);
  if (month < 1 || month > 12 || day < 1 || day > next - start || hour > 23 || minute > 59 || second > 59)
    malformed('a time does not exist');
  return (((start + day - 1) * 24 + hour) * 60 + minute) * 60_000 + second * 1000;
}

function readOrganisationalUnits(name: DerReader): string[] {
  const units: string[] = [];
  while (name.has()) {
    const attributes = name.enter(SET);
    do {
      const attribute = attributes.enter(SEQUENCE);
      const type = toHex(attribute.next(OID).content);
      const { tag, content } = attribute.next();
      attribute.end();
      if (type !== ORGANISATIONAL_UNIT) continue;
      if (tag !== UTF8_STRING && tag !== PRINTABLE_STRING) malformed('an organisational unit is not text');
      units.push(fromUtf8(content));
    } while (attributes.has());
  }
  return units;
}

/** BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL } (RFC 5280 §4.2.1.9). */
function readCa(value: DerReader): boolean {
  const constraints = value.enter(SEQUENCE);
  const ca = trueOrAbsent(constraints);
  // Only peers' own certificates are ever checked under a CA, which any path length allows.
  if (ca && constraints.has(INTEGER)) constraints.next(INTEGER);
  constraints.end();
  return ca;
}

/** Reads the two extensions that matter, and refuses critical ones that are not understood (RFC 5280 §4.2). */
function readExtensions(extensions: DerReader): { isCa: boolean; mayIssue: boolean } {
  const seen = new Set<string>();
  let isCa = false;
  let mayIssue = true;
  while (extensions.has()) {
    const extension = extensions.enter(SEQUENCE);
    const id = toHex(extension.next(OID).content);
    const critical = trueOrAbsent(extension);
    const value = extension.enter(OCTET_STRING);
    extension.end();
    if (seen.has(id)) malformed('an extension is repeated');
    seen.add(id);
    if (id === BASIC_CONSTRAINTS) isCa = readCa(value);
    else if (id === KEY_USAGE) mayIssue = ((value.next(BIT_STRING).content[1] ?? 0) & KEY_CERT_SIGN) !== 0;
    else if (critical) malformed('a critical extension is not known');
    else continue;
    value.end();
  }
  return { isCa, mayIssue };
}

/**
 * Reads a PEM certificate (RFC 7468 §5), strictly, and of the one kind that Fabric's organisations use here: version 3,
 * P-256, ecdsa-with-SHA256. Throws CERTIFICATE_MALFORMED, DER_MALFORMED, SIGNATURE_MALFORMED or ENCODING_BAD on every
 * other.
 */
export function readCertificate(pem: string): Certificate {
  const file = new DerReader(fromPem(pem));
  const outer = file.enter(SEQUENCE);
  file.end();
  const tbs = outer.next(SEQUENCE);
  const algorithm = outer.next(SEQUENCE).whole;
  const signature = wholeBitString(outer);
  outer.end();
  if (toHex(algorithm) !== ECDSA_SHA256) malformed('the certificate is not signed with ECDSA and SHA-256');

  const fields = new DerReader(tbs.content);
  if (toHex(fields.next(context(0)).content) !== VERSION_3) malformed('the certificate is not of version 3');
  positiveInteger(fields);
  if (!equal(fields.next(SEQUENCE).whole, algorithm))
    malformed('the certificate names two signature algorithms');
  const issuer = fields.next(SEQUENCE);
  const validity = fields.enter(SEQUENCE);
  const notBefore = readTime(validity);
  const notAfter = readTime(validity);
  validity.end();
  const subject = fields.next(SEQUENCE);
  const publicKey = fields.next(SEQUENCE).whole;
  assertP256Key(publicKey);
  const wrapped = fields.enter(context(3));
  const extensions = readExtensions(wrapped.enter(SEQUENCE));
  wrapped.end();
  fields.end();

  return {
    tbs: tbs.whole,
    issuer: issuer.whole,
    subject: subject.whole,
    organisationalUnits: readOrganisationalUnits(new DerReader(subject.content)),
    notBefore,
    notAfter,
    publicKey,
    ...extensions,
    // A CA may write the high s (cryptogen does, half of the time): Fabric's MSP lowers it too (msp/cert.go,
    // sanitizeECDSASignedCert). The endorsement covers these bytes, so nobody gains from the choice.
    signature: toLowS(rawSignature(signature)),
  };
}

/**
 * Whether `ca` issued `certificate`: it may issue, the names match byte for byte, its key signed. One step only: an
 * organisation's trusted certificate is the one that issues its peers' (no intermediates).
 */
export async function isIssuedBy(certificate: Certificate, ca: Certificate, suite: Suite): Promise<boolean> {
  if (!ca.isCa || !ca.mayIssue || !equal(certificate.issuer, ca.subject)) return false;
  return suite.verify(ca.publicKey, certificate.tbs, certificate.signature);
}
