import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Issued } from './certify.ts';
import type { IdentityFiles } from './signer.ts';

/** Where an organisation's CA lies in its folder. */
export function caFiles(folder: string): IdentityFiles {
  return filesOf(folder, 'ca');
}

/**
 * The files of what is called so in a folder; issued now if the certificate is missing, for the key that is there if there is
 * one. Keys are readable by their owner only.
 */
export async function ensureIssued(
  folder: string,
  name: string,
  make: (key: string | undefined) => Promise<Issued>,
): Promise<IdentityFiles> {
  const files = filesOf(folder, name);
  if (!existsSync(files.certificate)) {
    write(folder, files, await make(existsSync(files.key) ? readFileSync(files.key, 'utf8') : undefined));
  }
  return files;
}

/** What the files hold. Throws when one of them cannot be read. */
export function readIssued(files: IdentityFiles): Issued {
  return { certificate: readFileSync(files.certificate, 'utf8'), key: readFileSync(files.key, 'utf8') };
}

function filesOf(folder: string, name: string): IdentityFiles {
  return { certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
}

// The certificate appears last and at once: where it is, the key is too, however the process ended.
function write(folder: string, files: IdentityFiles, issued: Issued): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(files.key, issued.key, { mode: 0o600 });
  writeFileSync(`${files.certificate}.new`, issued.certificate);
  renameSync(`${files.certificate}.new`, files.certificate);
}
