import { createHash, randomBytes } from 'node:crypto';
import {
  at as keyOf,
  canonical,
  commit,
  disclosureDigest,
  entrySchema,
  parseDisclosure,
  pointer,
  RULES,
  statementSchema,
  toEntry,
  TraceError,
  type Entry,
  type Json,
  type Rule,
  type Statement,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import type * as z from 'zod/mini';
import { schemaFaults } from '../schema-faults.ts';
import type { Principal, Rejection } from '../service.ts';
import type { HostedKeys } from './hosted-keys.ts';

// Reading what was posted: nothing here looks into the store or the ledger.

/** An item as it was understood: who says it, and how it becomes an entry if it is new. */
export interface Said {
  /** whose key brought it */
  principal: Principal;
  station: string;
  n: number;
  step: string;
  subject: string;
  links: readonly string[];
  /** the members, sites and stations that it is judged by: their keys on the ledger */
  registry: readonly string[];
  bodyHash: Uint8Array;
  sign(): { entry: Entry; disclosures: string[] };
}

export const nameOf = ({ station, n }: Pick<Said, 'station' | 'n'>): string => `${station} ${n}`;

/** What is wrong with an item, as its caller is told. */
export class Rejected extends Error {
  readonly rejection: Rejection;
  constructor(code: Rejection['code'], place: string, detail: string) {
    super(detail);
    this.rejection = { code, pointer: place, detail };
  }
}

/** What an item says. Throws Rejected: then nothing is stored of it, and its n stays free. */
export function understand(keys: HostedKeys, principal: Principal, item: Json): Said {
  if (typeof item !== 'object' || Array.isArray(item))
    throw new Rejected('ITEM_MALFORMED', '', 'an item is an object');
  const names = Object.keys(item).sort().join(' ');
  if (names === 'statement') return understandStatement(keys, principal, item['statement']!);
  if (names === 'disclosures entry') return understandEntry(principal, item['entry']!, item['disclosures']!);
  throw new Rejected('ITEM_MALFORMED', '', 'an item is {statement} or {entry, disclosures}');
}

/** A statement of a hosted station, whose key signs it when it is new. Throws Rejected. */
export function understandStatement(keys: HostedKeys, principal: Principal, value: Json): Said {
  const parsed = statementSchema.safeParse(value);
  if (!parsed.success) throw malformed(parsed.error, value, (path) => `/statement${pointer(path)}`);
  const statement: Statement = parsed.data;
  ownOnly(principal, statement, '/statement');
  const rule = ruleOf(statement.step, '/statement/step');
  checkPayload(rule, statement.payload, (path) => `/statement/payload${pointer(path)}`);
  return {
    ...identityOf(principal, statement, statement.payload),
    bodyHash: hashOf({ statement: value }),
    sign() {
      const { entry, disclosures } = commit(
        statement,
        rule.openFields,
        () => randomBytes(16),
        nodeSuite.sha256,
      );
      const signed = keys.sign(entry);
      if (!signed)
        throw new Rejected(
          'STATION_NOT_HOSTED',
          '/statement/station',
          'the service holds no key of this station',
        );
      return { entry: readable(signed, '/statement'), disclosures };
    },
  };
}

function understandEntry(principal: Principal, value: Json, shown: Json): Said {
  const entry = readable(value, '/entry');
  ownOnly(principal, entry, '/entry');
  const rule = ruleOf(entry.step, '/entry/step');
  if (!Array.isArray(shown) || shown.length > 64)
    throw new Rejected('ITEM_MALFORMED', '/disclosures', 'a list is expected');
  const payload: Record<string, Json> = { ...entry.open };
  const places = new Map<PropertyKey, string>();
  const disclosures = shown.map((text, i) => {
    const place = `/disclosures/${i}`;
    if (typeof text !== 'string') throw new Rejected('ITEM_MALFORMED', place, 'a disclosure is a text');
    try {
      const { name, value: field } = parseDisclosure(text);
      if (!entry.digests.includes(disclosureDigest(text, nodeSuite.sha256)) || Object.hasOwn(payload, name))
        throw new Rejected('DISCLOSURE_FOREIGN', place, 'the entry does not commit to this disclosure');
      if (!Object.hasOwn(rule.sealed, name))
        throw new Rejected('ENTRY_MALFORMED', place, `${entry.step} has no such field to hide`);
      payload[name] = field;
      places.set(name, place);
    } catch (error) {
      if (error instanceof TraceError) throw new Rejected('ITEM_MALFORMED', place, error.message);
      throw error;
    }
    return text;
  });
  if (new Set(disclosures).size !== entry.digests.length)
    throw new Rejected('DISCLOSURE_FOREIGN', '/disclosures', 'every digest comes with its disclosure, once');
  checkOpen(rule, entry.open, '/entry/open');
  // What a disclosure holds is not a part of the body: the disclosure is the nearest place.
  checkPayload(rule, payload, ([name = '']) => places.get(name) ?? '/disclosures');
  return {
    ...identityOf(principal, entry, entry.open),
    bodyHash: hashOf({ entry: value, disclosures: shown }),
    sign: () => ({ entry, disclosures }),
  };
}

const identityOf = (
  principal: Principal,
  { station, n, step, subject, links = [], org, site }: Statement | Entry,
  { to }: Readonly<Record<string, Json>>,
): Omit<Said, 'bodyHash' | 'sign'> => ({
  principal,
  station,
  n,
  step,
  subject,
  links,
  registry: [
    keyOf.member(org),
    keyOf.site(org, site),
    keyOf.station(station),
    ...(typeof to === 'string' ? [keyOf.member(to)] : []),
  ],
});

/** The entry in a value; what is stored must be readable for ever. */
function readable(value: unknown, place: string): Entry {
  try {
    return toEntry(value);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    // The schema is asked again only here: it tells an unknown field from a missing one.
    const found = entrySchema.safeParse(value).error;
    if (found) throw malformed(found, value, (path) => place + pointer(path));
    throw new Rejected('ENTRY_MALFORMED', place + error.place, error.message);
  }
}

const hashOf = (body: Json): Uint8Array => createHash('sha256').update(canonical(body)).digest();

function ownOnly(principal: Principal, { org, site }: Statement | Entry, place: string): void {
  if (org !== principal.org)
    throw new Rejected('PRINCIPAL_FOREIGN', `${place}/org`, 'this key speaks for another organisation');
  if (site !== principal.site)
    throw new Rejected('PRINCIPAL_FOREIGN', `${place}/site`, 'this key speaks for another site');
}

function ruleOf(step: string, place: string): Rule {
  const rule = Object.hasOwn(RULES, step) ? RULES[step] : undefined;
  if (!rule) throw new Rejected('ENTRY_MALFORMED', place, `there is no step ${step}`);
  return rule;
}

function checkOpen(rule: Rule, open: Entry['open'], place: string): void {
  const result = rule.openSchema.safeParse(open);
  if (!result.success) throw malformed(result.error, open, (path) => place + pointer(path));
}

type PlaceOf = (path: readonly PropertyKey[]) => string;

function checkPayload(rule: Rule, payload: Readonly<Record<string, Json>>, placeOf: PlaceOf): void {
  const result = rule.payloadSchema.safeParse(payload);
  if (!result.success) throw malformed(result.error, payload, placeOf);
}

/** The first of the faults that a schema found in a value. */
function malformed(error: z.core.$ZodError, value: unknown, placeOf: PlaceOf): Rejected {
  const { code, path, message } = schemaFaults(error, value)[0]!;
  return new Rejected(code, placeOf(path), message);
}
