import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';

import { object, text } from './fields.ts';

/** The kinds of members a consortium has. */
export const MEMBER_KINDS = ['hospital', 'decoction', 'courier', 'regulator'] as const;
export type MemberKind = (typeof MEMBER_KINDS)[number];

/** A certificate and its private key: paths of PEM files. */
export interface ProfileIdentity {
  readonly certificate: string;
  readonly key: string;
}

export interface ProfileOrganisation {
  readonly mspId: string;
  readonly kind: MemberKind;
  /** host:port of the organisation's own gateway peer. */
  readonly gateway: string;
  /** The organisation's CA certificate, PEM text. */
  readonly ca: string;
  /** Path of the CA certificate (PEM) that the gateway's TLS certificate was issued by. Absent: no TLS. */
  readonly tls?: string;
  /** What a client shows the gateway in TLS, where the gateway may ask for it. */
  readonly client?: ProfileIdentity;
  readonly identities: { readonly service: ProfileIdentity; readonly admin: ProfileIdentity };
}

/** All a client needs to reach a ledger. */
export interface NetworkProfile {
  readonly channel: string;
  readonly chaincode: string;
  /** One operator holds every key: endorsement and ordering prove nothing here. */
  readonly development: boolean;
  /** How many organisations must endorse a transaction. */
  readonly endorsements: number;
  readonly organisations: readonly ProfileOrganisation[];
}

/**
 * Reads a profile. In the file, paths are relative to the file's folder; in the answer they are absolute.
 * Throws a sentence naming the field when the file is not exactly a profile.
 */
export function readProfile(path: string): NetworkProfile {
  const folder = dirname(resolve(path));
  try {
    return parseProfile(JSON.parse(readFileSync(path, 'utf8')), (file) => resolve(folder, file));
  } catch (cause) {
    throw new Error(
      `${path} is no connection profile: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Writes a profile for `readProfile`, whole or not at all. */
export function writeProfile(path: string, profile: NetworkProfile): void {
  const folder = dirname(resolve(path));
  const portable = parseProfile(profile, (file) => relative(folder, file));
  writeFileSync(`${path}.new`, `${JSON.stringify(portable, undefined, 2)}\n`);
  renameSync(`${path}.new`, path);
}

type PathOf = (file: string) => string;

function parseProfile(value: unknown, pathOf: PathOf): NetworkProfile {
  const fields = object(value, 'profile', [
    'channel',
    'chaincode',
    'development',
    'endorsements',
    'organisations',
  ]);
  const { development, endorsements, organisations } = fields;
  if (typeof development !== 'boolean') throw new Error('development must be true or false');
  if (!Array.isArray(organisations) || organisations.length === 0)
    throw new Error('organisations must be a list');
  if (
    !Number.isInteger(endorsements) ||
    Number(endorsements) < 1 ||
    Number(endorsements) > organisations.length
  ) {
    throw new Error('endorsements must be a number of organisations');
  }
  return {
    channel: text(fields, 'channel'),
    chaincode: text(fields, 'chaincode'),
    development,
    endorsements: Number(endorsements),
    organisations: organisations.map((organisation) => parseOrganisation(organisation, pathOf)),
  };
}

function parseOrganisation(value: unknown, pathOf: PathOf): ProfileOrganisation {
  const fields = object(
    value,
    'organisation',
    ['mspId', 'kind', 'gateway', 'ca', 'identities'],
    ['tls', 'client'],
  );
  const { service, admin } = object(fields['identities'], 'identities', ['service', 'admin']);
  const kind = MEMBER_KINDS.find((known) => known === fields['kind']);
  if (!kind) throw new Error(`kind must be one of ${MEMBER_KINDS.join(', ')}`);
  return {
    mspId: text(fields, 'mspId'),
    kind,
    gateway: text(fields, 'gateway'),
    ca: text(fields, 'ca'),
    ...(fields['tls'] === undefined ? {} : { tls: pathOf(text(fields, 'tls')) }),
    ...(fields['client'] === undefined ? {} : { client: parseIdentity(fields['client'], pathOf) }),
    identities: { service: parseIdentity(service, pathOf), admin: parseIdentity(admin, pathOf) },
  };
}

function parseIdentity(value: unknown, pathOf: PathOf): ProfileIdentity {
  const fields = object(value, 'identity', ['certificate', 'key']);
  return { certificate: pathOf(text(fields, 'certificate')), key: pathOf(text(fields, 'key')) };
}
