import { spawn, type ChildProcess } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
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
import { caFiles } from '@yaoji/network/identities/organisation';
import { readProfile, type NetworkProfile, type ProfileOrganisation } from '@yaoji/network/profile';

/** A ledger with the probe contract on it. Which one it is, its users cannot tell. */
export interface LedgerUnderTest {
  /** As of now: a restart may change the addresses in it. */
  profile(): NetworkProfile;
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

/** Starts the ledger that the suite is to run against, empty. */
export async function startLedgerUnderTest(): Promise<LedgerUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-ledger-'));
  let running = await launchLocalLedger(folder);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const exited = once(running.child, 'exit');
    running.child.kill(signal);
    await exited;
  };
  const again = async (signal: NodeJS.Signals): Promise<void> => {
    await end(signal);
    running = await launchLocalLedger(folder);
  };
  return {
    profile: () => readProfile(running.profile),
    issue: (mspId, subject) => issueLocally(folder, mspId, subject),
    restart: () => again('SIGTERM'),
    crash: () => again('SIGKILL'),
    async stop() {
      await end('SIGTERM');
      rmSync(folder, { recursive: true });
    },
  };
}

/** The folder of the probe contract's package. */
export function probeChaincode(): string {
  // Only code is compiled into dist; the package's own package.json stays where it was written.
  return fileURLToPath(new URL('../../support/probe-chaincode', import.meta.url));
}

export interface LaunchedLedger {
  readonly child: ChildProcess;
  readonly profile: string;
  readonly height: number;
}

/** Starts the local ledger as a process, as `npm start` does. Throws, with what it printed, when it does not come up. */
export async function launchLocalLedger(folder: string, ...more: string[]): Promise<LaunchedLedger> {
  const main = fileURLToPath(import.meta.resolve('@yaoji/network/local/main'));
  const child = spawn(
    process.execPath,
    [main, '--folder', folder, '--chaincode', probeChaincode(), ...more],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
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
  });
  const gateway = connect({
    client,
    identity: { mspId: person.mspId, credentials: Buffer.from(person.certificate) },
    signer: signers.newPrivateKeySigner(createPrivateKey(person.key)),
    hash: hash.sha256,
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

function channelCredentials({ tls }: ProfileOrganisation) {
  return tls === undefined ? credentials.createInsecure() : credentials.createSsl(readFileSync(tls));
}

async function issueLocally(folder: string, mspId: string, subject: Subject): Promise<Person> {
  const { certificate, key } = caFiles(join(folder, 'organisations', mspId));
  const ca = { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  return { mspId, ...(await certify(ca, subject)) };
}

function readReady(line: string): { profile: string; height: number } {
  const ready: unknown = JSON.parse(line);
  const isReady = typeof ready === 'object' && ready !== null && 'profile' in ready && 'height' in ready;
  if (!isReady) throw new Error(`not ready: ${line}`);
  return { profile: String(ready.profile), height: Number(ready.height) };
}
