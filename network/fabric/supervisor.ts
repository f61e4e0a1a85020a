import { fork, type ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { Backoff } from '../backoff.ts';
import type { Notice, Order } from './keeper.ts';
import type { Places } from './layout.ts';
import type { Node } from './nodes.ts';
import {
  endProcesses,
  forgetProcess,
  isRunning,
  readProcess,
  readProcesses,
  recordProcess,
} from './processes.ts';

const KEEPER = fileURLToPath(new URL('./keeper.js', import.meta.url));
/** Under which name the process in charge of a folder is noted. */
export const SUPERVISOR = 'supervisor';
const STOP_LIMIT_MS = 5000;

interface Kept {
  readonly node: Node;
  readonly backoff: Backoff;
  pid: number | undefined;
  began: number;
  isWanted: boolean;
}

/**
 * Keeps a network's processes running: starts again what has ended, with longer and longer pauses while it ends at once.
 * Nothing is left running when this process ends, however it ends.
 */
export class Supervisor {
  private readonly places: Places;
  private readonly keeper: ChildProcess;
  private readonly kept = new Map<string, Kept>();
  private readonly log: (line: string) => void;
  /** Emits a node's name when its process has ended. */
  private readonly ends = new EventEmitter().setMaxListeners(0);
  private isStopping = false;
  /** Answers when the keeper has died under us: nothing is supervised any more. */
  readonly failed: Promise<Error>;

  /**
   * Takes charge of a network's folder. Ends what an earlier run of the same folder has left behind; throws when that
   * run is still in charge.
   */
  static async takeCharge(places: Places, log: (line: string) => void): Promise<Supervisor> {
    const other = readProcess(places.run, SUPERVISOR);
    if (other && isRunning(other)) {
      throw new Error(`a network is already running from ${places.folder}: process ${other.pid}`);
    }
    await endLeftovers(places);
    recordProcess(places.run, SUPERVISOR, process.pid);
    return new Supervisor(places, log);
  }

  private constructor(places: Places, log: (line: string) => void) {
    this.places = places;
    this.log = log;
    this.keeper = fork(KEEPER, [places.run], {
      detached: true,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    if (this.keeper.pid !== undefined) recordProcess(places.run, 'keeper', this.keeper.pid);
    this.keeper.on('message', (notice: Notice) => this.hear(notice));
    this.keeper.on('error', () => {});
    this.failed = once(this.keeper, 'exit').then(
      () => new Error("the keeper of the network's processes died"),
    );
  }

  /** Starts a node and keeps it running. */
  run(node: Node): void {
    const kept: Kept = { node, backoff: new Backoff(), pid: undefined, began: Date.now(), isWanted: true };
    this.kept.set(node.name, kept);
    this.start(kept);
  }

  has(name: string): boolean {
    return this.kept.has(name);
  }

  /** Stops a node for good; resolves when its process is gone. */
  async end(name: string): Promise<void> {
    const kept = this.kept.get(name);
    if (!kept) return;
    kept.isWanted = false;
    const force = setTimeout(() => this.tell({ signal: 'SIGKILL', name }), STOP_LIMIT_MS);
    if (kept.pid !== undefined) {
      const ended = once(this.ends, name);
      this.tell({ signal: 'SIGTERM', name });
      await Promise.race([ended, this.failed]);
    }
    clearTimeout(force);
    this.kept.delete(name);
  }

  /** Stops everything and gives the folder back. Resolves when nothing is left. */
  async stop(): Promise<void> {
    this.isStopping = true;
    await Promise.all([...this.kept.keys()].map((name) => this.end(name)));
    if (this.keeper.connected) this.keeper.disconnect();
    await this.failed;
    // Only where the keeper was killed there is anything.
    await endLeftovers(this.places);
    forgetProcess(this.places.run, SUPERVISOR);
  }

  private start(kept: Kept): void {
    kept.began = Date.now();
    this.tell({ start: kept.node, log: this.places.log(kept.node.name) });
  }

  private hear(notice: Notice): void {
    const kept = this.kept.get('started' in notice ? notice.started : notice.ended);
    if (!kept) return;
    if ('started' in notice) {
      kept.pid = notice.pid;
      return;
    }
    kept.pid = undefined;
    this.ends.emit(kept.node.name);
    if (kept.isWanted) void this.startAgain(kept, notice.how);
  }

  private async startAgain(kept: Kept, how: string): Promise<void> {
    const pause = kept.backoff.next(Date.now() - kept.began);
    this.log(`${kept.node.name} ended (${how}) and is started again in ${pause} ms`);
    await sleep(pause);
    if (kept.isWanted && !this.isStopping) this.start(kept);
  }

  private tell(order: Order): void {
    if (this.keeper.connected) this.keeper.send(order, () => {});
  }
}

/** Ends what runs still of a network's folder that nobody is in charge of. Resolves when it is gone. */
export async function endLeftovers(places: Places): Promise<void> {
  const records = readProcesses(places.run).filter(({ name }) => name !== SUPERVISOR);
  // A keeper whose supervisor is gone is ending them already, and goes when it has.
  await endProcesses(records, STOP_LIMIT_MS);
  for (const { name } of records) forgetProcess(places.run, name);
}
