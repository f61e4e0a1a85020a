import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Backoff } from './backoff.ts';
import { flags } from './flags.ts';
import { freePort } from './free-port.ts';

/** How a contract is run. */
export interface ChaincodeProgram {
  /** A package's folder; its package.json's `main` is the module that exports `contracts`. */
  readonly folder: string;
  /** The package id the server registers with, as `peer lifecycle chaincode calculatepackageid` prints it. */
  readonly id: string;
  /** The organisation it runs for; the contract cannot ask in which one it runs where this is left out. */
  readonly mspId?: string;
  /** PEM files: what it shows, and the CA of whoever may call it. No TLS where this is left out. */
  readonly tls?: { readonly certificate: string; readonly key: string; readonly clientCa: string };
}

export interface ChaincodeServerOptions extends ChaincodeProgram {
  /** The file that takes what the process prints, appended. */
  readonly log: string;
}

/** A command to start, with its whole environment. */
export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
}

/** A contract running under fabric-shim's own server, in a process of its own. */
export interface ChaincodeServer {
  /** host:port, the same over restarts. */
  readonly address: string;
  /** The process as of now; none between an exit and the restart. */
  pid(): number | undefined;
  /** Ends the process and waits until it is gone. */
  stop(): Promise<void>;
}

const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 3000;
const POLL_MS = 25;

/**
 * Starts a contract and answers when it accepts connections. A process that exits later is started again, with
 * longer and longer pauses while it exits at once. The process ends with this one, however this one ends.
 * Throws, naming the log, when the contract does not come up.
 */
export async function startChaincodeServer(options: ChaincodeServerOptions): Promise<ChaincodeServer> {
  const stopping = new AbortController();
  // The shim neither reports the port it was given for 0 nor takes a listening socket, so a free one is looked up first.
  const address = `127.0.0.1:${await freePort()}`;
  const program = chaincodeCommand(options, address);
  let running = launch(program, options.log);
  const up = await isUp(running, address);
  if (!up) {
    await end(running);
    throw new Error(`the chaincode in ${options.folder} did not start; ${options.log} says why`);
  }
  const supervision = supervise(
    running,
    () => launch(program, options.log),
    stopping.signal,
    (next) => (running = next),
  );
  return {
    address,
    pid: () => (isRunning(running) ? running.child.pid : undefined),
    async stop() {
      stopping.abort();
      await supervision;
      await end(running);
    },
  };
}

/** Starts the next process whenever one has exited, until it is told to stop. */
async function supervise(
  first: Launched,
  next: () => Launched,
  stopping: AbortSignal,
  started: (launched: Launched) => void,
): Promise<void> {
  const stopped = once(stopping, 'abort');
  const backoff = new Backoff();
  for (let running = first; ;) {
    const began = Date.now();
    await Promise.race([running.exited, stopped]);
    await sleep(backoff.next(Date.now() - began), undefined, { signal: stopping }).catch(() => undefined);
    if (stopping.aborted) return;
    running = next();
    started(running);
  }
}

interface Launched {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

function launch({ command, args, env, cwd }: Command, log: string): Launched {
  const output = openSync(log, 'a', 0o600);
  const child = spawn(command, args, { cwd, stdio: ['pipe', output, output], env });
  closeSync(output);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return { child, exited };
}

async function end({ child, exited }: Launched): Promise<void> {
  child.stdin?.end();
  const force = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  await exited;
  clearTimeout(force);
}

async function isUp(launched: Launched, address: string): Promise<boolean> {
  const port = Number(address.split(':')[1]);
  for (const deadline = Date.now() + START_LIMIT_MS; Date.now() < deadline; await sleep(POLL_MS)) {
    if (!isRunning(launched)) return false;
    if (await accepts(port)) return true;
  }
  return false;
}

function isRunning({ child }: Launched): boolean {
  return child.pid !== undefined && child.exitCode === null && child.signalCode === null;
}

/** Whether somebody listens at a port of 127.0.0.1. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/**
 * The command that serves a contract at an address. Its process ends when its standard input does: whoever starts it holds
 * the other end. Throws when the folder is no package.
 */
export function chaincodeCommand(program: ChaincodeProgram, address: string): Command {
  const { args, env } = contractServer(program, address);
  return {
    command: process.execPath,
    args: ['--import', import.meta.resolve('./follow-parent.js'), ...args],
    cwd: program.folder,
    env: { ...process.env, ...env },
  };
}

/** What Node is given to serve a contract at an address. Throws when the folder is no package. */
export function contractServer(
  { folder, id, mspId, tls }: ChaincodeProgram,
  address: string,
): { readonly args: readonly string[]; readonly env: Readonly<Record<string, string>> } {
  return {
    args: [
      cliOf(folder),
      'server',
      ...flags({
        '--chaincode-address': address,
        '--chaincode-id': id,
        '--module-path': folder,
        ...(tls && {
          '--chaincode-tls-cert-file': tls.certificate,
          '--chaincode-tls-key-file': tls.key,
          '--chaincode-tls-client-cacert-file': tls.clientCa,
        }),
      }),
    ],
    env: {
      // At a finer level the shim prints the arguments of every call.
      CORE_CHAINCODE_LOGGING_LEVEL: 'ERROR',
      CORE_CHAINCODE_LOGGING_SHIM: 'ERROR',
      YAOJI_STATE_ACCESS: 'grouped',
      ...(mspId === undefined ? {} : { CORE_PEER_LOCALMSPID: mspId }),
    },
  };
}

// The shim that the contract itself depends on, so that contract and server share one fabric-contract-api.
function cliOf(folder: string): string {
  const manifest = join(folder, 'package.json');
  const fields: unknown = JSON.parse(readFileSync(manifest, 'utf8'));
  if (typeof fields !== 'object' || fields === null || !('main' in fields)) {
    throw new Error(`${manifest} names no "main"`);
  }
  return createRequire(manifest).resolve('fabric-shim/cli.js');
}
