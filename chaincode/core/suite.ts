/**
 * The cryptography that core is given: it does none of its own. node:crypto in Node, WebCrypto and a small hash in the
 * browser. An entry names its suite, so that another (SM2 with SM3) can stand beside this one.
 */
export interface Suite {
  /** SHA-256 (FIPS 180-4): 32 bytes. Synchronous: an awaited digest per tree node would cost more than the hash. */
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  /**
   * Whether an ECDSA P-256 signature over the SHA-256 of `message` holds. `key`: DER SubjectPublicKeyInfo, 91 bytes;
   * `signature`: r ‖ s, 64 bytes. Callers have checked low-S already. Never throws for bad keys or signatures: false.
   */
  readonly verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => Promise<boolean>;
}

/** What `verify` is given besides: the chain's hash, which only the anchor needs. */
export interface VerifierSuite extends Suite {
  /** Keccak-256 as Ethereum uses it (the padding before FIPS 202): 32 bytes. */
  readonly keccak256: (bytes: Uint8Array) => Uint8Array;
}

/** The name of the one suite there is: ECDSA P-256 over SHA-256 (FIPS 186-5), as JOSE calls it (RFC 7518 §3.4). */
export const ES256 = 'ES256';
