import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { object, text } from '../../fields.ts';
import type { IdentityFiles } from '../../identities/signer.ts';
import { MEMBER_KINDS, writeProfile, type ProfileOrganisation } from '../../profile.ts';
import { CHAINCODE, gatewayOf, majorityOf } from '../layout.ts';
import type { Host } from './operate.ts';
import { issueAccess } from './prepare.ts';

// The consortium's API writes for each member with identities that the member has given it. This is the one thing with keys
// in it that a member ever gives away.

const FILE = 'access.json';
const PARTS = ['service', 'registrar', 'tls'] as const;

/** Writes what whoever runs the API needs to act for this member, keys included, into a new folder. */
export async function writeAccess({ folder, member }: Host, out: string): Promise<void> {
  if (existsSync(out)) throw new Error(`${out} is there already`);
  const { consortium, own } = folder;
  const identities = await issueAccess(member);
  mkdirSync(out, { recursive: true, mode: 0o700 });
  for (const part of PARTS) copyIdentity(identities[part], identityIn(out, part));
  copyFileSync(member.identities.ca.certificate, join(out, 'ca.pem'));
  copyFileSync(member.identities.tlsCa.certificate, join(out, 'tls-ca.pem'));
  const about = { channel: consortium.channel, mspId: own.mspId, kind: own.kind, gateway: gatewayOf(own) };
  writeFileSync(join(out, FILE), `${JSON.stringify(about, undefined, 2)}\n`);
}

/** Writes the profile that the API reaches the ledger by, from what every member gave it, and answers with its path. */
export function writeAccessProfile(accesses: readonly string[], out: string): string {
  mkdirSync(out, { recursive: true, mode: 0o700 });
  const given = accesses.map((access) => takeAccess(access, out));
  const [channel, ...others] = new Set(given.map((one) => one.channel));
  if (channel === undefined || others.length > 0) throw new Error('the members are not of one channel');
  const profile = join(out, 'network.json');
  writeProfile(profile, {
    channel,
    chaincode: CHAINCODE,
    development: false,
    endorsements: majorityOf(given.length),
    organisations: given.map(({ organisation }) => organisation),
  });
  return profile;
}

function takeAccess(access: string, out: string): { channel: string; organisation: ProfileOrganisation } {
  const about = object(JSON.parse(readFileSync(join(access, FILE), 'utf8')), FILE, [
    'channel',
    'mspId',
    'kind',
    'gateway',
  ]);
  const mspId = text(about, 'mspId');
  const kind = MEMBER_KINDS.find((known) => known === about['kind']);
  if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(mspId) || !kind) throw new Error(`${access} is of no member`);
  const own = join(out, mspId);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  const [service, admin, client] = PARTS.map((part) =>
    copyIdentity(identityIn(access, part), identityIn(own, part)),
  ) as [IdentityFiles, IdentityFiles, IdentityFiles];
  copyFileSync(join(access, 'tls-ca.pem'), join(own, 'tls-ca.pem'));
  const organisation = {
    mspId,
    kind,
    gateway: text(about, 'gateway'),
    ca: readFileSync(join(access, 'ca.pem'), 'utf8'),
    tls: join(own, 'tls-ca.pem'),
    client,
    identities: { service, admin },
  };
  return { channel: text(about, 'channel'), organisation };
}

const identityIn = (folder: string, name: string): IdentityFiles => ({
  certificate: join(folder, `${name}.pem`),
  key: join(folder, `${name}.key`),
});

function copyIdentity(from: IdentityFiles, to: IdentityFiles): IdentityFiles {
  writeFileSync(to.key, readFileSync(from.key), { mode: 0o600 });
  copyFileSync(from.certificate, to.certificate);
  return to;
}
