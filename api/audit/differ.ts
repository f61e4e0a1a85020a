import type { Json } from '@yaoji/chaincode/core';

/** One place where the store and the ledger, or two parts of the store, do not agree. */
export interface Difference {
  /** the store's table; `ledger`: the ledger contradicts itself or its own rules */
  table: string;
  /** the row, by its key */
  key: string;
  what: string;
}
export type Differ = (table: string, key: string, what: string) => void;

/** How far two clocks may stand apart: what the ledger's rules allow a scanner's. */
export const SKEW = '5 minutes';
export const SKEW_MS = 5 * 60_000;

/** The first place where two JSON texts differ, as a JSON pointer and what is there, for people. */
export function firstDifference(found: string, expected: string): string {
  let values: Json[];
  try {
    values = [found, expected].map((text) => JSON.parse(text) as Json);
  } catch {
    return 'it is not JSON';
  }
  return inside(values[0], values[1], '') ?? 'the text is not canonical JSON';
}

function inside(found: Json | undefined, expected: Json | undefined, place: string): string | undefined {
  if (isObject(found) && isObject(expected)) {
    for (const name of [...new Set([...Object.keys(found), ...Object.keys(expected)])].sort()) {
      const difference = inside(member(found, name), member(expected, name), `${place}/${name}`);
      if (difference) return difference;
    }
    return undefined;
  }
  if (found === expected) return undefined;
  return `${place || '/'} is ${shown(found)}, the ledger has ${shown(expected)}`;
}

type Members = Readonly<Record<string, Json>>;
const isObject = (value: Json | undefined): value is Json & Members =>
  typeof value === 'object' && value !== null;
const member = (value: Members, name: string): Json | undefined =>
  Object.hasOwn(value, name) ? value[name] : undefined;

function shown(value: Json | undefined): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
