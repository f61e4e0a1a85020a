import {
  assertP256Key,
  at as keyOf,
  canonical,
  fromBase64url,
  memberSchema,
  parseCanonical,
  RULE_SETS,
  siteSchema,
  stationSchema,
  ROLES,
  type Log,
  type Member,
  type Site,
  type Station,
  type Subject,
} from '@yaoji/chaincode/core';
import * as z from 'zod/mini';

// Who takes part: members, sites, stations, devices. Each function turns one request into the keys to write; what it reads,
// it reads through `read`. A refusal throws `CODE: sentence`, which reaches the client as the chaincode's message.

export type Read = (key: string) => Promise<string | undefined>;
export type Writes = [key: string, value: string][];
/** The Fabric identity that asks: its organisation, and the role attribute of its certificate. */
export interface Caller {
  org: string;
  role: string | null;
}

/** Set once, when the consortium is founded. */
const CONSORTIUM = 'consortium';

/** What entries can name: `id` of core's fields. */
const name = z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/));
const newMember = z.extend(memberSchema, { org: name });
const founding = z.array(newMember).check(
  z.minLength(1),
  z.maxLength(64),
  z.refine(
    (members) => new Set(members.map(({ org }) => org)).size === members.length,
    'a member stands twice',
  ),
);
const newSite = z.extend(siteSchema, { site: name });
const newStation = z.extend(z.omit(stationSchema, { org: true, enrolled: true, revoked: true }), {
  station: name,
});
const newDevice = z.strictObject({ device: z.string().check(z.regex(/^[A-Za-z0-9_-]{21}[AQgw]$/)) });

export class Refused extends Error {
  constructor(code: string, sentence: string) {
    super(`${code}: ${sentence}`);
  }
}

function argument<T extends z.ZodMiniType>(schema: T, text: string): z.infer<T> {
  let value: unknown;
  try {
    value = parseCanonical(text);
  } catch {
    throw new Refused('ARGUMENT_BAD', 'the argument is not canonical JSON');
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new Refused('ARGUMENT_BAD', result.error.issues[0]?.message ?? 'malformed');
  return result.data;
}

export function requireRole({ role }: Caller, needed: 'admin' | 'service'): void {
  if (role !== needed) throw new Refused('ROLE_MISSING', `this needs a certificate with the role ${needed}`);
}

async function member(org: string, read: Read): Promise<Member> {
  const text = await read(keyOf.member(org));
  if (text === undefined) throw new Refused('MEMBER_UNKNOWN', 'this organisation is not a member');
  return parseCanonical(text) as unknown as Member;
}

/** Names the first members. Once; by an administrator of one of them. */
export async function found(text: string, caller: Caller, read: Read): Promise<Writes> {
  requireRole(caller, 'admin');
  const members = argument(founding, text);
  if (!members.some(({ org }) => org === caller.org))
    throw new Refused('NOT_A_FOUNDER', 'the founders do not name you');
  if ((await read(CONSORTIUM)) !== undefined)
    throw new Refused('ALREADY_FOUNDED', 'the consortium was founded before');
  return [
    [CONSORTIUM, canonical({ founder: caller.org })],
    ...members.map(({ org, ...rest }): Writes[number] => [keyOf.member(org), canonical(rest)]),
  ];
}

/** Adds a member; by an administrator of a regulator. Again with the same content: no change. */
export async function addMember(text: string, caller: Caller, read: Read): Promise<Writes> {
  requireRole(caller, 'admin');
  const { org, ...rest } = argument(newMember, text);
  if ((await member(caller.org, read)).kind !== 'regulator')
    throw new Refused('NOT_A_REGULATOR', 'only a regulator adds members');
  return once(keyOf.member(org), canonical(rest), read, 'MEMBER_EXISTS');
}

/** Registers a site of the caller's organisation, or changes its names or its rule set. */
export async function putSite(text: string, caller: Caller, read: Read): Promise<Writes> {
  requireRole(caller, 'admin');
  const { site, ...rest } = argument(newSite, text);
  await member(caller.org, read);
  if (!RULE_SETS.has(rest.rules)) throw new Refused('RULES_UNKNOWN', 'no such rule set was published');
  return [[keyOf.site(caller.org, site), canonical(rest satisfies Site)]];
}

/** Registers a device of the caller's organisation, idle and clean. Again: no change. */
export async function registerDevice(text: string, caller: Caller, read: Read): Promise<Writes> {
  requireRole(caller, 'service');
  const { device } = argument(newDevice, text);
  if ((await member(caller.org, read)).kind !== 'decoction')
    throw new Refused('NOT_A_CENTRE', 'only decoction centres have devices');
  const existing = await read(keyOf.subject(device));
  if (existing !== undefined) {
    const { state } = parseCanonical(existing) as unknown as Subject;
    if (state.kind === 'DEV' && state.org === caller.org) return [];
    throw new Refused('SUBJECT_EXISTS', 'this key is taken');
  }
  const subject: Subject = {
    state: { kind: 'DEV', org: caller.org, own: { phase: 'REGISTERED', moved: 0 }, linked: { dirty: false } },
    seq: 0,
    head: '',
  };
  return [[keyOf.subject(device), canonical(subject)]];
}

/** Enrols a station of the caller's organisation from its log's present size on. Again with the same content: no change. */
export async function enrolStation(text: string, caller: Caller, read: Read): Promise<Writes> {
  requireRole(caller, 'service');
  const { station, ...rest } = argument(newStation, text);
  const { kind } = await member(caller.org, read);
  if (rest.roles.some((role) => ROLES[role] !== kind))
    throw new Refused('ROLE_NOT_ALLOWED', `a ${kind} has no such role`);
  if ((await read(keyOf.site(caller.org, rest.site))) === undefined)
    throw new Refused('SITE_UNKNOWN', 'no such site');
  try {
    assertP256Key(fromBase64url(rest.key));
  } catch {
    throw new Refused('KEY_BAD', 'the key is not a P-256 SubjectPublicKeyInfo');
  }
  const existing = await read(keyOf.station(station));
  if (existing !== undefined) {
    const { enrolled, ...known } = parseCanonical(existing) as unknown as Station;
    if (canonical(known) === canonical({ ...rest, org: caller.org })) return [];
    throw new Refused('STATION_EXISTS', `the station was enrolled otherwise at size ${enrolled}`);
  }
  const log = await read(keyOf.log(caller.org));
  const enrolled = log === undefined ? 0 : (parseCanonical(log) as unknown as Log).size;
  return [[keyOf.station(station), canonical({ ...rest, org: caller.org, enrolled } satisfies Station)]];
}

/** Revokes a station of the caller's organisation from its log's present size on. Again: no change. */
export async function revokeStation(station: string, caller: Caller, read: Read): Promise<Writes> {
  requireRole(caller, 'service');
  const existing = await read(keyOf.station(station));
  const known = existing === undefined ? undefined : (parseCanonical(existing) as unknown as Station);
  if (known?.org !== caller.org)
    throw new Refused('STATION_UNKNOWN', 'your organisation has no such station');
  if (known.revoked !== undefined) return [];
  const log = await read(keyOf.log(caller.org));
  const revoked = log === undefined ? 0 : (parseCanonical(log) as unknown as Log).size;
  return [[keyOf.station(station), canonical({ ...known, revoked } satisfies Station)]];
}

async function once(key: string, value: string, read: Read, code: string): Promise<Writes> {
  const existing = await read(key);
  if (existing === value) return [];
  if (existing !== undefined) throw new Refused(code, 'it exists already with other content');
  return [[key, value]];
}
