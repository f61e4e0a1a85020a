import { toHex } from '../bytes.ts';
import { TraceError } from '../error.ts';
import { DerReader, positiveInteger, SEQUENCE } from './der.ts';

/** The order of P-256's group (SP 800-186 §3.2.1.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const SCALAR = 32;

function malformed(message: string): never {
  throw new TraceError('SIGNATURE_MALFORMED', message);
}

function toScalar(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`);
}

/** r and s of r ‖ s, each in 1 … n−1 (FIPS 186-5 §6.4.2). */
function scalarsOf(signature: Uint8Array): readonly [r: bigint, s: bigint] {
  if (signature.length !== 2 * SCALAR) malformed('a signature is not 64 bytes');
  const r = toScalar(signature.subarray(0, SCALAR));
  const s = toScalar(signature.subarray(SCALAR));
  if (r === 0n || s === 0n || r >= ORDER || s >= ORDER) malformed('a signature is out of range');
  return [r, s];
}

/**
 * Refuses a raw r ‖ s signature that is not 64 bytes, is out of range, or has the higher of the two s that would verify:
 * so that nobody can turn one good signature into another (Fabric: bccsp/utils/ecdsa.go, IsLowS). SIGNATURE_MALFORMED.
 */
export function assertLowS(signature: Uint8Array): void {
  const [, s] = scalarsOf(signature);
  if (s > ORDER >> 1n) malformed('a signature has the high s');
}

/** The low-S form of an r ‖ s signature: (r, s) and (r, n − s) verify alike. Throws SIGNATURE_MALFORMED. */
export function toLowS(signature: Uint8Array): Uint8Array {
  const [, s] = scalarsOf(signature);
  if (s <= ORDER >> 1n) return signature;
  const out = signature.slice();
  let rest = ORDER - s;
  for (let i = out.length - 1; i >= SCALAR; i--) {
    out[i] = Number(rest & 255n);
    rest >>= 8n;
  }
  return out;
}

/** r ‖ s of a DER Ecdsa-Sig-Value (RFC 3279 §2.2.3), whichever its s. Throws DER_MALFORMED or SIGNATURE_MALFORMED. */
export function rawSignature(der: Uint8Array): Uint8Array {
  const outer = new DerReader(der);
  const inner = outer.enter(SEQUENCE);
  outer.end();
  const r = positiveInteger(inner);
  const s = positiveInteger(inner);
  inner.end();
  if (r.length > SCALAR || s.length > SCALAR) malformed('a signature is out of range');
  const out = new Uint8Array(2 * SCALAR);
  out.set(r, SCALAR - r.length);
  out.set(s, 2 * SCALAR - s.length);
  scalarsOf(out);
  return out;
}

/** r ‖ s of a DER signature as Fabric makes and accepts them: low-S only. Throws DER_MALFORMED or SIGNATURE_MALFORMED. */
export function lowSSignature(der: Uint8Array): Uint8Array {
  const signature = rawSignature(der);
  assertLowS(signature);
  return signature;
}

/** SEQUENCE { SEQUENCE { id-ecPublicKey, prime256v1 }, BIT STRING { uncompressed point … (RFC 5480 §2, SEC 1 §2.3.3). */
const P256_PREFIX = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';

/**
 * Refuses everything but the one 91-byte SubjectPublicKeyInfo of a P-256 key: uncompressed, named curve. Whether the
 * point is on the curve is the suite's to say: it verifies nothing with one that is not. Throws SIGNATURE_MALFORMED.
 */
export function assertP256Key(spki: Uint8Array): void {
  if (spki.length !== 91 || toHex(spki.subarray(0, 27)) !== P256_PREFIX)
    malformed('a key is not an uncompressed P-256 key');
}
