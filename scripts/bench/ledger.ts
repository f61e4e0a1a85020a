import { randomBytes } from 'node:crypto';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { isDisagreement } from '@yaoji/api/ledger/errors';
import { register } from '@yaoji/api/ledger/register';
import { findBatch, proposeBatch, VALID } from '@yaoji/api/ledger/submit';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { canonical, toBase64url, tokenFrom, type Kind } from '@yaoji/chaincode/core';
import type { NetworkProfile } from '@yaoji/network/profile';
import { setTimeout as sleep } from 'node:timers/promises';
import { SigningStation } from '../client.ts';
import { siteOf } from '../instance.ts';
import { latestDay, referenceStory, STORY_STATIONS, type StoryStationName } from '../reference-story.ts';

// What a ledger can carry, without API and store: whole reference stories under the full rules, each organisation's entries in
// batches of its own log, all logs at once.

/** Entries of one organisation, canonical, in their order. */
interface Part {
  org: string;
  lines: string[];
}

/** A run of entries of several boxes that go the same way: the parts follow one another. */
type Cohort = Part[];

/** Boxes whose pots are in use at the same time. */
const BOXES = 40;

/** A ledger under load: its logs and stations of its own. */
export class LedgerLoad {
  readonly #ledger: Ledger;
  readonly #profile: NetworkProfile;
  readonly #devices: string[];
  readonly #stations: Record<StoryStationName, SigningStation>;
  /** each log's last batch, once what was asked before is written */
  readonly #logs = new Map<string, Promise<number>>();
  #repeated = 0;

  private constructor(
    ledger: Ledger,
    profile: NetworkProfile,
    stations: Record<StoryStationName, SigningStation>,
    devices: string[],
  ) {
    this.#ledger = ledger;
    this.#profile = profile;
    this.#stations = stations;
    this.#devices = devices;
  }

  /** Enrols the story's stations and registers a pot for each box of a cohort. */
  static async on(profile: NetworkProfile): Promise<LedgerLoad> {
    const ledger = connectLedger(profile);
    const orgOf = (kind: Kind): string => profile.organisations.find((one) => one.kind === kind)!.mspId;
    const run = randomBytes(4).toString('hex');
    const stations: [string, SigningStation][] = [];
    for (const [name, { kind, roles, hosted }] of Object.entries(STORY_STATIONS)) {
      const station = new SigningStation(`${name}-${run}`);
      await register(ledger, orgOf(kind), 'EnrolStation', {
        station: station.id,
        site: siteOf(orgOf(kind)),
        roles: [...roles],
        key: station.publicKey,
        hosted,
      });
      stations.push([name, station]);
    }
    const devices = Array.from({ length: BOXES }, () => toBase64url(randomBytes(16)));
    for (const device of devices) await register(ledger, orgOf('decoction'), 'RegisterDevice', { device });
    return new LedgerLoad(
      ledger,
      profile,
      Object.fromEntries(stations) as Record<StoryStationName, SigningStation>,
      devices,
    );
  }

  /** How often something was endorsed again because peers stood at different heights. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Signed stories of `boxes` boxes, at most as many as there are pots. */
  cohort(boxes = BOXES): Cohort {
    const stories = Array.from({ length: boxes }, (_, i) => this.#story(this.#devices[i]!));
    const parts: Cohort = [];
    for (let from = 0, to = 0; from < stories[0]!.length; from = to) {
      const { org } = stories[0]![from]!;
      while (to < stories[0]!.length && stories[0]![to]!.org === org) to++;
      parts.push({ org, lines: stories.flatMap((story) => story.slice(from, to).map(({ line }) => line)) });
    }
    return parts;
  }

  #story(device: string): { org: string; line: string }[] {
    const randomKey = (): string => toBase64url(randomBytes(16));
    const of = (value: (org: string) => string) => {
      const named = (kind: Kind): string =>
        value(this.#profile.organisations.find((one) => one.kind === kind)!.mspId);
      return { hospital: named('hospital'), decoction: named('decoction'), courier: named('courier') };
    };
    return referenceStory({
      day: latestDay(Date.now()),
      keys: { prescription: randomKey(), fulfilment: randomKey(), package: randomKey(), device },
      orgs: of((org) => org),
      sites: of(siteOf),
      stations: Object.fromEntries(
        Object.entries(this.#stations).map(([name, { id }]) => [name, id]),
      ) as Record<StoryStationName, string>,
      token: tokenFrom(randomBytes(17)),
      sealNo: `S${randomBytes(4).toString('hex')}`,
      handover: randomKey(),
      staffKey: randomBytes(32),
      sha256: nodeSuite.sha256,
    }).map(({ by, statement }) => {
      const station = this.#stations[by];
      const { entry } = station.item({ ...statement, n: station.next() });
      return { org: statement.org, line: canonical(entry) };
    });
  }

  /** Writes cohorts, at most so many entries a transaction. Resolves to the entries settled per second. */
  async rate(cohorts: readonly Cohort[], most: number): Promise<number> {
    const begun = performance.now();
    await Promise.all(
      cohorts.map(async (cohort) => {
        for (const part of cohort) await this.#inTurn(part, most);
      }),
    );
    const entries = cohorts.flat().flatMap(({ lines }) => lines).length;
    return (entries / (performance.now() - begun)) * 1000;
  }

  /** Writes a part behind all that was asked for its log before: whoever comes first has the pots. */
  async #inTurn({ org, lines }: Part, most: number): Promise<void> {
    const before = this.#logs.get(org) ?? lastBatch(this.#ledger, org);
    const written = before.then(async (after) => {
      let last = after;
      for (let from = 0; from < lines.length; from += most)
        await this.#submit(org, last++, lines.slice(from, from + most));
      return last;
    });
    this.#logs.set(org, written);
    await written;
  }

  async #submit(org: string, after: number, lines: readonly string[]): Promise<void> {
    for (;;) {
      const proposal = proposeBatch(this.#ledger, org, after, lines);
      try {
        const endorsed = await proposal.endorse();
        const { answer } = endorsed;
        if (answer.stale !== undefined) throw new Error('somebody else writes to this log');
        const [refused] = answer.refused;
        if (refused) throw new Error(`an entry of the bench was refused: ${refused.code}`);
        if ((await endorsed.submit().catch(() => this.#fate(org, proposal.txId))) === VALID) return;
      } catch (error) {
        if (!isDisagreement(error)) throw error;
      }
      this.#repeated++;
    }
  }

  /** What became of a transaction whose submission failed: it may be in all the same. */
  async #fate(org: string, txId: string): Promise<number | undefined> {
    for (const end = Date.now() + 10_000; Date.now() < end; await sleep(20)) {
      const found = await findBatch(this.#ledger, org, txId);
      if (found) return found.code;
    }
    return undefined;
  }

  close(): void {
    this.#ledger.close();
  }
}

/** A stale answer names the last batch; nothing is written. */
async function lastBatch(ledger: Ledger, org: string): Promise<number> {
  const { answer } = await proposeBatch(ledger, org, Number.MAX_SAFE_INTEGER, ['']).endorse();
  return answer.stale ?? 0;
}
