import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';

import { msp } from '@hyperledger/fabric-protos';

import { signLowS } from './signature.ts';

/** Somebody who signs: a member's certificate and its private key. */
export interface Signer {
  readonly mspId: string;
  /** PEM. */
  readonly certificate: string;
  /** The bytes by which Fabric names the signer: a serialised msp.SerializedIdentity. */
  readonly identity: Uint8Array;
  sign(data: Uint8Array): Uint8Array;
}

/** Where a certificate lies, PEM. */
export interface CertificateFile {
  readonly certificate: string;
}

/** Where a certificate and its key lie, both PEM. */
export interface IdentityFiles extends CertificateFile {
  readonly key: string;
}

/** A signer from PEM texts. Throws when the key is no private key. */
export function newSigner(mspId: string, certificate: string, privateKey: string): Signer {
  const key = createPrivateKey(privateKey);
  return {
    mspId,
    certificate,
    identity: serializeIdentity(mspId, certificate),
    sign: (data) => signLowS(key, data),
  };
}

/** A signer from files. Throws when one of them cannot be read. */
export function readSigner(mspId: string, files: IdentityFiles): Signer {
  return newSigner(mspId, readFileSync(files.certificate, 'utf8'), readFileSync(files.key, 'utf8'));
}

/** Fabric's bytes for an identity (msp/identities.proto). */
export function serializeIdentity(mspId: string, certificate: string): Uint8Array {
  const identity = new msp.SerializedIdentity();
  identity.setMspid(mspId);
  identity.setIdBytes(Buffer.from(certificate));
  return identity.serializeBinary();
}
