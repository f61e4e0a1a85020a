import { createHash, createPublicKey, verify, type KeyObject } from 'node:crypto';
import type { Suite } from '@yaoji/chaincode/core/suite';

const MAX_KEYS = 1000;
// Parsing a key costs several times what verifying with it does, and tests use few keys many times.
const keys = new Map<string, KeyObject>();

function keyObject(spki: Uint8Array): KeyObject {
  const id = Buffer.from(spki).toString('latin1');
  const known = keys.get(id);
  if (known) return known;
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  if (keys.size >= MAX_KEYS) keys.clear();
  keys.set(id, key);
  return key;
}

/** ES256 by node:crypto. */
export const nodeSuite: Suite = {
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
  async verify(key, message, signature) {
    try {
      return verify('sha256', message, { key: keyObject(key), dsaEncoding: 'ieee-p1363' }, signature);
    } catch {
      return false;
    }
  },
};
