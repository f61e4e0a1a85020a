import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { expect } from 'chai';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  at as keyOf,
  canonical,
  commit,
  DEFAULT_RULE_SET,
  element,
  inclusionElements,
  keysOf,
  parseMinute,
  readLines,
  refereeBatch,
  RULES,
  signedBytes,
  toBase64url,
  toLowS,
  type Answer,
  type Entry,
  type Kind,
  type Record as LedgerRecord,
  type Refusal,
  type Role,
  type Statement,
  type Verdict,
} from '@yaoji/chaincode/core';
import {
  referenceStory,
  STORY_STATIONS,
  type Story,
  type StoryStationName,
  type Told,
} from '@yaoji/scripts/reference-story';
import { sign } from 'node:crypto';

// A consortium in memory: real keys, real signatures, the real referee; only the ledger under it is a Map.

export const CHANNEL = 'test';

/** Members, each with one site; the second of a kind is there for what only strangers try. */
export const MEMBERS: Readonly<Record<string, Kind>> = {
  HospitalMSP: 'hospital',
  CentreMSP: 'decoction',
  CourierMSP: 'courier',
  RegulatorMSP: 'regulator',
  OtherHospitalMSP: 'hospital',
  OtherCentreMSP: 'decoction',
  OtherCourierMSP: 'courier',
};

/** A station of every role at each other member of the kind: its name is `other` and the story station's. */
const OTHERS: Readonly<Record<string, string>> = {
  hospital: 'OtherHospitalMSP',
  decoction: 'OtherCentreMSP',
  courier: 'OtherCourierMSP',
};
const HOME: Readonly<Record<Kind, string>> = {
  hospital: 'HospitalMSP',
  decoction: 'CentreMSP',
  courier: 'CourierMSP',
  regulator: 'RegulatorMSP',
};
export type TestStationName = StoryStationName | `other-${StoryStationName}`;
export interface TestStation {
  readonly id: string;
  readonly org: string;
  readonly site: string;
  readonly roles: readonly Role[];
  readonly hosted: boolean;
  readonly privateKey: KeyObject;
  /** DER SubjectPublicKeyInfo, base64url */
  readonly key: string;
}

export const siteOf = (org: string): string => `${org}-1`;

function station(id: string, org: string, roles: readonly Role[], hosted: boolean): TestStation {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = toBase64url(publicKey.export({ type: 'spki', format: 'der' }));
  return { id, org, site: siteOf(org), roles, hosted, privateKey, key };
}

export const STATIONS = Object.fromEntries(
  Object.entries(STORY_STATIONS).flatMap(([name, { kind, roles, hosted }]) => {
    const other = OTHERS[kind];
    return [
      [name, station(name, HOME[kind], roles, hosted)],
      ...(other === undefined ? [] : [[`other-${name}`, station(`other-${name}`, other, roles, hosted)]]),
    ];
  }),
) as Record<TestStationName, TestStation>;

/** A random-looking key that is the same in every run. */
export const keyFrom = (seed: string): string =>
  toBase64url(createHash('sha256').update(seed).digest().subarray(0, 16));

export const KEYS = {
  prescription: keyFrom('prescription'),
  fulfilment: keyFrom('fulfilment'),
  package: keyFrom('package'),
  device: keyFrom('device'),
};
export const DEVICES = [KEYS.device, keyFrom('second device'), keyFrom('third device')];
export const FOREIGN_DEVICE = keyFrom("another centre's device");
export const TOKEN = '7ZQ3M0K9XV4T1S8R5P2NBCDEFG';
export const STORY: Story = {
  day: '2026-03-10',
  keys: KEYS,
  orgs: { hospital: 'HospitalMSP', decoction: 'CentreMSP', courier: 'CourierMSP' },
  sites: {
    hospital: siteOf('HospitalMSP'),
    decoction: siteOf('CentreMSP'),
    courier: siteOf('CourierMSP'),
  },
  stations: Object.fromEntries(Object.keys(STORY_STATIONS).map((name) => [name, name])) as Story['stations'],
  token: TOKEN,
  sealNo: 'S-88231',
  handover: keyFrom('handover'),
  staffKey: createHash('sha256').update('the key of CentreMSP').digest(),
  sha256: nodeSuite.sha256,
};

/** Something that a station does. */
export interface Act {
  readonly by: TestStationName;
  readonly statement: Omit<Statement, 'n'>;
  /** the minute of the transaction; by default the event's */
  readonly at?: number;
  /** the station's number; by default the next */
  readonly n?: number;
}

/** What may be different about an act. A payload's fields replace those of the same name; undefined takes one away. */
export interface Change {
  by?: TestStationName;
  subject?: string;
  links?: string[];
  time?: string;
  /** minutes that the event is moved by */
  later?: number;
  payload?: { [name: string]: unknown };
  step?: string;
  at?: number;
  n?: number;
}

export function changed(act: Act, change: Change): Act {
  const { by = act.by, payload, later = 0, at = act.at, n = act.n, ...header } = change;
  const { org, site, id } = STATIONS[by];
  const { links, ...statement } = { ...act.statement, ...header };
  return {
    by,
    statement: {
      ...statement,
      ...(links?.length ? { links } : {}),
      org,
      site,
      station: id,
      time: laterBy(statement.time, later),
      payload: Object.fromEntries(
        Object.entries({ ...statement.payload, ...payload }).filter(([, value]) => value !== undefined),
      ) as Statement['payload'],
    },
    ...(at === undefined ? {} : { at }),
    ...(n === undefined ? {} : { n }),
  };
}

function laterBy(time: string, minutes: number): string {
  return new Date(Date.parse(time) + minutes * 60_000).toISOString().replace(/:\d\d\.\d+Z$/, 'Z');
}

const REFERENCE: readonly Told[] = referenceStory(STORY);
/** The whole reference story. */
export const reference = (): Act[] => [...REFERENCE];

function placeOf(step: string, nth: number): number {
  let seen = 0;
  const place = REFERENCE.findIndex(({ statement }) => statement.step === step && ++seen === nth);
  if (place < 0) throw new Error(`the story has no ${nth}. ${step}`);
  return place;
}
/** The reference story's nth step of this name, changed. */
export const the = (step: string, change: Change = {}, nth = 1): Act =>
  changed(REFERENCE[placeOf(step, nth)]!, change);
/** The reference story up to and including its nth step of this name. */
export const until = (step: string, nth = 1): Act[] => REFERENCE.slice(0, placeOf(step, nth) + 1);
/** The reference story before its nth step of this name. */
export const before = (step: string, nth = 1): Act[] => REFERENCE.slice(0, placeOf(step, nth));
/** The reference story without its nth step of this name. */
export const without = (acts: readonly Act[], step: string, nth = 1): Act[] => {
  const gone = REFERENCE[placeOf(step, nth)];
  return acts.filter((act) => act !== gone);
};

/** A record of the log and what its station keeps of it. */
export interface Kept {
  readonly record: LedgerRecord;
  readonly disclosures: readonly string[];
}

/** The ledger's state, and what an API would have stored beside it. */
export class TestLedger {
  readonly values: Map<string, string>;
  /** which batch last wrote a key */
  readonly versions: Map<string, number>;
  readonly kept: Kept[];
  /** the tree's nodes by organisation, level and index */
  readonly nodes: Map<string, Uint8Array>;
  private readonly next: Map<string, number>;
  private batches: number;

  constructor(from?: TestLedger) {
    this.values = new Map(from ? from.values : founded());
    this.versions = new Map(from?.versions ?? [...this.values.keys()].map((key) => [key, 1]));
    this.kept = [...(from?.kept ?? [])];
    this.nodes = new Map(from?.nodes);
    this.next = new Map(from?.next);
    this.batches = from?.batches ?? 1;
  }

  /** A ledger like this one that goes its own way from here on. */
  fork(): TestLedger {
    return new TestLedger(this);
  }

  get<T>(key: string): T | undefined {
    const text = this.values.get(key);
    return text === undefined ? undefined : (JSON.parse(text) as T);
  }

  /** The act as its station signs it. */
  entryOf({ by, statement, n }: Act): { entry: Entry; disclosures: string[] } {
    const number = n ?? (this.next.get(by) ?? 0) + 1;
    this.next.set(by, Math.max(number, this.next.get(by) ?? 0));
    const names = RULES[statement.step]?.openFields ?? new Set<string>();
    const salt = (field: number): Uint8Array =>
      createHash('sha256').update(`${by} ${number} ${field}`).digest().subarray(0, 16);
    const { entry, disclosures } = commit({ ...statement, n: number }, names, salt, nodeSuite.sha256);
    return { entry: signed(entry, STATIONS[by].privateKey), disclosures };
  }

  /** Submits lines as one batch of an organisation. */
  async submit(
    org: string,
    lines: readonly string[],
    at: number,
    after = this.get<{ batch: number }>(keyOf.log(org))?.batch ?? 0,
  ): Promise<{ answer: Answer; verdicts: Verdict[]; writes: [string, string][] }> {
    const entries = readLines(lines);
    const values = new Map(keysOf(entries, [org]).map((key) => [key, this.values.get(key)]));
    const outcome = await refereeBatch(
      { channel: CHANNEL, org, after, lines },
      entries,
      values,
      at,
      nodeSuite,
      ({ level, index }, hash) => this.nodes.set(`${org}/${level}/${index}`, hash),
    );
    this.batches++;
    for (const [key, value] of outcome.writes) {
      this.values.set(key, value);
      this.versions.set(key, this.batches);
    }
    return outcome;
  }

  /** Signs an act and submits it alone. */
  async play(act: Act): Promise<Verdict> {
    const { entry, disclosures } = this.entryOf(act);
    const at = act.at ?? parseMinute(act.statement.time);
    const { verdicts } = await this.submit(entry.org, [canonical(entry)], at);
    const [verdict] = verdicts;
    if (!verdict) throw new Error('the batch was stale');
    if (verdict.accepted) this.kept.push({ record: verdict.accepted, disclosures });
    return verdict;
  }

  /** The proof that leaf `index` is in an organisation's log as it stands. */
  inclusion(org: string, index: number): Uint8Array[] {
    const { size } = this.get<{ size: number }>(keyOf.log(org)) ?? { size: 0 };
    return inclusionElements(index, size).map((part) =>
      element(
        part.map(({ level, index: place }) => this.nodes.get(`${org}/${level}/${place}`)!),
        nodeSuite.sha256,
      ),
    );
  }
}

export function signed(entry: Omit<Entry, 'sig'>, key: KeyObject): Entry {
  const raw = sign('sha256', signedBytes(entry), { key, dsaEncoding: 'ieee-p1363' });
  return { ...entry, sig: toBase64url(toLowS(raw)) };
}

/** What stands on the ledger before anything was done. */
function founded(): [key: string, value: string][] {
  const device = (org: string) =>
    canonical({
      state: {
        kind: 'DEV',
        org,
        own: { phase: 'REGISTERED', moved: 0 },
        linked: { dirty: false },
      },
      seq: 0,
      head: '',
    });
  return [
    ...Object.entries(MEMBERS).flatMap(([org, kind]): [string, string][] => [
      [keyOf.member(org), canonical({ kind, zh: org, en: org })],
      [keyOf.site(org, siteOf(org)), canonical({ zh: org, en: org, rules: DEFAULT_RULE_SET })],
    ]),
    ...Object.values(STATIONS).map(({ id, org, site, roles, hosted, key }): [string, string] => [
      keyOf.station(id),
      canonical({ org, site, roles, hosted, key, enrolled: 0 }),
    ]),
    ...DEVICES.map((key): [string, string] => [keyOf.subject(key), device('CentreMSP')]),
    [keyOf.subject(FOREIGN_DEVICE), device('OtherCentreMSP')],
  ];
}

// The ledger after the first k steps of the reference story, which most tests begin with.
const prefixes: TestLedger[] = [];

/** The ledger after some acts, all of which it must accept. */
export async function ledgerAfter(acts: readonly Act[]): Promise<TestLedger> {
  let common = 0;
  while (common < acts.length && acts[common] === REFERENCE[common]) common++;
  prefixes[0] ??= new TestLedger();
  for (let k = prefixes.length; k <= common; k++) {
    const ledger = prefixes[k - 1]!.fork();
    await accept(ledger, REFERENCE[k - 1]!);
    prefixes.push(ledger);
  }
  const ledger = prefixes[common]!.fork();
  for (const act of acts.slice(common)) await accept(ledger, act);
  return ledger;
}

async function accept(ledger: TestLedger, act: Act): Promise<void> {
  const { refused } = await ledger.play(act);
  if (refused)
    throw new Error(`given: ${act.statement.step} at ${act.statement.time} was refused: ${refused}`);
}

/** given(…).when(…).says(…): a story, what comes next, and what the ledger says to it. */
export const given = (...acts: (Act | readonly Act[])[]) => ({
  when: (...next: Act[]) => ({
    /** What became of each of the next acts: a refusal, 'accepted', or the marks it was accepted with. */
    async says(...expected: (Refusal | 'accepted' | readonly string[])[]): Promise<void> {
      const ledger = await ledgerAfter(acts.flat());
      const found: unknown[] = [];
      for (const [i, act] of next.entries()) {
        const verdict = await ledger.play(act);
        const marks = typeof expected[i] === 'object';
        found.push(verdict.refused ?? (marks ? verdict.marks : 'accepted'));
      }
      expect(found).to.deep.equal(expected);
    },
    /** The ledger after all of it, whatever it said. */
    async ledger(): Promise<TestLedger> {
      const ledger = await ledgerAfter(acts.flat());
      for (const act of next) await ledger.play(act);
      return ledger;
    },
  }),
});
