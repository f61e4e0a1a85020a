import { randomBytes } from 'node:crypto';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { toBase64url, type Statement } from '@yaoji/chaincode/core';
import type { Receipt } from '@yaoji/api/service';
import { OrganisationClient, SigningStation } from '../client.ts';
import type { OrganisationAccess } from '../instance.ts';

// Legal events of many stations, signed before the clock starts: prescriptions that are issued and then reviewed.

/** A signed event as it is posted. */
export interface SignedEvent {
  station: string;
  n: number;
  body: string;
}

/** Enrols stations of a hospital: each counts for itself, so that each can have a thousand events under way. */
export async function enrolConnectors(
  url: string,
  access: OrganisationAccess,
  count: number,
): Promise<SigningStation[]> {
  const client = new OrganisationClient(url, access);
  const run = randomBytes(4).toString('hex');
  const stations = Array.from({ length: count }, (_, i) => new SigningStation(`bench-${run}-${i}`));
  for (const station of stations)
    await client.enrol({
      station: station.id,
      roles: ['PRESCRIBER', 'PHARMACIST'],
      key: station.publicKey,
    });
  return stations;
}

/** What a hospital says when it issues a prescription. */
export function prescriptionOf(station: SigningStation, org: string, site: string): Statement {
  return {
    step: 'RX_ISSUED',
    subject: toBase64url(randomBytes(16)),
    org,
    site,
    station: station.id,
    n: station.next(),
    time: `${new Date(Date.now() - 60_000).toISOString().slice(0, 16)}Z`,
    payload: {
      plan: { first: true, late: false, wrap: true, separate: true, dissolve: false, second: true },
      validUntil: '2099-01-01T00:00Z',
      maxUses: 1,
      rxVersion: 1,
      doses: 7,
      bagsPerDose: 2,
      herbCount: 1,
      useRoute: 'INTERNAL',
      decoctClass: 'GENERAL',
      patientBand: 'ADULT',
      items: [{ herb: 'H1', name: '旋覆花', milligrams: 9000 }],
      hasToxic: false,
      urgent: false,
    },
  };
}

/** The next events of a station: of each prescription its issue, then its review. */
export function signEvents(
  station: SigningStation,
  { org, site }: OrganisationAccess,
  count: number,
): SignedEvent[] {
  const events: SignedEvent[] = [];
  while (events.length < count) {
    const issued = prescriptionOf(station, org, site);
    const { subject, time } = issued;
    const reviewed = {
      ...issued,
      step: 'RX_REVIEWED',
      subject,
      time,
      n: station.next(),
      payload: { result: 'PASS', rules: [] },
    };
    for (const statement of [issued, reviewed])
      events.push({ station: station.id, n: statement.n, body: JSON.stringify(station.item(statement)) });
  }
  return events.slice(0, count);
}

/** One keep-alive connection per client to an API, with its key. */
export class Connection {
  readonly #agent: Agent;
  readonly #url: string;
  readonly #key: string;

  constructor(url: string, key: string, connections = 1) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
    this.#url = url;
    this.#key = key;
  }

  send(path: string, body?: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request(
        this.#url + path,
        {
          agent: this.#agent,
          method: body === undefined ? 'GET' : 'POST',
          headers: {
            authorization: `Bearer ${this.#key}`,
            ...(body === undefined
              ? {}
              : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({ status: response.statusCode!, text: Buffer.concat(chunks).toString() }),
          );
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** Posts one event. Throws unless it is taken. */
  async post({ body }: SignedEvent): Promise<void> {
    const { status, text } = await this.send('/v1/events', body);
    if (status !== 200 && status !== 202) throw new Error(`an event was answered ${status}: ${text}`);
  }

  /** Posts events together. Throws unless each is taken. */
  async postAll(events: readonly SignedEvent[]): Promise<void> {
    const body = `{"events":[${events.map((event) => event.body).join(',')}]}`;
    const { status, text } = await this.send('/v1/events', body);
    const taken = text.split('"outcome":"pending"').length + text.split('"outcome":"settled"').length - 2;
    if (status !== 200 || taken !== events.length)
      throw new Error(`of ${events.length} events ${taken} were taken: ${status} ${text.slice(0, 500)}`);
  }

  /** Resolves when the event is settled; asks every 10 ms, and goes on where nobody answers. */
  async settled({ station, n }: SignedEvent): Promise<void> {
    for (;;) {
      const answer = await this.send(`/v1/receipts/${station}/${n}`).catch(() => undefined);
      const outcome = answer?.status === 200 ? (JSON.parse(answer.text) as Receipt).outcome : 'pending';
      if (outcome === 'settled') return;
      if (outcome === 'refused') throw new Error(`an event of the bench was refused: ${answer!.text}`);
      await sleep(10);
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}
