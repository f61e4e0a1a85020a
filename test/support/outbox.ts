import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { canonical, toBase64url, tokenFrom, type Statement } from '@yaoji/chaincode/core';
import type { Receipt } from '@yaoji/api/service';
import { ApiError, request, type OrganisationClient, type SigningStation } from '@yaoji/scripts/client';
import {
  latestDay,
  referenceStory,
  STORY_STATIONS,
  type StoryStationName,
  type Told,
} from '@yaoji/scripts/reference-story';
import type { Acknowledged, Stations } from '@yaoji/scripts/soak/load';

// Stations that repeat what they got no answer to, as phones and connectors do, while what they talk to is killed.

export const randomKey = (): string => toBase64url(randomBytes(16));

/** Who says something. */
export interface Speaker {
  readonly client: OrganisationClient;
  readonly station: SigningStation;
  readonly hosted?: boolean;
}

/** What was said, and what was answered. */
export class Outbox {
  /** in the order in which they were answered */
  readonly events: Acknowledged[] = [];
  /** requests that had no answer, or one that asks to come again */
  repeats = 0;

  /** Says it until it is answered. Throws ApiError for an answer that saying it again would not change. */
  async say(
    { client, station, hosted = false }: Speaker,
    told: Told['statement'],
    expected: Acknowledged['expected'] = 'settled',
  ): Promise<Receipt | undefined> {
    const { org, site } = client.access;
    const statement: Statement = { ...told, org, site, station: station.id, n: station.next() };
    const signed = hosted ? undefined : station.item(statement);
    const sent = Date.now();
    const receipt = await this.again(() => client.record(signed ?? { statement })).catch((error: unknown) => {
      const isRefusal = error instanceof ApiError && error.status === 409 && expected !== 'settled';
      if (!isRefusal) throw error;
      return undefined;
    });
    const { step, subject, n } = statement;
    this.events.push({
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
    return receipt;
  }

  /** Waits until this station's latest event has its verdict. */
  async decided({ client, station }: Speaker): Promise<void> {
    const { n } = this.events.findLast((event) => event.station === station.id)!;
    for (;;) {
      const { outcome } = await this.again(() => client.receipt(station.id, n));
      if (outcome === 'settled' || outcome === 'refused') return;
      await sleep(50);
    }
  }

  /** Revokes a station. */
  async revoke({ client, station }: Speaker): Promise<void> {
    const { url, access } = client;
    const path = `/v1/stations/${station.id}/revoke`;
    await this.again(async () => {
      const { status, body } = await request(url, path, { key: access.registrar, body: {} });
      if (status >= 300) throw new ApiError(status, body as ApiError['problem'], path);
    });
  }

  /** Asks until there is an answer that asking again would not change. */
  async again<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof ApiError && error.status < 500 && error.status !== 429) throw error;
        // Half an answer is no answer.
        if (!(error instanceof ApiError || error instanceof TypeError || error instanceof SyntaxError))
          throw error;
        this.repeats++;
        await sleep(150);
      }
    }
  }
}

/** A telling of the reference story by these stations, of the first centre unless another is said. */
export class Tale {
  readonly keys = {
    prescription: randomKey(),
    fulfilment: randomKey(),
    package: randomKey(),
    device: randomKey(),
  };
  readonly token = tokenFrom(randomBytes(17));
  readonly told: readonly Told[];
  private readonly speakers: ReadonlyMap<StoryStationName, Speaker>;

  constructor(
    { hospital, centres, courier }: Stations,
    centre: Stations['hospital'] = centres[0]!,
    prescription?: string,
  ) {
    if (prescription !== undefined) this.keys.prescription = prescription;
    this.speakers = new Map(
      [hospital, centre, courier].flatMap(({ client, stations }) =>
        [...stations].map(([name, station]) => {
          const { hosted } = STORY_STATIONS[name];
          return [name, { client, station, hosted }] as const;
        }),
      ),
    );
    const each = (field: 'org' | 'site') => ({
      hospital: hospital.client.access[field],
      decoction: centre.client.access[field],
      courier: courier.client.access[field],
    });
    this.told = referenceStory({
      day: latestDay(Date.now()),
      keys: this.keys,
      orgs: each('org'),
      sites: each('site'),
      stations: Object.fromEntries(
        Object.keys(STORY_STATIONS).map((name) => [
          name,
          this.speakers.get(name as StoryStationName)?.station.id ?? '',
        ]),
      ) as Record<StoryStationName, string>,
      token: this.token,
      sealNo: `S${randomBytes(4).toString('hex')}`,
      handover: randomKey(),
      staffKey: randomBytes(32),
      sha256: nodeSuite.sha256,
    });
  }

  /** The story's first step of this name. */
  find(step: string): Told {
    const told = this.told.find(({ statement }) => statement.step === step);
    if (!told) throw new Error(`the story has no ${step}`);
    return told;
  }

  /** Who takes this step in the story. */
  speaker({ by }: Told): Speaker {
    return this.speakers.get(by)!;
  }

  /** Says these steps, one after another, each once the one before it is answered. */
  async tell(outbox: Outbox, ...steps: string[]): Promise<void> {
    for (const step of steps) await this.say(outbox, this.find(step));
  }

  /** Says a step as its station would. */
  async say(outbox: Outbox, told: Told, expected?: Acknowledged['expected']): Promise<Receipt | undefined> {
    return outbox.say(this.speaker(told), told.statement, expected);
  }
}
