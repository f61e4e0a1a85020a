import { p256 } from '@noble/curves/nist.js';

/** Whether an ES256 signature (r ‖ s) by the key in a DER SubjectPublicKeyInfo holds. Throws for what is neither. */
export function verifyP256(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  // Core has refused high s already; WebCrypto knows no such rule, and both must answer alike.
  return p256.verify(signature, message, key.subarray(-65), { prehash: true, lowS: false });
}
