import { sign, type KeyObject } from 'node:crypto';
import { toLowS } from '@yaoji/chaincode/core';
import type { Signer } from '@hyperledger/fabric-gateway';

/**
 * Signs whole messages as Fabric wants them signed: ECDSA P-256 over SHA-256, low s, DER. The gateway client's own signer is
 * written in JavaScript and takes some milliseconds for each of the three signatures of a transaction.
 */
export const signerOf =
  (key: KeyObject): Signer =>
  (message) =>
    Promise.resolve(der(toLowS(sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' }))));

/** Ecdsa-Sig-Value (RFC 3279 §2.2.3) of r ‖ s. */
function der(raw: Uint8Array): Uint8Array {
  const content = [...integer(raw.subarray(0, 32)), ...integer(raw.subarray(32))];
  return Uint8Array.from([0x30, content.length, ...content]);
}

/** The shortest form of a positive INTEGER: no leading zero but the one that keeps it positive. */
function integer(scalar: Uint8Array): number[] {
  const bytes = [...scalar];
  while (bytes[0] === 0) bytes.shift();
  if (bytes[0]! & 0x80) bytes.unshift(0);
  return [0x02, bytes.length, ...bytes];
}
