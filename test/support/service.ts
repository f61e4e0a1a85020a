import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool } from 'pg';
import type { Config } from '@yaoji/api/config';
import { createApp } from '@yaoji/api/http/app';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { register } from '@yaoji/api/ledger/register';
import { batch } from '@yaoji/api/pipeline/batch';
import { Decisions, type Pipeline } from '@yaoji/api/pipeline/context';
import { enrolStation, registerDevice } from '@yaoji/api/pipeline/enrol';
import { hostedKeysIn } from '@yaoji/api/pipeline/hosted-keys';
import { receive } from '@yaoji/api/pipeline/receive';
import { recentViews } from '@yaoji/api/pipeline/prove';
import { receiptsOf } from '@yaoji/api/pipeline/receipts';
import type { Principal, Receipt } from '@yaoji/api/service';
import { startService, type RunningService } from '@yaoji/api/services';
import { createApiKey } from '@yaoji/api/store/api-keys';
import { openPool } from '@yaoji/api/store/pool';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  DEFAULT_RULE_SET,
  toBase64url,
  tokenFrom,
  type Json,
  type Role,
  type Statement,
} from '@yaoji/chaincode/core';
import { parseOrganisations } from '@yaoji/network/organisations';
import type { Faults } from '@yaoji/network/local/faults';
import { startLocalLedger } from '@yaoji/network/local/start';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { SigningStation } from '@yaoji/scripts/client';
import { contractFolder, type Access, type OrganisationAccess } from '@yaoji/scripts/instance';
import {
  latestDay,
  referenceStory,
  STORY_STATIONS,
  type StoryStationName,
  type Told,
} from '@yaoji/scripts/reference-story';
import { freshDatabase } from './database.ts';

// Yaoji on real parts: PostgreSQL, the local ledger with the project's own contract in its own process, and the pipeline,
// driven by hand (no worker) or as the service runs it. One ledger and one database for the whole run, because starting them
// takes seconds and subjects are random; what a test must break for good belongs to an organisation of its own.

const ORGANISATIONS = [
  'HospitalMSP:hospital',
  'DecoctionMSP:decoction',
  'SecondDecoctionMSP:decoction',
  'CourierMSP:courier',
  'RegulatorMSP:regulator',
  // It never uses this service: nothing of it is known here but what stands on the ledger.
  'SilentCourierMSP:courier',
  // Their logs come to a stop.
  'OvertakenMSP:hospital',
  'TamperedMSP:hospital',
].join(',');

export const siteOf = (org: string): string => `${org.replace(/MSP$/, '').toLowerCase()}-1`;

export const randomKey = (): string => toBase64url(randomBytes(16));

/** The parts that run, shared by all tests of this run. */
export interface Parts {
  readonly profilePath: string;
  readonly profile: NetworkProfile;
  /** the owner's connection string */
  readonly databaseUrl: string;
  readonly stationKeys: string;
  /** as the service: the role yaoji_app */
  readonly pool: Pool;
  /** as the owner of the tables */
  readonly owner: Pool;
  /** A pipeline as a new process of the service would have it, but driven by hand; `instead` replaces parts of it. */
  pipeline(instead?: Partial<Pipeline>): Pipeline;
  principal(org: string, role?: Principal['role']): Principal;
  /** the story's stations, enrolled; those of the second centre are called `second-…` */
  readonly stations: Readonly<Record<string, TestStation>>;
}

/** An enrolled station: what it is called in the story, whose it is, and its key where the service does not hold it. */
export interface TestStation {
  readonly org: string;
  readonly hosted: boolean;
  readonly signer: SigningStation;
}

/** Nobody writes batches behind a pipeline that is driven by hand: its answers do not wait for verdicts. */
class Impatient extends Decisions {
  override wait(): Promise<void> {
    return Promise.resolve();
  }
}

/** Parts on a local ledger. */
export interface LocalParts extends Parts {
  /** what the ledger is to do wrong */
  readonly faults: Faults;
}

let shared: Promise<Started<LocalParts>> | undefined;
/** Parts of one's own, to be stopped by whoever started them. */
export type Started<P extends Parts = Parts> = P & { stop(): Promise<void> };

/** The parts, for the tests of this suite; they are started by the first suite that asks. */
export function realParts(): () => LocalParts {
  let started: Started<LocalParts> | undefined;
  before(async function () {
    this.timeout(120_000);
    shared ??= startParts();
    started = await shared;
  });
  return () => {
    if (!started) throw new Error('the parts are there only while tests run');
    return started;
  };
}

// A hook of the root suite: this module is loaded by test files only.
after(async () => {
  await (await shared)?.stop();
  shared = undefined;
});

/** Starts another local ledger and another database: for what others must not disturb. */
export async function startParts(): Promise<Started<LocalParts>> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-parts-'));
  const running = await startLocalLedger({
    folder,
    chaincode: contractFolder(),
    organisations: parseOrganisations(ORGANISATIONS),
  });
  const parts = await startPartsOn(running);
  return {
    ...parts,
    faults: running.faults,
    async stop() {
      await parts.stop();
      await running.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Starts what else there is, and a database, on a ledger with the contract on it, which stays with whoever started it. */
export async function startPartsOn(running: { readonly profile: string }): Promise<Started> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-parts-'));
  const database = await freshDatabase();
  const profile = readProfile(running.profile);
  const ledger = connectLedger(profile);
  const stationKeys = join(folder, 'station-keys');
  const pool = openPool(database.url, { role: 'yaoji_app', max: 20, onError: () => {} });
  const owner = openPool(database.url, { max: 2, onError: () => {} });
  const pipeline: Parts['pipeline'] = (instead = {}) => ({
    pool,
    ledger,
    keys: hostedKeysIn(stationKeys),
    decisions: new Impatient(),
    mirrored: new Set(),
    views: recentViews(Date.now),
    now: Date.now,
    nudge: () => {},
    failing: () => false,
    log: () => {},
    ...instead,
  });
  await foundConsortium(ledger);
  return {
    profilePath: running.profile,
    profile,
    databaseUrl: database.url,
    stationKeys,
    pool,
    owner,
    pipeline,
    principal: (org, role = 'recorder') => principalOf(profile, org, role),
    stations: await enrolAll(pipeline(), profile),
    async stop() {
      ledger.close();
      await Promise.all([pool.end(), owner.end()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function foundConsortium(ledger: Ledger): Promise<void> {
  const members = ledger.profile.organisations.map(({ mspId, kind }) => ({
    org: mspId,
    kind,
    zh: `${mspId} 中文`,
    en: mspId,
  }));
  await register(ledger, members[0]!.org, 'Found', members);
  await Promise.all(
    members.map(({ org, zh, en }) =>
      register(ledger, org, 'PutSite', { site: siteOf(org), zh, en, rules: DEFAULT_RULE_SET }),
    ),
  );
}

function principalOf({ organisations }: NetworkProfile, org: string, role: Principal['role']): Principal {
  const { kind } = organisations.find(({ mspId }) => mspId === org)!;
  return { id: `${role} of ${org}`, org, kind, site: siteOf(org), role };
}

const HOME = {
  hospital: 'HospitalMSP',
  decoction: 'DecoctionMSP',
  courier: 'CourierMSP',
  regulator: 'RegulatorMSP',
} as const;

async function enrolAll(pipeline: Pipeline, profile: NetworkProfile): Promise<Record<string, TestStation>> {
  const wanted: { name: string; org: string; roles: readonly Role[]; hosted: boolean }[] = [
    ...Object.entries(STORY_STATIONS).map(([name, { kind, roles, hosted }]) => ({
      name,
      org: HOME[kind],
      roles,
      hosted,
    })),
    { name: 'second-reception', org: 'SecondDecoctionMSP', roles: ['RECEPTION'], hosted: false },
    { name: 'hosted-room', org: 'DecoctionMSP', roles: ['DECOCTION'], hosted: true },
    { name: 'hosted-phone', org: 'CourierMSP', roles: ['COURIER'], hosted: true },
    // Of organisations that are not everywhere.
    { name: 'overtaken-connector', org: 'OvertakenMSP', roles: ['PRESCRIBER'], hosted: false },
    { name: 'tampered-connector', org: 'TamperedMSP', roles: ['PRESCRIBER'], hosted: false },
  ];
  const here = new Set(profile.organisations.map(({ mspId }) => mspId));
  const stations = await Promise.all(
    wanted
      .filter(({ org }) => here.has(org))
      .map(async ({ name, org, roles, hosted }) => {
        const station = await enrol(pipeline, principalOf(profile, org, 'registrar'), name, roles, hosted);
        return [name, station] as const;
      }),
  );
  return Object.fromEntries(stations);
}

/** Enrols a new station of the principal's organisation. */
export async function enrol(
  pipeline: Pipeline,
  principal: Principal,
  id: string,
  roles: readonly Role[],
  hosted = false,
): Promise<TestStation> {
  const signer = new SigningStation(id);
  await enrolStation(pipeline, principal, {
    station: id,
    site: principal.site,
    roles: [...roles],
    ...(hosted ? {} : { key: signer.publicKey }),
  });
  return { org: principal.org, hosted, signer };
}

// ── Telling the story ──────────────────────────────────────────────────────────────────────────────────────────────

/** What may be different about a step. A payload's fields replace those of the same name; undefined takes one away. */
export interface Difference {
  by?: TestStation;
  subject?: string;
  links?: string[];
  time?: string;
  n?: number;
  payload?: { [name: string]: Json | undefined };
}
/** An item as it is posted, with who posts it. */
export interface Said {
  readonly item: { [name: string]: Json };
  readonly org: string;
  readonly station: string;
  readonly n: number;
  readonly step: string;
  readonly subject: string;
}

/** One telling of the reference story, about subjects of its own. */
export class Telling {
  readonly keys = {
    prescription: randomKey(),
    fulfilment: randomKey(),
    package: randomKey(),
    device: randomKey(),
  };
  readonly token = tokenFrom(randomBytes(17));
  readonly told: Told[];
  /** what does not happen in the story */
  private readonly untold: Told[];
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
    const of = (value: (org: string) => string) => ({
      hospital: value(HOME.hospital),
      decoction: value(HOME.decoction),
      courier: value(HOME.courier),
    });
    const story = referenceStory({
      day: latestDay(Date.now()),
      keys: this.keys,
      orgs: of((org) => org),
      sites: of(siteOf),
      stations: Object.fromEntries(Object.keys(STORY_STATIONS).map((name) => [name, name])) as Record<
        StoryStationName,
        string
      >,
      token: this.token,
      sealNo: `S${randomBytes(4).toString('hex')}`,
      handover: randomKey(),
      staffKey: randomBytes(32),
      sha256: nodeSuite.sha256,
    });
    this.told = story;
    const routed = story.find(({ statement }) => statement.step === 'RX_ROUTED')!;
    const revoked = { ...routed.statement, step: 'RX_REVOKED', payload: { reason: '换方' } };
    this.untold = [{ by: 'connector', statement: revoked }];
  }

  /** The story's nth step of this name (or RX_REVOKED), signed by its station with that station's next number. */
  say(step: string, different: Difference = {}, nth = 1): Said {
    let seen = 0;
    const told = [...this.told, ...this.untold].find(
      ({ statement }) => statement.step === step && ++seen === nth,
    );
    if (!told) throw new Error(`the story has no ${nth}. ${step}`);
    return this.sayTold(told, different);
  }

  private sayTold(
    { by, statement: told }: Told,
    { by: other, payload, n, ...header }: Difference = {},
  ): Said {
    const { org, hosted, signer } = other ?? this.parts.stations[by]!;
    const statement: Statement = {
      ...told,
      ...header,
      org,
      site: siteOf(org),
      station: signer.id,
      n: n ?? signer.next(),
      payload: Object.fromEntries(
        Object.entries({ ...told.payload, ...payload }).filter(([, value]) => value !== undefined),
      ) as Statement['payload'],
    };
    const item = hosted ? { statement } : signer.item(statement);
    return { ...statement, item: item as unknown as Said['item'] };
  }

  /** The story's steps before its first of this name, all of them if not said. */
  before(step?: string): Said[] {
    const end = this.told.findIndex(({ statement }) => statement.step === step);
    return this.told.slice(0, end < 0 ? undefined : end).map((told) => this.sayTold(told));
  }

  /** A prescription that has been routed to these centres. */
  routed(centres: string[] = [HOME.decoction]): Said[] {
    return [this.say('RX_ISSUED'), this.say('RX_REVIEWED'), this.say('RX_ROUTED', { payload: { centres } })];
  }
}

// ── By hand ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Registers the device that a telling's boil needs. */
export const withDevice = (pipeline: Pipeline, parts: Parts, { keys }: Telling): Promise<void> =>
  registerDevice(pipeline, parts.principal(HOME.decoction, 'registrar'), keys.device);

/** Posts items in runs of one organisation each, as their organisations would, and gives the answers in order. */
export async function post(
  pipeline: Pipeline,
  parts: Parts,
  said: readonly Said[],
): Promise<Awaited<ReturnType<typeof receive>>> {
  const answers: Awaited<ReturnType<typeof receive>> = [];
  for (let from = 0; from < said.length;) {
    const { org } = said[from]!;
    let to = from;
    while (to < said.length && said[to]!.org === org) to++;
    const items = said.slice(from, to).map(({ item }) => item);
    answers.push(...(await receive(pipeline, parts.principal(org), items)));
    from = to;
  }
  return answers;
}

/** Writes what is ready, one batch of one organisation after another, until nothing more is. */
export async function settleAll(pipeline: Pipeline): Promise<void> {
  for (let again = true; again;) {
    again = false;
    for (const { mspId } of pipeline.ledger.profile.organisations)
      if (await batch(pipeline, mspId)) again = true;
  }
}

/** Posts and settles; throws when one of them is not settled. */
export async function settled(pipeline: Pipeline, parts: Parts, said: readonly Said[]): Promise<Receipt[]> {
  await post(pipeline, parts, said);
  await settleAll(pipeline);
  return Promise.all(
    said.map(async (one) => {
      const receipt = await receiptOf(parts, one);
      if (receipt?.outcome !== 'settled') throw new Error(`${one.step}: ${JSON.stringify(receipt)}`);
      return receipt;
    }),
  );
}

export async function receiptOf(
  { pool }: Parts,
  { station, n }: Pick<Said, 'station' | 'n'>,
): Promise<Receipt | undefined> {
  return (await receiptsOf(pool, [{ station, n }])).get(`${station} ${n}`)?.receipt;
}

/** How many rows the tables have about events: all of them, or those about one. */
export async function countRows(
  { pool }: Parts,
  about?: Pick<Said, 'station' | 'n'>,
): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of ['event', 'disclosure', 'verdict', 'pending', 'record']) {
    const { rows } = await pool.query<{ count: string }>(
      `select count(*) from ${table} where $1::text is null or (station = $1 and n = $2)`,
      [about?.station, about?.n],
    );
    counts[table] = Number(rows[0]!.count);
  }
  return counts;
}

// ── As the service runs it ─────────────────────────────────────────────────────────────────────────────────────────

/** The whole service behind a free port. */
export interface ServedService {
  readonly access: Access;
  readonly running: RunningService;
  /** an organisation's keys */
  of(org: string): OrganisationAccess;
  stop(): Promise<void>;
}

/** `instead` replaces what the environment of a process would say. */
export async function serveService(parts: Parts, instead: Partial<Config> = {}): Promise<ServedService> {
  let url = '';
  const running = await startService(
    {
      databaseUrl: parts.databaseUrl,
      ownerUrl: undefined,
      ledgerProfile: parts.profilePath,
      stationKeys: parts.stationKeys,
      host: '127.0.0.1',
      port: 0,
      publicUrl: undefined,
      production: false,
      docs: true,
      trustProxy: [],
      mostPending: 100_000,
      ...instead,
    },
    () => url,
    () => {},
  );
  const log = { info: () => {}, error: () => {} };
  const server = createServer(createApp(running.service, { log, docs: true })).listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const organisations = await Promise.all(
    parts.profile.organisations.map(async ({ mspId: org, kind }): Promise<OrganisationAccess> => {
      const scope = { org, site: siteOf(org) };
      const recorder = await createApiKey(parts.pool, { ...scope, role: 'recorder' });
      const registrar = await createApiKey(parts.pool, { ...scope, role: 'registrar' });
      return { ...scope, kind, recorder: recorder.key, registrar: registrar.key };
    }),
  );
  return {
    access: { url, organisations },
    running,
    of: (org) => organisations.find((organisation) => organisation.org === org)!,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await running.stop();
    },
  };
}

// ── What goes wrong on the way ─────────────────────────────────────────────────────────────────────────────────────

/** Where a batch is on its way to the ledger. */
export type Moment =
  | 'proposed' // nothing was sent
  | 'endorsed' // the endorsers have judged, we have not
  | 'submitted' // we have judged as well, nothing is written yet
  | 'ordered'; // the ledger has decided, and nobody here knows yet

/**
 * The ledger, with somebody who is told of each moment of each batch and may throw there: then the rest does not happen. Told
 * of 'ordered' with the validation code.
 */
export function watched(ledger: Ledger, at: (moment: Moment, org: string, code?: number) => unknown): Ledger {
  return over(ledger, {
    door(org, identity) {
      const door = ledger.door(org, identity);
      const newProposal: typeof door.contract.newProposal = (name, options) => {
        const proposal = door.contract.newProposal(name, options);
        if (name !== 'RecordBatch') return proposal;
        return over(proposal, {
          async endorse() {
            await at('proposed', org);
            const transaction = await proposal.endorse();
            await at('endorsed', org);
            return over(transaction, {
              async submit() {
                await at('submitted', org);
                const submitted = await transaction.submit();
                const status = await submitted.getStatus();
                await at('ordered', org, status.code);
                return over(submitted, { getStatus: () => Promise.resolve(status) });
              },
            });
          },
        });
      };
      return { ...door, contract: over(door.contract, { newProposal }) };
    },
  });
}

/** The object with some of its methods replaced. */
export function over<T extends object>(target: T, instead: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(Object.hasOwn(instead, name) ? instead : target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Resolves when the condition holds; throws when that takes too long. */
export async function until(
  what: string,
  condition: () => Promise<boolean> | boolean,
  within = 20_000,
): Promise<void> {
  for (const end = Date.now() + within; !(await condition()); await sleep(20))
    if (Date.now() > end) throw new Error(`not within ${within} ms: ${what}`);
}
