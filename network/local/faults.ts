import { EventEmitter } from 'node:events';

/** When the ledger can be told to die: with a block in its hands, or with the block written and nobody told. */
const MOMENTS = ['before-block', 'after-block'] as const;
type Moment = (typeof MOMENTS)[number];

/** What the local ledger does wrong, as Fabric does now and then. */
export interface FaultSettings {
  /** Organisations whose peer is away: UNAVAILABLE to their own clients; other organisations' gateways plan around it. */
  readonly refuseEndorsing: readonly string[];
  /** Organisations whose orderer is away. When no quorum is left, what is submitted is UNAVAILABLE. */
  readonly refuseOrdering: readonly string[];
  /** Organisations whose peer stands one block behind the others, unless it has told a client of the newest itself. */
  readonly lag: readonly string[];
  /** Milliseconds that a proposal waits before a peer looks at it. */
  readonly delayEndorsing: number;
  /** Milliseconds that an accepted transaction waits to be ordered; the client knows only that it was accepted. */
  readonly delayOrdering: number;
  /** The next so many submitted transactions are ordered, but their clients see the connection drop. */
  readonly loseAnswers: number;
  /** The next so many submitted transactions are ordered, but their clients get no answer at all. */
  readonly withholdAnswers: number;
  /** The next so many submitted transactions are ordered, but reported as failed: "request already processed". */
  readonly claimProcessed: number;
  /** The next so many transactions that would be valid are marked MVCC_READ_CONFLICT. */
  readonly conflicts: number;
  /** The whole process kills itself (SIGKILL) when it comes to this moment. */
  readonly die: Moment | 'never';
}

type Counted = 'loseAnswers' | 'withholdAnswers' | 'claimProcessed' | 'conflicts';

/** No faults. */
export const FAULTLESS: FaultSettings = {
  refuseEndorsing: [],
  refuseOrdering: [],
  lag: [],
  delayEndorsing: 0,
  delayOrdering: 0,
  loseAnswers: 0,
  withholdAnswers: 0,
  claimProcessed: 0,
  conflicts: 0,
  die: 'never',
};

/** The switches of a running ledger. Each part of it asks here, at the one place where that part can fail. */
export class Faults extends EventEmitter<{ cut: [] }> {
  #settings = FAULTLESS;

  constructor() {
    super();
    // One listener for every open stream.
    this.setMaxListeners(0);
  }

  get settings(): FaultSettings {
    return this.#settings;
  }

  /** Sets these switches and leaves the others as they are. */
  set(settings: Partial<FaultSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** Sets every switch back. */
  clear(): void {
    this.#settings = FAULTLESS;
  }

  /** Whether a fault that is counted happens now; it is then one fewer. */
  take(name: Counted): boolean {
    const left = this.#settings[name];
    if (left <= 0) return false;
    this.set({ [name]: left - 1 });
    return true;
  }

  /** Breaks every stream and every wait for a transaction's outcome that is open now. */
  cutStreams(): void {
    this.emit('cut');
  }

  /** Does not return when the ledger is to die at this moment. */
  reach(moment: Moment): void {
    // Nothing may be put in order first: no handler, no answer, no closing of files.
    if (this.#settings.die === moment) process.kill(process.pid, 'SIGKILL');
  }
}

/** Reads switches out of a message. Throws a sentence that names the field when one is not as it should be. */
export function parseSettings(value: unknown): Partial<FaultSettings> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('faults are an object');
  for (const [name, setting] of Object.entries(value)) {
    if (!Object.hasOwn(FAULTLESS, name)) throw new Error(`there is no fault "${name}"`);
    if (!isSetting(name, setting)) throw new Error(`${JSON.stringify(setting)} is nothing for ${name}`);
  }
  return value;
}

function isSetting(name: string, setting: unknown): boolean {
  switch (name) {
    case 'refuseEndorsing':
    case 'refuseOrdering':
    case 'lag':
      return Array.isArray(setting) && setting.every((one) => typeof one === 'string');
    case 'die':
      return setting === 'never' || MOMENTS.some((moment) => moment === setting);
    default:
      return Number.isSafeInteger(setting) && Number(setting) >= 0;
  }
}
