import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { NODE_OUS } from '../identities/certify.ts';
import type { MemberIdentities } from '../identities/member.ts';
import type { IdentityFiles } from '../identities/signer.ts';

/** A member's folders in the layout that Fabric reads (its "MSP" folders). */
export interface MspFolders {
  /** What others must know of the member's organisation; no key. */
  readonly organisation: string;
  readonly ordererOrganisation: string;
  readonly peer: string;
  readonly admin: string;
  readonly orderer: string;
  readonly ordererAdmin: string;
}

/** Writes a member's MSP folders from its certificates and keys. The same identities give the same files. */
export function writeMspFolders(folder: string, member: MemberIdentities): MspFolders {
  const { ca, ordererCa, tlsCa } = member;
  const write = (name: string, issuer: IdentityFiles, signer?: IdentityFiles): string =>
    writeMsp(join(folder, name), issuer, tlsCa, signer);
  return {
    organisation: write('msp', ca),
    ordererOrganisation: write('orderer-msp', ordererCa),
    peer: write('peer-msp', ca, member.peer),
    admin: write('admin-msp', ca, member.admin),
    orderer: write('orderer-node-msp', ordererCa, member.orderer),
    ordererAdmin: write('orderer-admin-msp', ordererCa, member.ordererAdmin),
  };
}

function writeMsp(folder: string, ca: IdentityFiles, tlsCa: IdentityFiles, signer?: IdentityFiles): string {
  put(folder, 'cacerts', 'ca.pem', ca.certificate);
  put(folder, 'tlscacerts', 'tls-ca.pem', tlsCa.certificate);
  writeFileSync(join(folder, 'config.yaml'), `${JSON.stringify(nodeOus('cacerts/ca.pem'), undefined, 2)}\n`);
  if (signer) {
    put(folder, 'signcerts', 'cert.pem', signer.certificate);
    put(folder, 'keystore', 'priv_sk', signer.key);
  }
  return folder;
}

function put(folder: string, kind: string, name: string, from: string): void {
  mkdirSync(join(folder, kind), { recursive: true, mode: 0o700 });
  copyFileSync(from, join(folder, kind, name));
}

// The OU of a certificate says what its holder is. JSON is YAML.
function nodeOus(certificate: string): object {
  const identifiers = NODE_OUS.map((ou) => [
    `${ou[0]!.toUpperCase()}${ou.slice(1)}OUIdentifier`,
    { Certificate: certificate, OrganizationalUnitIdentifier: ou },
  ]);
  return { NodeOUs: { Enable: true, ...Object.fromEntries(identifiers) } };
}
