import { sha256 } from '@noble/hashes/sha2.js';
import { keccak_256 as keccak256 } from '@noble/hashes/sha3.js';
import { assertP256Key, toHex, type Suite, type VerifierSuite } from '@yaoji/chaincode/core';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };
const ES256 = { name: 'ECDSA', hash: 'SHA-256' };

// WebCrypto wants memory of its own; core's arrays may be parts of larger ones.
const owned = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

/**
 * The browser's cryptography: small synchronous hashes, and WebCrypto for signatures. Browsers keep WebCrypto from pages
 * that came over plain http from another machine: there the curve's arithmetic is loaded first, and rejects where it cannot
 * be, as that is no statement about any signature.
 */
export async function browserSuite(): Promise<VerifierSuite> {
  const { subtle } = globalThis.crypto as { subtle?: SubtleCrypto };
  return { sha256, keccak256, verify: subtle ? webCryptoVerify(subtle) : await loadedVerify() };
}

function webCryptoVerify(subtle: SubtleCrypto): Suite['verify'] {
  // A trail has few stations and many signatures: each key is imported once.
  const keys = new Map<string, Promise<CryptoKey>>();
  return async (key, message, signature) => {
    try {
      const id = toHex(key);
      let imported = keys.get(id);
      if (!imported) {
        imported = subtle.importKey('spki', owned(key), P256, false, ['verify']);
        keys.set(id, imported);
      }
      return await subtle.verify(ES256, await imported, owned(signature), owned(message));
    } catch {
      return false;
    }
  };
}

async function loadedVerify(): Promise<Suite['verify']> {
  const { verifyP256 } = await import('./p256.ts');
  return async (key, message, signature) => {
    try {
      assertP256Key(key);
      return verifyP256(key, message, signature);
    } catch {
      return false;
    }
  };
}
