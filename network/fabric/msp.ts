import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { NODE_OUS } from '../identities/certify.ts';
import type { MemberIdentities, PublicIdentities } from '../identities/member.ts';
import type { CertificateFile, IdentityFiles } from '../identities/signer.ts';

/** What others must know of a member's two organisations, in the layout that Fabric reads (its "MSP" folders); no key. */
export interface PublicMspFolders {
  readonly organisation: string;
  readonly ordererOrganisation: string;
}

/** A member's folders in that layout. */
export interface MspFolders extends PublicMspFolders {
  readonly peer: string;
  readonly admin: string;
  readonly orderer: string;
  readonly ordererAdmin: string;
}

/** Writes a member's public MSP folders from its CAs' certificates. */
export function writePublicMsp(
  folder: string,
  { ca, ordererCa, tlsCa }: Pick<PublicIdentities, 'ca' | 'ordererCa' | 'tlsCa'>,
): PublicMspFolders {
  return {
    organisation: writeMsp(join(folder, 'msp'), ca, tlsCa),
    ordererOrganisation: writeMsp(join(folder, 'orderer-msp'), ordererCa, tlsCa),
  };
}

/** Writes a member's MSP folders from its certificates and keys. The same identities give the same files. */
export function writeMspFolders(folder: string, member: MemberIdentities): MspFolders {
  const { ca, ordererCa, tlsCa } = member;
  const write = (name: string, issuer: IdentityFiles, signer: IdentityFiles): string =>
    writeMsp(join(folder, name), issuer, tlsCa, signer);
  return {
    ...writePublicMsp(folder, member),
    peer: write('peer-msp', ca, member.peer),
    admin: write('admin-msp', ca, member.admin),
    orderer: write('orderer-node-msp', ordererCa, member.orderer),
    ordererAdmin: write('orderer-admin-msp', ordererCa, member.ordererAdmin),
  };
}

function writeMsp(
  folder: string,
  ca: CertificateFile,
  tlsCa: CertificateFile,
  signer?: IdentityFiles,
): string {
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
