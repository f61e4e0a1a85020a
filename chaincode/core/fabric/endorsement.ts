import { concat, equal, toHex } from '../bytes.ts';
import { TraceError, type TraceErrorCode } from '../error.ts';
import type { Suite } from '../suite.ts';
import { isIssuedBy, readCertificate, type Certificate } from './certificate.ts';
import { lowSSignature } from './signature.ts';
import type { Endorsement, View } from './view.ts';

/** Who signed a view. */
export interface Endorsers {
  /** The known organisations of which a peer validly signed, each once, in the order of the endorsements. */
  readonly organisations: readonly string[];
  /** Endorsements that name an organisation which is not known count for nobody; the names they give. */
  readonly unknown: readonly string[];
}

function malformed(message: string): never {
  throw new TraceError('VIEW_MALFORMED', message);
}

/** Runs a check so that its refusal says what was refused and where. */
async function naming<T>(
  what: string,
  at: { code: TraceErrorCode; place: string },
  check: () => T | Promise<T>,
): Promise<T> {
  try {
    return await check();
  } catch (cause) {
    if (!(cause instanceof TraceError)) throw cause;
    throw new TraceError(at.code, `${what}: ${cause.message}`, { place: at.place, cause });
  }
}

/** Fabric's node OUs: an identity has exactly one (msp/mspimplvalidate.go, validateIdentityOUsV142). */
const NODE_OUS = ['peer', 'client', 'admin', 'orderer'];

function isPeer(certificate: Certificate): boolean {
  const roles = certificate.organisationalUnits.filter((unit) => NODE_OUS.includes(unit));
  return roles.length === 1 && roles[0] === 'peer' && !certificate.isCa;
}

function isValidAt(certificate: Certificate, time: number): boolean {
  return certificate.notBefore <= time && time <= certificate.notAfter;
}

async function checkEndorsement(
  endorsement: Endorsement,
  ca: Certificate,
  view: View,
  suite: Suite,
): Promise<void> {
  const certificate = readCertificate(endorsement.certificate);
  if (!isPeer(certificate)) malformed('the endorser is not a peer');
  // Fabric's MSP leaves dates out (FAB-3678, getValidityOptsForCert); an old key must not sign for ever.
  if (!isValidAt(certificate, view.timestamp) || !isValidAt(ca, view.timestamp))
    malformed('a certificate was not valid when the view was taken');
  if (!(await isIssuedBy(certificate, ca, suite)))
    malformed("the organisation's CA did not issue the certificate");
  const message = concat(view.signed.responsePayload, endorsement.endorser);
  if (!(await suite.verify(certificate.publicKey, message, lowSSignature(endorsement.signature))))
    malformed('the signature does not hold');
}

/**
 * Says which organisations' peers signed a view (`organisations`: MSP id → PEM certificate of the CA that issues its
 * peers'). Recomputes the transaction id (protoutil, ComputeTxID) and the proposal hash (msgvalidation.go,
 * UnpackProposal), so that the answer belongs to this question, time and nonce. How many are enough is the caller's to
 * say, and whether status, channel, chaincode and arguments are the ones it wanted.
 *
 * Throws VIEW_MALFORMED when the hashes differ or a known organisation's endorsement is bad: its place is then
 * /endorsements/‹index› and its message names the organisation. Throws CERTIFICATE_MALFORMED (place: /‹MSP id›) for a
 * CA certificate that cannot be read.
 */
export async function checkView(
  view: View,
  organisations: ReadonlyMap<string, string>,
  suite: Suite,
): Promise<Endorsers> {
  const { creator, channelHeader, signatureHeader, proposalPayload, proposalHash } = view.signed;
  if (view.txId !== toHex(suite.sha256(concat(view.nonce, creator))))
    malformed("the transaction id is not the nonce's");
  if (!equal(proposalHash, suite.sha256(concat(channelHeader, signatureHeader, proposalPayload))))
    malformed('the endorsers signed the answer to another proposal');

  const cas = new Map<string, Certificate>();
  for (const [mspId, pem] of organisations) {
    const at = { code: 'CERTIFICATE_MALFORMED', place: `/${mspId}` } as const;
    cas.set(mspId, await naming(`the CA certificate of ${mspId}`, at, () => readCertificate(pem)));
  }
  const signed = new Set<string>();
  const unknown = new Set<string>();
  for (const [index, endorsement] of view.endorsements.entries()) {
    const ca = cas.get(endorsement.mspId);
    if (ca === undefined) {
      unknown.add(endorsement.mspId);
      continue;
    }
    const at = { code: 'VIEW_MALFORMED', place: `/endorsements/${index}` } as const;
    await naming(`the endorsement of ${endorsement.mspId}`, at, () =>
      checkEndorsement(endorsement, ca, view, suite),
    );
    signed.add(endorsement.mspId);
  }
  return { organisations: [...signed], unknown: [...unknown] };
}
