import {
  at as keyOf,
  keysOf,
  parseEntry,
  refereeEntry,
  World,
  type Entry,
  type Subject,
} from '@yaoji/chaincode/core';
import { entriesOf, pendingAbout, type PendingEvent } from '../store/events.ts';
import type { Db } from '../store/pool.ts';
import { readWorld } from '../store/world.ts';
import { trusting } from './context.ts';
import { awaitsGiver, giversFirst } from './hold.ts';
import { nameOf } from './understand.ts';

// What is new is judged on the state after everything that is pending about its subjects. While the ledger is away for an hour,
// the boils of a centre become one long chain, joined by the devices that they share: the state after a long chain is
// remembered until something settles, so that not every scan judges all of it again.

/** How long a chain must be to be remembered, and how many are. */
const LONG = 20;
const MOST = 16;

interface Chain {
  /** everything that its events are about */
  subjects: ReadonlySet<string>;
  /** its events, in the order in which they take effect */
  names: readonly string[];
  /** where the logs stood before the mirror was read; not asked for what is too short to be remembered */
  logs: string | undefined;
}

interface Remembered extends Chain {
  waiting: ReadonlySet<string>;
  /** what its events wrote */
  values: ReadonlyMap<string, string>;
}

/** The state after a chain of pending events. */
export class Projection {
  readonly world: World;
  readonly #chain: Chain;
  readonly #before: Remembered | undefined;
  readonly #values: Map<string, string | undefined>;
  /** `org subject` of what waits for the other side of a handover */
  readonly #waiting: Set<string>;

  constructor(chain: Chain, before: Remembered | undefined) {
    this.#chain = chain;
    this.#before = before;
    this.#values = new Map(before?.values);
    this.#waiting = new Set(before?.waiting);
    this.world = new World(this.#values);
  }

  /** Whether it would take long to make again. */
  get isLong(): boolean {
    return this.#chain.names.length >= LONG;
  }

  /** Reads what the mirror holds under keys that are not known yet, so that the world can be asked for them. */
  async read(db: Db, keys: readonly string[]): Promise<void> {
    const missing = keys.filter((key) => !this.#values.has(key));
    for (const [key, value] of await readWorld(db, missing)) this.#values.set(key, value);
  }

  /** Whether an entry waits: a taker's side before its giver's, or what the same organisation records of that box behind it. */
  holds(entry: Entry): boolean {
    return (
      this.#waiting.has(`${entry.org} ${entry.subject}`) ||
      awaitsGiver(entry, this.world.get<Subject>(keyOf.subject(entry.subject)))
    );
  }

  /** From here on what this organisation records of this subject waits. */
  hold({ org, subject }: Entry): void {
    this.#waiting.add(`${org} ${subject}`);
  }

  /** What is to be remembered of it, with the events that have become pending behind it. */
  after(added: readonly Entry[]): Remembered {
    const { subjects, names, logs } = this.#chain;
    // Not the stations' windows, which hold also what was refused and not stored, nor what registrations may change meanwhile.
    const written = this.world.writes().filter(([key]) => /^(?:subject|token)~/.test(key));
    return {
      subjects: new Set([...subjects, ...added.flatMap(({ subject, links = [] }) => [subject, ...links])]),
      names: [...names, ...added.map(nameOf)],
      logs,
      waiting: this.#waiting,
      values: new Map([...(this.#before?.values ?? []), ...written]),
    };
  }
}

/** Makes projections, and remembers those that would take long to make again. */
export class Projections {
  readonly #orgs: readonly string[];
  #remembered: Remembered[] = [];

  /** `orgs`: whoever has a log. */
  constructor(orgs: readonly string[]) {
    this.#orgs = orgs;
  }

  /** The state after everything pending that the state of these subjects may depend on. The caller holds their locks. */
  async of(tx: Db, subjects: readonly string[], at: number): Promise<Projection> {
    let logs = this.#remembered.length > 0 ? await this.#logs(tx) : undefined;
    // What settles becomes a part of the mirror, under the chain.
    this.#remembered = this.#remembered.filter((one) => one.logs === logs);
    const near = this.#remembered.filter((one) => subjects.some((subject) => one.subjects.has(subject)));
    const chain = await chainOf(tx, [...subjects, ...near.flatMap((one) => [...one.subjects])]);
    const names = chain.events.map(nameOf);
    if (names.length >= LONG) logs ??= await this.#logs(tx);
    const [before] = near.filter((one) => one.names.every((name, i) => name === names[i]));
    const projection = new Projection({ subjects: chain.subjects, names, logs }, before);

    const lines = await entriesOf(tx, chain.events.slice(before?.names.length ?? 0));
    const entries = lines.map((line) => parseEntry(line));
    await projection.read(tx, keysOf(entries, []));
    for (const entry of entries) {
      if (projection.holds(entry)) projection.hold(entry);
      await refereeEntry(entry, entry.org, 0, projection.world, at, trusting);
    }
    return projection;
  }

  /** Remembers a projection and the events that have become pending behind it, once they are committed. */
  remember(projection: Projection, added: readonly Entry[]): void {
    if (!projection.isLong) return;
    const after = projection.after(added);
    const subjects = [...after.subjects];
    const apart = this.#remembered.filter((one) => !subjects.some((subject) => one.subjects.has(subject)));
    this.#remembered = [...apart, after].slice(-MOST);
  }

  async #logs(tx: Db): Promise<string> {
    const values = await readWorld(tx, this.#orgs.map(keyOf.log));
    return [...values.values()].join(' ');
  }
}

/** Everything pending that the state of these subjects may depend on, in the order in which it can take effect. */
async function chainOf(
  tx: Db,
  subjects: readonly string[],
): Promise<{ events: PendingEvent[]; subjects: Set<string> }> {
  const known = new Set(subjects);
  for (;;) {
    const events = await pendingAbout(tx, [...known]);
    const before = known.size;
    for (const event of events) for (const subject of event.subjects) known.add(subject);
    if (known.size > before) continue;
    const sideOf = ({ org, step, subjects: [subject], handover }: PendingEvent) => ({
      org,
      step,
      subject: subject!,
      open: handover === null ? {} : { handover },
    });
    return { events: giversFirst(events, sideOf), subjects: known };
  }
}
