import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { MemberIdentities } from '../identities/member.ts';
import { archive } from './archive.ts';
import { CHAINCODE } from './layout.ts';
import { HOST } from './ports.ts';

/** A chaincode package: it only tells the organisation's peer where the organisation's contract process serves. */
export interface ChaincodePackage {
  /** As `peer lifecycle chaincode calculatepackageid` prints it. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** The package of an organisation for a build that serves at a port. The same arguments give the same bytes. */
export function newPackage(
  build: string,
  port: number,
  { tlsCa, clientTls }: MemberIdentities,
): ChaincodePackage {
  const label = `${CHAINCODE}-${build}`;
  const connection = {
    address: `${HOST}:${port}`,
    dial_timeout: '10s',
    tls_required: true,
    client_auth_required: true,
    client_key: readFileSync(clientTls.key, 'utf8'),
    client_cert: readFileSync(clientTls.certificate, 'utf8'),
    root_cert: readFileSync(tlsCa.certificate, 'utf8'),
  };
  const bytes = archive({
    'metadata.json': JSON.stringify({ type: 'ccaas', label }),
    'code.tar.gz': archive({ 'connection.json': JSON.stringify(connection) }),
  });
  return { id: `${label}:${createHash('sha256').update(bytes).digest('hex')}`, bytes };
}

/** Writes the external builder that makes a peer take such packages: three scripts, as Fabric's documentation asks. */
export function writeBuilder(folder: string): void {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const scripts = {
    detect: `grep -q '"type": *"ccaas"' "$2/metadata.json"`,
    build: 'cp "$1/connection.json" "$3/"',
    release: 'mkdir -p "$2/chaincode/server" && cp "$1/connection.json" "$2/chaincode/server/"',
  };
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(bin, name), `#!/bin/sh\nset -e\n${script}\n`, { mode: 0o755 });
  }
}
