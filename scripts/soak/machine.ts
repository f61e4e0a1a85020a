import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { control, controlPath, type Command } from '@yaoji/network/local/control';
import type { NetworkProfile } from '@yaoji/network/profile';
import { startInstance, superviseApi, superviseLedger, type Access } from '../instance.ts';
import type { Supervised } from '../supervise.ts';

// A whole instance whose ledger and API may be killed at any moment: like a machine's service manager, it starts again what
// has ended. Their ports stay, so that everybody finds them again.

export const PARTS = ['api', 'ledger', 'chaincode'] as const;
export type Part = (typeof PARTS)[number];

export interface Machine {
  readonly access: Access;
  /** the owner's connection string */
  readonly databaseUrl: string;
  readonly profile: NetworkProfile;
  /** How often the API and the ledger were started again. */
  readonly restarts: Readonly<Record<'api' | 'ledger', number>>;
  /** What ended without a signal, which nobody asked it to. */
  readonly failures: readonly string[];
  /** Sends SIGKILL. A part that is down already stays down until it is started again. */
  kill(part: Part): Promise<void>;
  /** Tells the ledger. Answers whether it was there to be told. */
  tell(command: Command): Promise<boolean>;
  /** Resolves when the API and the ledger run. */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

const ORGANISATIONS = [
  'HospitalMSP:hospital',
  'DecoctionMSP:decoction',
  'SecondDecoctionMSP:decoction',
  'CourierMSP:courier',
  'RegulatorMSP:regulator',
].join(',');

/** Starts an instance in a folder. `pause`: ms until something that has ended is started again. */
export async function startMachine(folder: string, pause: () => number): Promise<Machine> {
  const instance = await startInstance({ folder, organisations: ORGANISATIONS, log: () => {} });
  const { access, databaseUrl, profile } = instance;
  const socket = controlPath(join(folder, 'ledger'));
  const failures: string[] = [];
  const startLedger = (): Supervised =>
    superviseLedger(folder, {
      organisations: ORGANISATIONS,
      port: profile.organisations[0]!.gateway.split(':')[1]!,
      control: true,
    });
  const startApi = (): Supervised =>
    superviseApi(folder, databaseUrl, { port: Number(new URL(access.url).port) });
  // An instance's own ledger takes no switches.
  await instance.ledger.stop();
  const ledger = new Kept(startLedger(), startLedger, pause, failures);
  const api = new Kept(instance.api, startApi, pause, failures);
  await ledger.ready();
  return {
    access,
    databaseUrl,
    profile,
    failures,
    get restarts() {
      return { api: api.restarts, ledger: ledger.restarts };
    },
    async kill(part) {
      if (part === 'api') return api.kill();
      if (part === 'ledger') return ledger.kill();
      const { chaincode } = await control(socket, {}).catch(() => ({ chaincode: undefined }));
      if (chaincode !== undefined) process.kill(chaincode, 'SIGKILL');
    },
    async tell(command) {
      return control(socket, command).then(
        () => true,
        () => false,
      );
    },
    async ready() {
      await ledger.ready();
      await api.ready();
    },
    async stop() {
      await api.stop();
      await ledger.stop();
      await instance.stop();
    },
  };
}

const READY_WITHIN = 120_000;

/** A process that is started again whenever it has ended. */
class Kept {
  restarts = 0;
  #current: Supervised;
  #alive = true;
  #stopping = false;
  readonly #watching: Promise<void>;

  constructor(first: Supervised, start: () => Supervised, pause: () => number, failures: string[]) {
    this.#current = first;
    this.#watching = this.#watch(start, pause, failures);
  }

  kill(): void {
    if (this.#alive) process.kill(this.#current.pid, 'SIGKILL');
  }

  async ready(): Promise<void> {
    // One that was killed while it started is not the one to wait for.
    const end = Date.now() + READY_WITHIN;
    for (let current; current !== this.#current || !this.#alive;) {
      if (Date.now() > end) throw new Error(`the ${this.#current.name} does not start any more`);
      current = this.#current;
      await current.ready.catch(() => sleep(100));
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#alive) await this.#current.stop();
    await this.#watching;
  }

  async #watch(start: () => Supervised, pause: () => number, failures: string[]): Promise<void> {
    for (;;) {
      const { code, signal } = await this.#current.exited;
      this.#alive = false;
      if (this.#stopping) return;
      if (signal === null) failures.push(`the ${this.#current.name} ended by itself, with code ${code}`);
      await sleep(pause());
      if (this.#stopping) return;
      this.#current = start();
      this.#alive = true;
      this.restarts++;
    }
  }
}
