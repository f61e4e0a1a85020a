import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { toBase64url, tokenFrom, type Kind, type Statement } from '@yaoji/chaincode/core';
import type { Receipt } from '@yaoji/api/service';
import { OrganisationClient, SigningStation } from './client.ts';
import type { Access } from './instance.ts';
import {
  latestDay,
  referenceStory,
  STORY_STATIONS,
  type StoryStationName,
  type Told,
} from './reference-story.ts';

/** One playing of the reference story. */
export interface Played {
  token: string;
  /** the subjects' keys */
  keys: { prescription: string; fulfilment: string; package: string; device: string };
  receipts: Receipt[];
}

export interface PlayOptions {
  /** how many steps of the story to play; all if not said */
  steps?: number;
  /** told of each step once it is answered */
  onStep?: (told: Told, receipt: Receipt, number: number, of: number) => void;
}

/**
 * Plays the reference prescription over HTTP: enrols stations of its own, registers a device, and sends each step in its
 * order as its station would. Resolves when every step has its verdict. Throws ApiError at the first step that is not taken.
 */
export async function play(
  { url, organisations }: Access,
  { steps, onStep }: PlayOptions = {},
): Promise<Played> {
  const run = randomBytes(4).toString('hex');
  const randomKey = (): string => toBase64url(randomBytes(16));
  const keys = {
    prescription: randomKey(),
    fulfilment: randomKey(),
    package: randomKey(),
    device: randomKey(),
  };
  const clientOf = (kind: Kind): OrganisationClient => {
    const access = organisations.find((organisation) => organisation.kind === kind);
    if (!access) throw new Error(`the instance has no ${kind}`);
    return new OrganisationClient(url, access);
  };
  const clients = {
    hospital: clientOf('hospital'),
    decoction: clientOf('decoction'),
    courier: clientOf('courier'),
    regulator: clientOf('regulator'),
  };
  const stations = await enrolAll(run, clients);
  await clients.decoction.registerDevice(keys.device);

  const token = tokenFrom(randomBytes(17));
  const told = referenceStory({
    day: latestDay(Date.now()),
    keys,
    orgs: orgsOf(clients, 'org'),
    sites: orgsOf(clients, 'site'),
    stations: Object.fromEntries(Object.entries(stations).map(([name, { id }]) => [name, id])) as Record<
      StoryStationName,
      string
    >,
    token,
    sealNo: `S${run.toUpperCase()}`,
    handover: randomKey(),
    staffKey: randomBytes(32),
    sha256: nodeSuite.sha256,
  }).slice(0, steps);

  const receipts: Receipt[] = [];
  for (const [i, step] of told.entries()) {
    const { kind, hosted } = STORY_STATIONS[step.by];
    const station = stations[step.by];
    const statement: Statement = { ...step.statement, n: station.next() };
    const receipt = await clients[kind].record(hosted ? { statement } : station.item(statement));
    onStep?.(step, receipt, i + 1, told.length);
    receipts.push(receipt);
  }
  const settled = await Promise.all(
    receipts.map((receipt, i) => decided(clients[STORY_STATIONS[told[i]!.by].kind], receipt)),
  );
  return { token, keys, receipts: settled };
}

type Clients = Record<Kind, OrganisationClient>;
const orgsOf = ({ hospital, decoction, courier }: Clients, field: 'org' | 'site') => ({
  hospital: hospital.access[field],
  decoction: decoction.access[field],
  courier: courier.access[field],
});

async function enrolAll(run: string, clients: Clients): Promise<Record<StoryStationName, SigningStation>> {
  const stations: [string, SigningStation][] = [];
  for (const [name, { kind, roles, hosted }] of Object.entries(STORY_STATIONS)) {
    const station = new SigningStation(`${name}-${run}`);
    await clients[kind].enrol({
      station: station.id,
      roles: [...roles],
      ...(hosted ? {} : { key: station.publicKey }),
    });
    stations.push([name, station]);
  }
  return Object.fromEntries(stations) as Record<StoryStationName, SigningStation>;
}

const PATIENCE = 60_000;

/** The receipt once the event has its verdict. Throws when that takes more than a minute. */
async function decided(client: OrganisationClient, receipt: Receipt): Promise<Receipt> {
  const { station, n } = receipt;
  for (const end = Date.now() + PATIENCE; ;) {
    const now = await client.receipt(station, n);
    if (now.outcome === 'settled' || now.outcome === 'refused') return now;
    if (Date.now() > end) throw new Error(`${receipt.step} has had no verdict for a minute`);
    await sleep(100);
  }
}
