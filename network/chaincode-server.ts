import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface ChaincodeServerOptions {
  /** A package's folder; its package.json's `main` is the module that exports `contracts`. */
  readonly folder: string;
  /** The package id the server registers with, as `peer lifecycle chaincode calculatepackageid` prints it. */
  readonly id: string;
  /** The file that takes what the process prints, appended. */
  readonly log: string;
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

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const SETTLED_MS = 10_000;
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 3000;
const POLL_MS = 25;

/**
 * Starts a contract and answers when it accepts connections. A process that exits later is started again, with
 * longer and longer pauses while it exits at once. The process ends with this one, however this one ends.
 * Throws, naming the log, when the contract does not come up.
 */
export async function startChaincodeServer(options: ChaincodeServerOptions): Promise<ChaincodeServer> {
  const cli = cliOf(options.folder);
  const stopping = new AbortController();
  const address = `127.0.0.1:${await freePort()}`;
  let running = launch(cli, address, options);
  const up = await isUp(running, address);
  if (!up) {
    await end(running);
    throw new Error(`the chaincode in ${options.folder} did not start; ${options.log} says why`);
  }
  const supervision = supervise(
    running,
    () => launch(cli, address, options),
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
  let pause = FIRST_PAUSE_MS;
  for (let running = first; ;) {
    const began = Date.now();
    await Promise.race([running.exited, stopped]);
    pause = Date.now() - began > SETTLED_MS ? FIRST_PAUSE_MS : Math.min(pause * 2, LONGEST_PAUSE_MS);
    await sleep(pause, undefined, { signal: stopping }).catch(() => undefined);
    if (stopping.aborted) return;
    running = next();
    started(running);
  }
}

interface Launched {
  readonly child: ChildProcess;
  readonly exited: Promise<void>;
}

function launch(cli: string, address: string, { folder, id, log }: ChaincodeServerOptions): Launched {
  const output = openSync(log, 'a', 0o600);
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('./follow-parent.js'), cli, 'server'].concat([
      '--chaincode-address',
      address,
      '--chaincode-id',
      id,
      '--module-path',
      folder,
    ]),
    {
      cwd: folder,
      stdio: ['pipe', output, output],
      // At a finer level the shim prints the arguments of every call.
      env: {
        ...process.env,
        CORE_CHAINCODE_LOGGING_LEVEL: 'ERROR',
        CORE_CHAINCODE_LOGGING_SHIM: 'ERROR',
        YAOJI_STATE_ACCESS: 'grouped',
      },
    },
  );
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

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

// The shim neither reports the port it was given for 0 nor takes a listening socket, so a free one is looked up first.
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no free port');
  return address.port;
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
