import { canonical, parseCanonical } from '../canonical.ts';
import type { State, Kind } from '../rules/state.ts';
import type { Role } from '../rules/table.ts';

// The ledger's state: which keys there are and what stands under each. Values are canonical JSON text. The contract keeps
// them on Fabric; the API keeps a mirror of them, and a view shows some of them.

/** A member of the consortium; its id is its Fabric MSP id. */
export interface Member {
  kind: Kind;
  zh: string;
  en: string;
}
export interface Site {
  zh: string;
  en: string;
  /** the id of the rule set it works under */
  rules: string;
}
/** An enrolled signing key. Rarely changes. */
export interface Station {
  org: string;
  site: string;
  roles: Role[];
  /** DER SubjectPublicKeyInfo of a P-256 key, base64url */
  key: string;
  /** whether the service holds the key */
  hosted: boolean;
  /** the size of its organisation's log when it was enrolled, and when it was revoked */
  enrolled: number;
  revoked?: number;
}
/** The numbers a station has spent: the newest, and a ring of the last 1,024 as bits, base64url. */
export interface Window {
  top: number;
  ring: string;
}
/** One organisation's log. */
export interface Log {
  /** how many batches were recorded */
  batch: number;
  size: number;
  /** base64url */
  root: string;
  /** base64url, largest subtree first */
  frontier: string[];
}
/** A subject: its state and the end of its trail. */
export interface Subject {
  state: State;
  /** how many records its trail has, and the leaf hash of the last, base64url; 0 and '' for a device that did nothing yet */
  seq: number;
  head: string;
}
/** What a token's commitment leads to. */
export interface TokenTarget {
  package: string;
}

/** The keys of the ledger's state. */
export const at = {
  member: (org: string): string => `member~${org}`,
  site: (org: string, site: string): string => `site~${org}~${site}`,
  station: (station: string): string => `station~${station}`,
  window: (station: string): string => `window~${station}`,
  log: (org: string): string => `log~${org}`,
  subject: (key: string): string => `subject~${key}`,
  token: (commitment: string): string => `token~${commitment}`,
};

/** Values by key; undefined: there is none. */
export type Values = ReadonlyMap<string, string | undefined>;

/**
 * A run's own view of the state: what was read before it began, under what it has written itself. Fabric answers reads with
 * what was committed, never with what the transaction has put (readwrite.rst), so the overlay is ours.
 */
export class World {
  private readonly before: Values;
  private readonly written = new Set<string>();
  private readonly parsed = new Map<string, unknown>();

  constructor(before: Values) {
    this.before = before;
  }

  /** The value under a key that was read before; never change what it gives. Throws for a key that was not read. */
  get<T>(key: string): T | undefined {
    if (!this.parsed.has(key)) {
      const text = this.before.get(key);
      if (text === undefined && !this.before.has(key)) throw new Error(`invariant: ${key} was not read`);
      this.parsed.set(key, text === undefined ? undefined : parseCanonical(text));
    }
    return this.parsed.get(key) as T | undefined;
  }

  /** The value is not to be changed after. */
  put(key: string, value: object): void {
    this.written.add(key);
    this.parsed.set(key, value);
  }

  /** What was written, sorted by key: the order of a map must never reach a read-write set. */
  writes(): [key: string, value: string][] {
    return [...this.written].sort().map((key) => [key, canonical(this.parsed.get(key))]);
  }
}
