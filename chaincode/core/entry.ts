import * as z from 'zod/mini';
import { fromBase64url, fromUtf8, toBase64url, utf8 } from './bytes.ts';
import { canonical, parseCanonical, type Json } from './canonical.ts';
import { TraceError } from './error.ts';
import { assertLowS } from './fabric/signature.ts';
import { hash, id, int, key, list, maybe, minute, signature } from './rules/fields.ts';
import { ES256, type Suite } from './suite.ts';

// An entry is the public, signed commitment to one custody event: canonical JSON of a small header, the fields that the
// rules need in the open, salted digests of all others, and the station's signature over all of it.

/** The header of a statement: what was done, to what, by which station, when (to the minute). */
const header = {
  step: z.string().check(z.regex(/^[A-Z_]{3,32}$/)),
  subject: key,
  links: maybe(list(key, 1, 16)),
  org: id,
  site: id,
  station: id,
  n: int(1, Number.MAX_SAFE_INTEGER),
  time: minute,
};

/** What a station says before anything is hidden: the header and the full payload. A hosted station's body over HTTP. */
export const statementSchema = z.strictObject({ ...header, payload: z.record(z.string(), z.custom<Json>()) });
export type Statement = z.infer<typeof statementSchema>;

export const entrySchema = z.strictObject({
  v: z.literal(1),
  suite: z.literal(ES256),
  ...header,
  open: z.record(z.string(), z.custom<Json>()),
  digests: list(hash, 0, 64),
  sig: signature,
});
export type Entry = z.infer<typeof entrySchema>;
export type UnsignedEntry = Omit<Entry, 'sig'>;

/** An entry's canonical text may be this long (UTF-16 units): C2SP tiles hold records of up to 65,535 bytes. */
export const MAX_ENTRY = 16_384;

/** Reads an entry's canonical text. Throws ENTRY_MALFORMED with the place. The payload's meaning is not looked at here. */
export function parseEntry(line: string): Entry {
  if (line.length > MAX_ENTRY)
    throw new TraceError('ENTRY_MALFORMED', `an entry has at most ${MAX_ENTRY} characters`);
  let value: Json;
  try {
    value = parseCanonical(line);
  } catch (cause) {
    throw new TraceError('ENTRY_MALFORMED', (cause as Error).message, { cause });
  }
  const entry = toEntry(value);
  texts.set(entry, line);
  return entry;
}

// An entry is written down several times on its way: to be signed, to be sent, as a part of its record. It never changes.
const texts = new WeakMap<Entry, string>();

/** An entry's canonical text. The entry is not to be changed after. Throws what canonical throws. */
export function entryText(entry: Entry): string {
  const known = texts.get(entry);
  if (known !== undefined) return known;
  const text = canonical(entry);
  texts.set(entry, text);
  return text;
}

/** The entry in a value that came from outside. Throws ENTRY_MALFORMED with the place. */
export function toEntry(value: unknown): Entry {
  const entry = checked(entrySchema, value, 'ENTRY_MALFORMED');
  for (const [name, items] of Object.entries({ digests: entry.digests, links: entry.links ?? [] }))
    if (items.some((item, i) => i > 0 && items[i - 1]! >= item))
      throw new TraceError('ENTRY_MALFORMED', `${name} are sorted and each stands once`, {
        place: `/${name}`,
      });
  return entry;
}

/** The value as the schema types it. Throws `code` with the first problem's sentence and its place as a JSON pointer. */
export function checked<T extends z.ZodMiniType>(
  schema: T,
  value: unknown,
  code: 'ENTRY_MALFORMED' | 'RECORD_MALFORMED' | 'BUNDLE_MALFORMED' | 'TRUST_MALFORMED',
): z.infer<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new TraceError(code, issue?.message ?? 'malformed', { place: pointer(issue?.path ?? []) });
}

/** RFC 6901. */
export const pointer = (path: readonly PropertyKey[]): string =>
  path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** The bytes that the station signs: the entry's canonical JSON without its signature. */
export function signedBytes(entry: Entry | (UnsignedEntry & { sig?: never })): Uint8Array {
  if (entry.sig === undefined) return utf8(canonical(entry));
  const text = entryText(entry);
  const member = `"sig":${JSON.stringify(entry.sig)},`;
  // No member behind it has members of its own, so the last one of this name is the entry's.
  const at = text.lastIndexOf(member);
  return utf8(text.slice(0, at) + text.slice(at + member.length));
}

/** One field shown to somebody: its salt, name and value, as RFC 9901 §4.2.1 writes them. */
export interface Disclosure {
  salt: string;
  name: string;
  value: Json;
}

/** base64url of the canonical array [salt, name, value]. `salt`: at least 128 random bits, base64url. */
export const printDisclosure = ({ salt, name, value }: Disclosure): string =>
  toBase64url(utf8(canonical([salt, name, value])));

/** Reads a disclosure. Throws DISCLOSURE_MALFORMED for any text that printDisclosure would not write. */
export function parseDisclosure(text: string): Disclosure {
  try {
    const parts = parseCanonical(fromUtf8(fromBase64url(text)));
    if (Array.isArray(parts) && parts.length === 3) {
      const [salt, name, value] = parts;
      if (typeof salt === 'string' && typeof name === 'string' && fromBase64url(salt).length >= 16)
        return { salt, name, value: value! };
    }
  } catch (cause) {
    throw new TraceError('DISCLOSURE_MALFORMED', 'this is not a disclosure', { cause });
  }
  throw new TraceError('DISCLOSURE_MALFORMED', 'a disclosure is [salt of 128 bits or more, name, value]');
}

/** The digest that commits to a disclosure: SHA-256 of its text (RFC 9901 §4.2.3), base64url. */
export const disclosureDigest = (text: string, sha256: Suite['sha256']): string =>
  toBase64url(sha256(utf8(text)));

/**
 * Turns a statement into the entry to sign and the disclosures to keep apart from it. `openNames` stay in the open; every
 * other field is hidden behind a digest with its own salt. `salts(k)` gives the salt of field k: 16 random bytes.
 */
export function commit(
  statement: Statement,
  openNames: ReadonlySet<string>,
  salts: (field: number) => Uint8Array,
  sha256: Suite['sha256'],
): { entry: UnsignedEntry; disclosures: string[] } {
  const { payload, links, ...rest } = statement;
  const open: Record<string, Json> = {};
  const hidden: [string, Json][] = [];
  for (const [name, value] of Object.entries(payload)) {
    if (openNames.has(name)) open[name] = value;
    else hidden.push([name, value]);
  }
  const disclosures = hidden.map(([name, value], field) =>
    printDisclosure({ salt: toBase64url(salts(field)), name, value }),
  );
  const digests = disclosures.map((text) => disclosureDigest(text, sha256)).sort();
  return {
    entry: {
      v: 1,
      suite: ES256,
      ...rest,
      ...(links?.length ? { links: [...links].sort() } : {}),
      open,
      digests,
    },
    disclosures,
  };
}

/** Whether the station whose key this is (base64url of DER SubjectPublicKeyInfo) signed the entry, with low s. */
export async function verifyEntry(entry: Entry, stationKey: string, suite: Suite): Promise<boolean> {
  const sig = fromBase64url(entry.sig);
  try {
    // Were (r, n − s) accepted as well, one statement would have two entries.
    assertLowS(sig);
  } catch {
    return false;
  }
  return suite.verify(fromBase64url(stationKey), signedBytes(entry), sig);
}
