import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { dirname, join } from 'node:path';
import { connectLedger } from '@yaoji/api/ledger/connect';
import { register } from '@yaoji/api/ledger/register';
import { RegistrationRefused } from '@yaoji/api/service';
import { createApiKey } from '@yaoji/api/store/api-keys';
import { openPool } from '@yaoji/api/store/pool';
import { DEFAULT_RULE_SET, type Kind } from '@yaoji/chaincode/core';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { chainSettings, withoutChain, type ChainKind } from './chain-settings.ts';
import { startPostgres } from './postgres.ts';
import { stopAll, supervise, type Supervised } from './supervise.ts';

// A whole Yaoji on one machine: store, ledger with the contract, API and pages, each a process of its own.

/** An organisation's keys to the API, and the one site that its stations stand at. */
export interface OrganisationAccess {
  org: string;
  kind: Kind;
  site: string;
  /** API keys, `id.secret` */
  recorder: string;
  registrar: string;
}
/** What a program needs to use a running instance. */
export interface Access {
  url: string;
  organisations: OrganisationAccess[];
  /** the chain's node that the instance anchors with; none: nothing is anchored */
  chainRpc?: string | undefined;
}

/** What an instance can stand on. */
export type LedgerKind = 'local' | 'fabric';

/** How to reach a running instance's store. */
export interface StoreAccess {
  /** the owner's connection string: the embedded database's is another one after each start */
  databaseUrl: string;
}
const STORE_FILE = 'store.json';

export interface InstanceOptions {
  /** where everything is kept; starting again with the same folder goes on with the same data */
  folder: string;
  /** a port for the API; 0 or none: a free one */
  port?: number;
  /** what the QR says before /p/ */
  publicUrl?: string | undefined;
  /** a database to use instead of starting one */
  databaseUrl?: string | undefined;
  /** `NAME:KIND,…` of the ledger's members; four of them if not said */
  organisations?: string | undefined;
  /** the local ledger, or a real Hyperledger Fabric network on this machine; local if not said */
  ledger?: LedgerKind | undefined;
  /** how a new Fabric network orders: bft, if not said, or raft */
  ordering?: string | undefined;
  /** none if not said */
  chain?: ChainKind | undefined;
  log: (line: string) => void;
}
export interface Instance {
  access: Access;
  /** the owner's connection string */
  databaseUrl: string;
  profile: NetworkProfile;
  /** what the API is told about the chain */
  chainEnv: NodeJS.ProcessEnv;
  /** the processes, by name: to be killed by tests */
  ledger: Supervised;
  api: Supervised;
  /** resolves with the name of the first part that ended without being asked to */
  ended: Promise<string>;
  stop(): Promise<void>;
}

const at = (specifier: string): string => fileURLToPath(import.meta.resolve(specifier));
const NAMES: Readonly<Record<Kind, { zh: string; en: string }>> = {
  hospital: { zh: '示范中医院', en: 'Demonstration Hospital' },
  decoction: { zh: '示范煎药中心', en: 'Demonstration Decoction Centre' },
  courier: { zh: '示范快递', en: 'Demonstration Courier' },
  regulator: { zh: '示范监管机构', en: 'Demonstration Regulator' },
};

/** The local ledger of an instance's folder. `control`: it takes fault switches. */
export const superviseLedger = (
  folder: string,
  { organisations, port, control }: { organisations?: string | undefined; port?: string; control?: true },
): Supervised =>
  supervise({
    name: 'ledger',
    script: at('@yaoji/network/local/main'),
    args: [
      ...ledgerArguments(folder, organisations),
      ...(port === undefined ? [] : [`--port=${port}`]),
      ...(control ? ['--control'] : []),
    ],
    env: process.env,
    logFile: join(folder, 'log', 'ledger.log'),
  });

/** The real Fabric network of an instance's folder. */
export const superviseFabric = (
  folder: string,
  { organisations, ordering }: Pick<InstanceOptions, 'organisations' | 'ordering'>,
): Supervised =>
  supervise({
    name: 'ledger',
    script: at('@yaoji/network/fabric/main'),
    args: [
      ...ledgerArguments(folder, organisations),
      ...(ordering === undefined ? [] : [`--ordering=${ordering}`]),
    ],
    env: process.env,
    logFile: join(folder, 'log', 'ledger.log'),
    // A busy machine takes its time for a dozen processes.
    readyWithin: 180_000,
  });

/** The folder of the contract's package, as every ledger takes it. */
export const contractFolder = (): string => dirname(at('@yaoji/chaincode/package.json'));

/** Where an instance's ledger keeps everything. */
export const ledgerFolder = (folder: string): string => join(folder, 'ledger');

const ledgerArguments = (folder: string, organisations: string | undefined): string[] => [
  `--folder=${ledgerFolder(folder)}`,
  `--chaincode=${contractFolder()}`,
  ...(organisations === undefined ? [] : [`--organisations=${organisations}`]),
];

/** The API of an instance's folder, on this store. `env`: what else it is told. */
export const superviseApi = (
  folder: string,
  databaseUrl: string,
  {
    port = 0,
    publicUrl,
    env = {},
  }: { port?: number | undefined; publicUrl?: string | undefined; env?: NodeJS.ProcessEnv },
): Supervised =>
  supervise({
    name: 'api',
    script: at('@yaoji/api/main'),
    env: {
      ...withoutChain(process.env),
      DATABASE_URL: databaseUrl,
      LEDGER_PROFILE: join(ledgerFolder(folder), 'network.json'),
      STATION_KEYS: join(folder, 'station-keys'),
      PORT: String(port),
      ...(publicUrl ? { PUBLIC_URL: publicUrl } : {}),
      ...env,
    },
    logFile: join(folder, 'log', 'api.log'),
  });

/** Starts what is not there yet and goes on with what is. When it fails it stops whatever it had started. */
export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const { folder, log } = options;
  mkdirSync(folder, { recursive: true });
  const started: { stop(): Promise<void> }[] = [];
  try {
    return await start(options, folder, log, started);
  } catch (error) {
    await stopAll(started);
    throw error;
  }
}

async function start(
  options: InstanceOptions,
  folder: string,
  log: (line: string) => void,
  started: { stop(): Promise<void> }[],
): Promise<Instance> {
  const ended: Promise<string>[] = [];
  let databaseUrl = options.databaseUrl;
  if (databaseUrl === undefined) {
    const postgres = await startPostgres({ folder: join(folder, 'postgres'), log });
    started.push(postgres);
    ended.push(postgres.exited.then(() => 'PostgreSQL'));
    databaseUrl = postgres.url;
  }

  const ledger =
    options.ledger === 'fabric'
      ? superviseFabric(folder, options)
      : superviseLedger(folder, { organisations: options.organisations });
  started.push(ledger);
  ended.push(ledger.exited.then(() => 'the ledger'));
  const { profile: profilePath } = (await ledger.ready) as { profile: string };
  const profile = readProfile(profilePath);
  await found(profile);
  writePrivate(join(folder, STORE_FILE), { databaseUrl } satisfies StoreAccess);

  const { chain, env: chainEnv } = await chainSettings(options.chain ?? 'none', folder, log);
  // It is started again when it ends; until then anchoring waits, and nothing else.
  if (chain) started.push(chain);
  const api = superviseApi(folder, databaseUrl, { ...options, env: chainEnv });
  started.push(api);
  ended.push(api.exited.then(() => 'the API'));
  const { url } = (await api.ready) as { url: string };
  const file = join(folder, 'access.json');
  const organisations = await organisationsOf(file, databaseUrl, profile);
  const access: Access = { url, organisations, chainRpc: chainEnv['CHAIN_RPC'] };
  writePrivate(file, access);
  return {
    access,
    databaseUrl,
    profile,
    chainEnv,
    ledger,
    api,
    ended: Promise.race(ended),
    async stop() {
      await stopAll(started);
    },
  };
}

/** The one site of an organisation of an instance. */
export const siteOf = (org: string): string => `${org.replace(/MSP$/, '').toLowerCase()}-1`;

/** Names the members and registers a site for each. What is there already stays. */
export async function found(profile: NetworkProfile): Promise<void> {
  const ledger = connectLedger(profile);
  try {
    const members = profile.organisations.map(({ mspId, kind }, i) => {
      const { zh, en } = NAMES[kind];
      const twin = profile.organisations.slice(0, i).filter((other) => other.kind === kind).length;
      const suffix = twin ? ` ${twin + 1}` : '';
      return { org: mspId, kind, zh: zh + suffix, en: en + suffix };
    });
    const isNew = await unless('ALREADY_FOUNDED', register(ledger, members[0]!.org, 'Found', members));
    const regulator = members.find(({ kind }) => kind === 'regulator');
    if (!isNew && regulator) {
      for (const member of members)
        await unless('MEMBER_EXISTS', register(ledger, regulator.org, 'AddMember', member));
    }
    for (const { org, zh, en } of members)
      await register(ledger, org, 'PutSite', { site: siteOf(org), zh, en, rules: DEFAULT_RULE_SET });
  } finally {
    ledger.close();
  }
}

/** Whether a registration was made; false where the contract refuses it for this reason. Throws for any other. */
async function unless(code: string, registration: Promise<void>): Promise<boolean> {
  try {
    await registration;
    return true;
  } catch (error) {
    if (error instanceof RegistrationRefused && error.code === code) return false;
    throw error;
  }
}

/** The organisations' API keys: made once for each in a folder, since only their hashes are stored. */
async function organisationsOf(
  file: string,
  databaseUrl: string,
  profile: NetworkProfile,
): Promise<OrganisationAccess[]> {
  const organisations: OrganisationAccess[] = existsSync(file)
    ? (JSON.parse(readFileSync(file, 'utf8')) as Access).organisations
    : [];
  const known = new Set(organisations.map(({ org }) => org));
  const pool = openPool(databaseUrl, { role: 'yaoji_app', max: 1, onError: () => {} });
  try {
    for (const { mspId: org, kind } of profile.organisations.filter(({ mspId }) => !known.has(mspId))) {
      const site = siteOf(org);
      const { key: recorder } = await createApiKey(pool, { org, site, role: 'recorder' });
      const { key: registrar } = await createApiKey(pool, { org, site, role: 'registrar' });
      organisations.push({ org, kind, site, recorder, registrar });
    }
    return organisations;
  } finally {
    await pool.end();
  }
}

function writePrivate(file: string, content: object): void {
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
}

/** Where the store of the instance of this folder was at its last start; undefined when none was started in it. */
export function readStore(folder: string): StoreAccess | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, STORE_FILE), 'utf8')) as StoreAccess;
  } catch {
    return undefined;
  }
}

/** The access to an instance that runs from this folder; undefined when none answers. */
export async function findInstance(folder: string): Promise<Access | undefined> {
  try {
    const access = JSON.parse(readFileSync(join(folder, 'access.json'), 'utf8')) as Access;
    const answer = await fetch(`${access.url}/healthz`, { signal: AbortSignal.timeout(2_000) });
    return answer.ok ? access : undefined;
  } catch {
    return undefined;
  }
}
