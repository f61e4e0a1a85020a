import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { signedBytes, toBase64url, toLowS, type Entry, type UnsignedEntry } from '@yaoji/chaincode/core';

/** The keys of hosted stations: those whose record on the ledger says that the service holds them. */
export interface HostedKeys {
  /** The public key of a hosted station, made now if there is none: DER SubjectPublicKeyInfo, base64url. */
  publicKey(station: string): string;
  /** The entry with the hosted station's signature; undefined when the service holds no key of that station. */
  sign(entry: UnsignedEntry): Entry | undefined;
}

/** Keys as files of one folder, readable by this user only. Station names have been checked against path characters. */
export function hostedKeysIn(folder: string): HostedKeys {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const cache = new Map<string, KeyObject>();

  function find(station: string): KeyObject | undefined {
    let key = cache.get(station);
    if (key) return key;
    try {
      key = createPrivateKey(readFileSync(join(folder, `${station}.pem`)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    cache.set(station, key);
    return key;
  }

  function make(station: string): KeyObject {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
    // wx: two requests at once must not leave a station enrolled with a key that the other one replaced.
    writeFileSync(join(folder, `${station}.pem`), pem, { mode: 0o600, flag: 'wx' });
    return privateKey;
  }

  return {
    publicKey(station) {
      const key = find(station) ?? make(station);
      return toBase64url(createPublicKey(key).export({ type: 'spki', format: 'der' }));
    },
    sign(entry) {
      const key = find(entry.station);
      if (!key) return undefined;
      const signature = sign('sha256', signedBytes(entry), { key, dsaEncoding: 'ieee-p1363' });
      return { ...entry, sig: toBase64url(toLowS(signature)) };
    },
  };
}
