import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const LIFELINE = new URL('./lifeline.js', import.meta.url).href;

/** A Node program to run beside us. */
export interface SuperviseOptions {
  /** What a person calls it; stands before each of its lines in the log. */
  readonly name: string;
  /** Path of the script. */
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** File its output is added to; its folder is made if missing. */
  readonly logFile: string;
  /** Milliseconds it may take until it is ready; 60,000 if not said. */
  readonly readyWithin?: number;
  /** Milliseconds from SIGTERM to SIGKILL; 10,000 if not said. */
  readonly stopWithin?: number;
}

type Announcement = Readonly<Record<string, unknown>>;

interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A Node program running beside us. It ends when we end, however that happens (kill -9 too). */
export interface Supervised {
  readonly name: string;
  readonly pid: number;
  /**
   * The first line it prints on stdout that is a JSON object with `"ready": true`. Rejects, with the end of its log,
   * if it ends before that or takes too long.
   */
  readonly ready: Promise<Announcement>;
  /** How it ended; never rejects. */
  readonly exited: Promise<Exit>;
  /** SIGTERM, SIGKILL after the deadline; resolves when it is gone. */
  stop(): Promise<void>;
}

const TAIL = 20;

/** Starts a Node program. Throws only if there can be no process at all. */
export function supervise(options: SuperviseOptions): Supervised {
  const { name, script, args = [], env, logFile, readyWithin = 60_000, stopWithin = 10_000 } = options;
  mkdirSync(dirname(logFile), { recursive: true });
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  const child = spawn(process.execPath, ['--enable-source-maps', `--import=${LIFELINE}`, script, ...args], {
    env,
    stdio: 'pipe',
    // A group of its own: Ctrl-C in a terminal reaches us only, and we stop things in their order.
    detached: true,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${name} could not be started`);
  // It may be gone when its life line closes; `exited` says so.
  child.stdin.on('error', () => {});

  const tail: string[] = [];
  function follow(output: Readable, onLine: (line: string) => void): void {
    createInterface(output).on('line', (line) => {
      log.write(`${name} | ${line}\n`);
      tail.push(line);
      if (tail.length > TAIL) tail.shift();
      onLine(line);
    });
  }

  // "close", not "exit": then all it printed has been read.
  const exited = new Promise<Exit>((resolve) => {
    child.on('close', (code, signal) => {
      log.end();
      resolve({ code, signal });
    });
  });
  const ready = new Promise<Announcement>((resolve, reject) => {
    const fail = (what: string): void =>
      reject(new Error(`${name} ${what} (${logFile}):\n${tail.join('\n')}`));
    const timer = setTimeout(() => fail(`was not ready within ${readyWithin} ms`), readyWithin);
    follow(child.stderr, () => {});
    follow(child.stdout, (line) => {
      const announcement = readAnnouncement(line);
      if (!announcement) return;
      clearTimeout(timer);
      resolve(announcement);
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      fail(`ended before it was ready, with ${signal ?? `code ${code}`}`);
    });
  });
  // Whoever waits gets the rejection; that nobody waits yet must not end us.
  ready.catch(() => {});

  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), stopWithin);
    await exited;
    clearTimeout(timer);
  };
  return { name, pid, ready, exited, stop };
}

/** Stops what was started, the last first; one is gone before the next is asked. */
export async function stopAll(started: readonly { stop(): Promise<void> }[]): Promise<void> {
  for (const one of started.toReversed()) await one.stop();
}

function readAnnouncement(line: string): Announcement | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: Announcement = JSON.parse(line);
    return value['ready'] === true ? value : undefined;
  } catch {
    return undefined;
  }
}
