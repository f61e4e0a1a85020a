import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomUUID,
  sign,
  type KeyObject,
} from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { signedBytes, toBase64url, toLowS, type Entry, type UnsignedEntry } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';

/** The keys of hosted stations: those whose record on the ledger says that the service holds them. */
export interface HostedKeys {
  /** The public key of a hosted station, made now if there is none: DER SubjectPublicKeyInfo, base64url. */
  publicKey(station: string): string;
  /** The entry with the hosted station's signature; undefined when the service holds no key of that station. */
  sign(entry: UnsignedEntry): Entry | undefined;
}

/**
 * Puts a file under its name, whole and on the disk, unless there is one already: neither a kill nor a power failure may leave
 * half a key, and two at once must not leave a station enrolled with a key that the other one replaced.
 */
function keepWhole(folder: string, name: string, content: string | Buffer): void {
  const aside = join(folder, `.${name}.${randomUUID()}`);
  writeFileSync(aside, content, { mode: 0o600, flag: 'wx', flush: true });
  failpoint('key-aside');
  try {
    linkSync(aside, join(folder, name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(aside);
  }
  const descriptor = openSync(folder, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
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
    keepWhole(folder, `${station}.pem`, pem);
    // Another process may have been first.
    return find(station)!;
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
