import { createHash, sign, verify, type KeyObject } from 'node:crypto';

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF_ORDER = ORDER >> 1n;
const SCALAR = 32;
const SEQUENCE = 0x30;
const INTEGER = 0x02;

/** SHA-256 of the parts one after the other. */
export function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/**
 * Signs as Fabric does: ECDSA P-256 over SHA-256, DER, low-S.
 * Fabric refuses the high of the two equivalent S values (bccsp/sw/ecdsa.go), and OpenSSL gives either.
 */
export function signLowS(key: KeyObject, data: Uint8Array): Buffer {
  const raw = sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
  const s = BigInt(`0x${raw.toString('hex', SCALAR)}`);
  const low = s > HALF_ORDER ? ORDER - s : s;
  const body = Buffer.concat([derInteger(raw.subarray(0, SCALAR)), derInteger(scalar(low))]);
  return Buffer.concat([Buffer.of(SEQUENCE, body.length), body]);
}

/** Whether the signature is good and low-S. Never throws, whatever the signature's bytes are. */
export function verifyLowS(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  return isLowS(signature) && verify('sha256', data, key, signature);
}

function isLowS(der: Uint8Array): boolean {
  if (der[0] !== SEQUENCE || der[1] !== der.length - 2 || der[2] !== INTEGER) return false;
  const at = 4 + (der[3] ?? 0);
  const length = der[at + 1] ?? 0;
  if (der[at] !== INTEGER || length === 0 || at + 2 + length !== der.length) return false;
  return BigInt(`0x${Buffer.from(der.subarray(at + 2)).toString('hex')}`) <= HALF_ORDER;
}

function scalar(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * SCALAR, '0'), 'hex');
}

function derInteger(bytes: Uint8Array): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const trimmed = bytes.subarray(first < 0 ? bytes.length - 1 : first);
  // Without it the number would be negative.
  const zero = (trimmed[0] ?? 0) & 0x80 ? [0] : [];
  return Buffer.concat([Buffer.of(INTEGER, trimmed.length + zero.length, ...zero), trimmed]);
}
