import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { readIssued } from '../identities/files.ts';
import type { MemberIdentities } from '../identities/member.ts';

/**
 * Writes a member's admin and service identities as a wallet in the layout of fabric-network's file-system wallet: one
 * `<label>.id` file each, which its `Wallets.newFileSystemWallet(folder)` reads.
 */
export function writeWallet(folder: string, { mspId, admin, service }: MemberIdentities): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const [label, files] of Object.entries({ admin, service })) {
    const { certificate, key: privateKey } = readIssued(files);
    const identity = { credentials: { certificate, privateKey }, mspId, type: 'X.509', version: 1 };
    writeFileSync(join(folder, `${label}.id`), JSON.stringify(identity), { mode: 0o600 });
  }
}
