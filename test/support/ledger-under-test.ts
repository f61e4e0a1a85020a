import { spawn, type ChildProcess } from 'node:child_process';
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { Client, credentials } from '@grpc/grpc-js';
import {
  connect,
  hash,
  signers,
  type Contract,
  type Gateway,
  type Network,
} from '@hyperledger/fabric-gateway';
import { certify, type Issued, type Subject } from '@yaoji/network/identities/certify';
import { placesIn } from '@yaoji/network/fabric/layout';
import { isRunning, readProcesses } from '@yaoji/network/fabric/processes';
import { caFiles } from '@yaoji/network/identities/files';
import { readProfile, type NetworkProfile, type ProfileOrganisation } from '@yaoji/network/profile';
import type { LedgerKind } from '@yaoji/scripts/instance';

import { needsFabric, REAL_FABRIC } from './fabric.ts';

/** A ledger with a contract on it. Which one it is, its users cannot tell. */
export interface LedgerUnderTest {
  /** As of now: a restart may change the addresses in it. */
  profile(): NetworkProfile;
  /** The profile's file. */
  profilePath(): string;
  /** A certificate of one of the organisations, with a new key. */
  issue(mspId: string, subject: Subject): Promise<Person>;
  /** Ends all of it in good order and starts it again. */
  restart(): Promise<void>;
  /** Kills all of it (SIGKILL) and starts it again. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** Somebody who calls the ledger. */
export interface Person extends Issued {
  readonly mspId: string;
}

export interface LedgerClient {
  readonly gateway: Gateway;
  readonly network: Network;
  readonly contract: Contract;
  close(): void;
}

const LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024;

/** A kind of ledger that suites are run against. */
export interface Provider {
  readonly name: string;
  readonly kind: LedgerKind;
  /** Leaves the running suite out where this machine cannot run it. */
  readonly needed: (test: Mocha.Context) => Promise<void>;
  /** Starts one, empty; with the probe contract on it and four organisations, if not said otherwise. */
  readonly start: (options?: { chaincode?: string; organisations?: string }) => Promise<LedgerUnderTest>;
}

/** The ledgers that suites are run against, each from the same files. */
export const PROVIDERS: readonly Provider[] = [
  {
    name: 'The local ledger',
    kind: 'local',
    needed: () => Promise.resolve(),
    start: (options) => startLedger((folder) => launch(LOCAL_LEDGER, folder, optionsOf(options))),
  },
  {
    name: REAL_FABRIC,
    kind: 'fabric',
    needed: needsFabric,
    start: (options) => startLedger((folder) => launch(REAL_NETWORK, folder, optionsOf(options))),
  },
];

const optionsOf = (options: Parameters<Provider['start']>[0] = {}): string[] =>
  Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);

const LOCAL_LEDGER = '@yaoji/network/local/main';
const REAL_NETWORK = '@yaoji/network/fabric/main';

async function startLedger(launchIn: (folder: string) => Promise<LaunchedLedger>): Promise<LedgerUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-ledger-'));
  let running = await launchIn(folder);
  const again = async (): Promise<void> => {
    running = await launchIn(folder);
  };
  return {
    profile: () => readProfile(running.profile),
    profilePath: () => running.profile,
    issue: (mspId, subject) => issueLocally(folder, mspId, subject),
    async restart() {
      await end(running, 'SIGTERM');
      await again();
    },
    async crash() {
      for (const pid of nodesIn(folder)) process.kill(pid, 'SIGKILL');
      await end(running, 'SIGKILL');
      await again();
    },
    async stop() {
      await end(running, 'SIGTERM');
      rmSync(folder, { recursive: true });
    },
  };
}

async function end({ child }: LaunchedLedger, signal: NodeJS.Signals): Promise<void> {
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** The processes that a network in a folder consists of; none for the local ledger, which is one process. */
const nodesIn = (folder: string): number[] =>
  readProcesses(placesIn(folder).run)
    .filter((record) => isRunning(record))
    .map(({ pid }) => pid);

/** The folder of the probe contract's package. */
export function probeChaincode(): string {
  // Only code is compiled into dist; the package's own package.json stays where it was written.
  return fileURLToPath(new URL('../../support/probe-chaincode', import.meta.url));
}

export interface LaunchedLedger {
  readonly child: ChildProcess;
  readonly profile: string;
  /** The number of blocks that the local ledger found at its start. */
  readonly height: number;
}

/** Starts the local ledger as a process, as `npm start` does. Throws, with what it printed, when it does not come up. */
export function launchLocalLedger(folder: string, ...more: string[]): Promise<LaunchedLedger> {
  return launch(LOCAL_LEDGER, folder, more);
}

/** Starts a real network as a process, as `npm run fabric` does. Throws, with what it printed, when it does not come up. */
export function launchFabric(folder: string, ...more: string[]): Promise<LaunchedLedger> {
  return launch(REAL_NETWORK, folder, more);
}

/** The same, with the programs of another folder than this machine's. */
export function launchFabricOf(home: string, folder: string, ...more: string[]): Promise<LaunchedLedger> {
  return launch(REAL_NETWORK, folder, more, { ...process.env, FABRIC_HOME: home });
}

async function launch(
  program: string,
  folder: string,
  more: readonly string[],
  env = process.env,
): Promise<LaunchedLedger> {
  const main = fileURLToPath(import.meta.resolve(program));
  const child = spawn(
    process.execPath,
    [main, '--folder', folder, '--chaincode', probeChaincode(), ...more],
    { stdio: ['pipe', 'pipe', 'pipe'], env },
  );
  let complaint = '';
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
  const ready = once(createInterface(child.stdout), 'line').then(([line]) => readReady(String(line)));
  const gone = once(child, 'close').then(() => undefined);
  const answer = await Promise.race([ready, gone]);
  if (!answer) throw new Error(complaint);
  return { child, ...answer };
}

/** The profile's organisation of a kind, the first of them. */
export function organisation(
  profile: NetworkProfile,
  kind: ProfileOrganisation['kind'],
): ProfileOrganisation {
  const found = profile.organisations.find((candidate) => candidate.kind === kind);
  if (!found) throw new Error(`the network has no ${kind}`);
  return found;
}

/** The identity under which an organisation's API writes. */
export function servicePerson({ mspId, identities: { service } }: ProfileOrganisation): Person {
  return {
    mspId,
    certificate: readFileSync(service.certificate, 'utf8'),
    key: readFileSync(service.key, 'utf8'),
  };
}

/** The gateway client as the API uses it; by default through the person's own organisation's gateway. */
export function connectAs(person: Person, profile: NetworkProfile, through = person.mspId): LedgerClient {
  const home =
    profile.organisations.find(({ mspId }) => mspId === through) ?? organisation(profile, 'hospital');
  const client = new Client(home.gateway, channelCredentials(home), {
    'grpc.max_receive_message_length': LARGEST_MESSAGE_BYTES,
    'grpc.max_reconnect_backoff_ms': 500,
    // TLS names a host, and an address is none; a peer is always called localhost too.
    ...(isIP(home.gateway.split(':')[0]!) ? { 'grpc.ssl_target_name_override': 'localhost' } : {}),
  });
  const gateway = connect({
    client,
    identity: { mspId: person.mspId, credentials: Buffer.from(person.certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(person.key)),
    hash: hash.sha256,
    ...tlsBinding(home),
    evaluateOptions: patient,
    endorseOptions: patient,
    submitOptions: patient,
    commitStatusOptions: patient,
  });
  const network = gateway.getNetwork(profile.channel);
  return {
    gateway,
    network,
    contract: network.getContract(profile.chaincode),
    close() {
      gateway.close();
      client.close();
    },
  };
}

/** Generous: the machine may be busy. */
function patient(): { deadline: number } {
  return { deadline: Date.now() + 30_000 };
}

function channelCredentials({ tls, client }: ProfileOrganisation) {
  if (tls === undefined) return credentials.createInsecure();
  if (client === undefined) return credentials.createSsl(readFileSync(tls));
  return credentials.createSsl(readFileSync(tls), readFileSync(client.key), readFileSync(client.certificate));
}

// Where clients show a certificate, a request for blocks must name it.
function tlsBinding({ client }: ProfileOrganisation): { tlsClientCertificateHash?: Uint8Array } {
  if (client === undefined) return {};
  const { raw } = new X509Certificate(readFileSync(client.certificate));
  return { tlsClientCertificateHash: createHash('sha256').update(raw).digest() };
}

async function issueLocally(folder: string, mspId: string, subject: Subject): Promise<Person> {
  const { certificate, key } = caFiles(join(folder, 'organisations', mspId));
  const ca = { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  return { mspId, ...(await certify(ca, subject)) };
}

function readReady(line: string): { profile: string; height: number } {
  const ready: unknown = JSON.parse(line);
  if (typeof ready !== 'object' || ready === null || !('profile' in ready))
    throw new Error(`not ready: ${line}`);
  return { profile: String(ready.profile), height: 'height' in ready ? Number(ready.height) : 0 };
}
