import { X509Certificate } from 'node:crypto';

import { msp } from '@hyperledger/fabric-protos';

import { NODE_OUS, type NodeOu } from './certify.ts';
import { verifyLowS } from './signature.ts';

/** An identity that one of the channel's organisations has certified. */
export interface Member {
  readonly mspId: string;
  /** What the certificate's OU says its holder is; none when it says nothing Fabric knows. */
  readonly ou: NodeOu | undefined;
  isExpired(now: Date): boolean;
  /** Whether this member signed the data, low-S as Fabric demands. */
  verify(data: Uint8Array, signature: Uint8Array): boolean;
}

/** Who belongs to the channel. */
export interface Membership {
  /**
   * The member a serialised identity names. Throws unless the certificate was issued by the CA of the organisation
   * that the identity claims. Does not look at expiry: Fabric judges that only where a proposal comes in.
   */
  member(identity: Uint8Array): Member;
}

// Parsing a certificate and checking its issuer costs some 300 µs, and the same few identities come again and again.
const CACHE_LIMIT = 10_000;

/** The membership given by each organisation's CA certificate (PEM), by MSP id. */
export function newMembership(cas: ReadonlyMap<string, string>): Membership {
  const roots = new Map([...cas].map(([mspId, pem]) => [mspId, new X509Certificate(pem)]));
  const known = new Map<string, Member>();
  return {
    member(identity) {
      const id = Buffer.from(identity).toString('latin1');
      const found = known.get(id);
      if (found) return found;
      const member = parseMember(roots, identity);
      if (known.size >= CACHE_LIMIT) known.clear();
      known.set(id, member);
      return member;
    },
  };
}

function parseMember(roots: ReadonlyMap<string, X509Certificate>, identity: Uint8Array): Member {
  const parsed = msp.SerializedIdentity.deserializeBinary(identity);
  const mspId = parsed.getMspid();
  const root = roots.get(mspId);
  if (!root) throw new Error(`MSP ${mspId} is unknown`);
  const certificate = new X509Certificate(parsed.getIdBytes_asU8());
  if (certificate.ca || !certificate.checkIssued(root) || !certificate.verify(root.publicKey)) {
    throw new Error(`the certificate was not issued by ${mspId}`);
  }
  const expires = Date.parse(certificate.validTo);
  const { publicKey } = certificate;
  return {
    mspId,
    ou: nodeOu(certificate),
    isExpired: (now) => now.getTime() > expires,
    verify: (data, signature) => verifyLowS(publicKey, data, signature),
  };
}

function nodeOu(certificate: X509Certificate): NodeOu | undefined {
  const units = certificate.subject.split('\n');
  return NODE_OUS.find((ou) => units.includes(`OU=${ou}`));
}
