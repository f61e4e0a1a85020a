import { setTimeout as sleep } from 'node:timers/promises';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { canonical, toBase64url, tokenFrom, verify, type Json, type Statement } from '@yaoji/chaincode/core';
import type { Receipt } from '@yaoji/api/service';
import { ApiError, fetchBundle, fetchTrust, OrganisationClient, SigningStation } from '../client.ts';
import type { Access } from '../instance.ts';
import {
  latestDay,
  referenceStory,
  STORY_STATIONS,
  type StoryStationName,
  type Told,
} from '../reference-story.ts';
import type { Random } from './random.ts';

// Many stations of all organisations tell many stories at once, each repeating what it got no answer to, as phones and
// connectors do; now and then somebody says something illegal.

/** An event that the API has answered for, and what must have become of it in the end. */
export interface Acknowledged {
  readonly org: string;
  readonly station: string;
  readonly n: number;
  readonly step: string;
  readonly subject: string;
  /** The signed entry's canonical JSON; none when the service signed it. */
  readonly line: string | undefined;
  /** `either`: one of several that decide a race. */
  readonly expected: 'settled' | 'refused' | 'either';
  /** When it was sent first and when it was answered, ms: of two about a subject the earlier comes first in its trail. */
  readonly sent: number;
  readonly answered: number;
  /** What the API said last; none when it answered 409. */
  readonly receipt: Receipt | undefined;
}

/** What happened under load. */
export interface Tally {
  readonly events: Acknowledged[];
  stories: number;
  repeats: number;
  illegal: number;
  handovers: number;
  races: number;
  /** Boxes that were looked at. */
  bundles: number;
  /** Requests without an answer, and answers that ask to come again, by what they were. */
  readonly again: Map<string, number>;
  /** What should not have been answered. */
  readonly wrong: string[];
}

/** Who tells stories. */
export interface Stations {
  readonly hospital: Staffed;
  readonly centres: readonly Staffed[];
  readonly courier: Staffed;
}

/** An organisation with its stations, by the story's names for them. */
export interface Staffed {
  readonly client: OrganisationClient;
  readonly stations: ReadonlyMap<StoryStationName, SigningStation>;
}

interface Item {
  readonly body: object;
  readonly statement: Statement;
  readonly client: OrganisationClient;
}

const NAMES = Object.keys(STORY_STATIONS) as StoryStationName[];

/** Enrols one station of every sort for every organisation. */
export async function enrolStations(access: Access, tag: string): Promise<Stations> {
  const staffed = await Promise.all(
    access.organisations.map(async (organisation) => {
      const client = new OrganisationClient(access.url, organisation);
      const stations = new Map<StoryStationName, SigningStation>();
      for (const name of NAMES) {
        const { kind, roles, hosted } = STORY_STATIONS[name];
        if (kind !== organisation.kind) continue;
        const station = new SigningStation(`${organisation.site}-${name}-${tag}`);
        await client.enrol({
          station: station.id,
          roles: [...roles],
          ...(hosted ? {} : { key: station.publicKey }),
        });
        stations.set(name, station);
      }
      return { kind: organisation.kind, client, stations };
    }),
  );
  const of = (kind: string): Staffed[] => staffed.filter((one) => one.kind === kind);
  return { hospital: of('hospital')[0]!, centres: of('decoction'), courier: of('courier')[0]! };
}

/** One centre's way of telling a story. */
interface Version {
  readonly centre: Staffed;
  readonly stations: ReadonlyMap<StoryStationName, Pick<Staffed, 'client'> & { station: SigningStation }>;
  readonly told: readonly Told[];
  readonly token: string;
}

interface Difference {
  readonly expected?: Acknowledged['expected'];
  readonly subject?: string;
  readonly payload?: { readonly [name: string]: Json };
}

/** Tells stories one after another with these stations until it is told to stop; the last one is told to its end. */
export class Teller {
  readonly #stations: Stations;
  readonly #tally: Tally;
  readonly #random: Random;
  readonly #patience: AbortSignal;
  /** what this story has said so far */
  #said: Item[] = [];

  /** When `patience` is aborted, what has no answer or no verdict by then is waited for no longer. */
  constructor(stations: Stations, tally: Tally, random: Random, patience: AbortSignal) {
    this.#stations = stations;
    this.#tally = tally;
    this.#random = random;
    this.#patience = patience;
  }

  async tell(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      this.#said = [];
      try {
        await this.#story();
        this.#tally.stories++;
      } catch (error) {
        if (!(error instanceof ApiError || this.#patience.aborted)) throw error;
        this.#tally.wrong.push(messageOf(error));
      }
    }
  }

  async #story(): Promise<void> {
    const random = this.#random;
    const { centres } = this.#stations;
    const prescription = this.#key();
    const device = this.#key();
    const versions = centres.map((centre) => this.#version(centre, prescription, device));
    let version = random.pick(versions);
    const [issued, reviewed, routed, accepted, ...rest] = version.told;
    await this.#say(version, issued!);
    await this.#say(version, reviewed!);
    await this.#say(version, routed!, {
      payload: { centres: centres.map(({ client }) => client.access.org) },
    });
    if (random.chance(0.3)) version = await this.#raceFor(versions);
    else await this.#say(version, accepted!);
    await this.#again('device', () => version.centre.client.registerDevice(device));
    await this.#afterAcceptance(version, version.told.slice(-rest.length));
    if (random.chance(0.5)) await this.#look(version);
  }

  async #afterAcceptance(version: Version, rest: readonly Told[]): Promise<void> {
    const random = this.#random;
    for (let i = 0; i < rest.length; i++) {
      const told = rest[i]!;
      if (random.chance(0.08)) await this.#sayIllegal(version, told);
      if (random.chance(0.03)) await this.#repeat();
      if (told.statement.step === 'HANDED_OVER') await this.#handOver(version, told, rest[++i]!);
      else await this.#say(version, told);
    }
  }

  /** Somebody looks at the box, whatever of it is settled: what there is to see must verify. */
  async #look({ token }: Version): Promise<void> {
    const { url } = this.#stations.hospital.client;
    const bundle = await this.#again('bundle', () => fetchBundle(url, token)).catch((error: unknown) => {
      // The box is not on the ledger yet.
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    });
    if (!bundle) return;
    this.#tally.bundles++;
    const trust = await this.#again('trust', () => fetchTrust(url));
    const { ok, checks } = await verify(bundle, { trust, token, now: Date.now(), suite: verifierSuite });
    const failed = checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id);
    if (!ok) this.#tally.wrong.push(`the bundle of a box does not verify: ${failed.join(' ')}`);
  }

  /** Either side may come first, since a phone sends when it can. */
  async #handOver(version: Version, given: Told, taken: Told): Promise<void> {
    this.#tally.handovers++;
    switch (this.#random.integer(1, 4)) {
      case 1:
        await this.#say(version, taken);
        return void (await this.#say(version, given));
      case 2:
        return void (await Promise.all([this.#say(version, given), this.#say(version, taken)]));
      case 3:
        await this.#say(version, given);
        await this.#say(version, taken, { expected: 'refused', payload: { bags: 13 } });
        return void (await this.#say(version, taken));
      default:
        await this.#say(version, given);
        await this.#say(version, taken);
    }
  }

  /** Every centre accepts the prescription at once: the story goes on with the winner. */
  async #raceFor(versions: readonly Version[]): Promise<Version> {
    this.#tally.races++;
    const said = await Promise.all(
      versions.map((version) => this.#say(version, find(version, 'RX_ACCEPTED'), { expected: 'either' })),
    );
    const outcomes = await Promise.all(said.map((item) => this.#decided(item)));
    const winners = versions.filter((_, i) => outcomes[i] === 'settled');
    if (winners.length !== 1)
      this.#tally.wrong.push(`${winners.length} centres won prescription ${said[0]!.statement.links![0]}`);
    return winners[0] ?? versions[0]!;
  }

  async #decided({ client, statement: { station, n } }: Item): Promise<Receipt['outcome']> {
    for (;;) {
      const { outcome } = await this.#again('receipt', () => client.receipt(station, n));
      if (outcome === 'settled' || outcome === 'refused') return outcome;
      if (this.#patience.aborted) throw new Error(`${station} ${n} has no verdict`);
      await sleep(100);
    }
  }

  async #sayIllegal(version: Version, next: Told): Promise<void> {
    this.#tally.illegal++;
    if (next.statement.step === 'HERBS_CHECKED') {
      // Nobody checks what he has dispensed himself.
      const { actor } = find(version, 'HERBS_DISPENSED').statement.payload;
      await this.#say(version, next, { expected: 'refused', payload: { actor: actor! } });
      return;
    }
    const step = this.#random.pick(['RX_ACCEPTED', 'RX_REVOKED', 'DELIVERED']);
    // Another use of a prescription that allows one; too late; about a box that there is not.
    const subject = step === 'RX_REVOKED' ? {} : { subject: this.#key() };
    await this.#say(version, find(version, step), { expected: 'refused', ...subject });
  }

  /** Sends again what was answered some time ago. */
  async #repeat(): Promise<void> {
    if (this.#said.length === 0) return;
    const { client, body, statement } = this.#random.pick(this.#said);
    this.#tally.repeats++;
    const { outcome } = await this.#again('repeat', () => client.record(body));
    if (outcome === 'refused') this.#tally.wrong.push(`a repeated ${statement.step} was refused`);
  }

  /** Sends what a station says until it is answered, sometimes over two connections at once. */
  async #say(version: Version, { by, statement }: Told, difference: Difference = {}): Promise<Item> {
    const { station, client } = version.stations.get(by)!;
    const { expected = 'settled', subject = statement.subject, payload } = difference;
    const said = { ...statement, subject, n: station.next(), payload: { ...statement.payload, ...payload } };
    const isHosted = STORY_STATIONS[by].hosted;
    const signed = isHosted ? undefined : station.item(said);
    const item = { body: signed ?? { statement: said }, statement: said, client };
    const sent = Date.now();
    const times = this.#random.chance(0.1) ? 2 : 1;
    this.#tally.repeats += times - 1;
    const [receipt] = await Promise.all(Array.from({ length: times }, () => this.#recorded(item, expected)));
    const { org, n, step } = said;
    this.#tally.events.push({
      org,
      station: station.id,
      n,
      step,
      subject,
      expected,
      sent,
      answered: Date.now(),
      receipt,
      line: signed && canonical(signed.entry),
    });
    if (expected === 'settled') this.#said.push(item);
    return item;
  }

  async #recorded(
    { client, body, statement }: Item,
    expected: Acknowledged['expected'],
  ): Promise<Receipt | undefined> {
    try {
      const receipt = await this.#again('event', () => client.record(body));
      if (receipt.outcome === 'settled' && expected === 'refused')
        this.#tally.wrong.push(`an illegal ${statement.step} was settled`);
      return receipt;
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 409 || expected === 'settled') throw error;
      return undefined;
    }
  }

  /** Asks until there is an answer. Throws ApiError for one that asking again would not change. */
  async #again<T>(what: string, ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof ApiError && error.status < 500 && error.status !== 429) throw error;
        const why = error instanceof ApiError ? `${error.status} ${error.problem.code}` : 'no answer';
        const { again, wrong } = this.#tally;
        if (error instanceof ApiError && error.status === 500) wrong.push(error.message);
        again.set(`${what}: ${why}`, (again.get(`${what}: ${why}`) ?? 0) + 1);
        if (this.#patience.aborted)
          throw new Error(`asking again does not help: ${what}: ${why}`, { cause: error });
        await sleep(this.#random.integer(50, 500));
      }
    }
  }

  #key(): string {
    return toBase64url(this.#bytes(16));
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.integer(0, 255));
  }

  #version(centre: Staffed, prescription: string, device: string): Version {
    const { hospital, courier } = this.#stations;
    const stations = new Map(
      [hospital, centre, courier].flatMap(({ client, stations: own }) =>
        [...own].map(([name, station]) => [name, { client, station }] as const),
      ),
    );
    const each = (value: (staffed: Staffed) => string) => ({
      hospital: value(hospital),
      decoction: value(centre),
      courier: value(courier),
    });
    const token = tokenFrom(this.#bytes(17));
    const told = referenceStory({
      day: latestDay(Date.now()),
      keys: { prescription, device, fulfilment: this.#key(), package: this.#key() },
      orgs: each(({ client }) => client.access.org),
      sites: each(({ client }) => client.access.site),
      stations: Object.fromEntries(
        NAMES.map((name) => [name, stations.get(name)?.station.id ?? '']),
      ) as Record<StoryStationName, string>,
      token,
      sealNo: `S${this.#random.integer(0, 2 ** 32)}`,
      handover: this.#key(),
      staffKey: this.#bytes(32),
      sha256: nodeSuite.sha256,
    });
    return { centre, stations, told, token };
  }
}

function find({ told }: Version, step: string): Told {
  const routed = told.find(({ statement }) => statement.step === 'RX_ROUTED')!;
  const revoked = {
    ...routed,
    statement: { ...routed.statement, step: 'RX_REVOKED', payload: { reason: '换方' } },
  };
  return [...told, revoked].find(({ statement }) => statement.step === step)!;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
