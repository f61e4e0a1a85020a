import * as z from 'zod/mini';
import { toBase64url, utf8 } from './bytes.ts';
import { canonical } from './canonical.ts';
import { checked, entryText, toEntry, type Entry } from './entry.ts';
import { TraceError } from './error.ts';
import { leafHash } from './merkle.ts';
import { hash, id, int, minute } from './rules/fields.ts';
import type { Suite } from './suite.ts';

/** What the ledger made of an accepted entry: the log's leaf. */
export interface Record {
  entry: Entry;
  /** its place in its subject's trail, from 1 */
  seq: number;
  /** the leaf hash of the subject's record before it, base64url; '' for the first */
  prev: string;
  /** its place in its organisation's log, from 0 */
  index: number;
  /** the minute of the transaction that carried it */
  at: string;
  /** the rule set it was judged by */
  rules: string;
}

const schema = z.strictObject({
  entry: z.unknown(),
  seq: int(1, Number.MAX_SAFE_INTEGER),
  prev: z.union([z.literal(''), hash]),
  index: int(0, Number.MAX_SAFE_INTEGER),
  at: minute,
  rules: id,
});

/** The record in a value that came from outside. Throws RECORD_MALFORMED or ENTRY_MALFORMED with the place. */
export function toRecord(value: unknown): Record {
  const record = checked(schema, value, 'RECORD_MALFORMED');
  try {
    // The schemas leave open fields as they are: what could not have been hashed is no record.
    canonical(record);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new TraceError('RECORD_MALFORMED', error.message, { place: error.place, cause: error });
  }
  try {
    return { ...record, entry: toEntry(record.entry) };
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new TraceError(error.code, error.message, { place: `/entry${error.place}`, cause: error });
  }
}

/** A record's canonical text; its entry's is written once. Throws what canonical throws. */
export function recordText({ at, entry, index, prev, rules, seq }: Record): string {
  const rest = canonical({ index, prev, rules, seq }).slice(1);
  return `{"at":${canonical(at)},"entry":${entryText(entry)},${rest}`;
}

/** The bytes that the log's leaf commits to. */
export const recordBytes = (record: Record): Uint8Array => utf8(recordText(record));

/** The record's leaf hash (RFC 6962 §2.1), base64url: the `prev` of the next record of its subject. */
export const leafOf = (record: Record, sha256: Suite['sha256']): string =>
  toBase64url(leafHash(recordBytes(record), sha256));
