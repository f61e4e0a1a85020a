import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPool } from '@yaoji/api/store/pool';
import type { Pool } from 'pg';
import type { SigningStation } from '../client.ts';
import type { OrganisationAccess } from '../instance.ts';
import type { Machine } from '../soak/machine.ts';
import { Connection, enrolConnectors, signEvents, type SignedEvent } from './load.ts';

// What a whole instance can carry: measured over HTTP, with every part on this machine.

export const say = (line: string): void => void process.stdout.write(`${line}\n`);
export const fixed = (value: number, digits = 1): string =>
  value.toLocaleString('en', { maximumFractionDigits: digits });

/** The value below which this share of the values lies. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** A running instance, and a hospital on it whose stations are enrolled. */
export class Bench {
  readonly instance: Pick<Machine, 'access' | 'databaseUrl'>;
  readonly access: OrganisationAccess;
  readonly stations: readonly SigningStation[];

  private constructor(
    instance: Bench['instance'],
    access: OrganisationAccess,
    stations: readonly SigningStation[],
  ) {
    this.instance = instance;
    this.access = access;
    this.stations = stations;
  }

  static async on(instance: Bench['instance'], stations: number): Promise<Bench> {
    const access = instance.access.organisations.find(({ kind }) => kind === 'hospital')!;
    return new Bench(instance, access, await enrolConnectors(instance.access.url, access, stations));
  }

  connect(connections?: number): Connection {
    return new Connection(this.instance.access.url, this.access.recorder, connections);
  }

  /** Signed events, by station: `count` of them in all. */
  sign(count: number, stations = this.stations.length): SignedEvent[][] {
    return this.stations
      .slice(0, stations)
      .map((station) => signEvents(station, this.access, Math.ceil(count / stations / 2) * 2));
  }

  async pending(): Promise<number> {
    const connection = this.connect();
    try {
      const { text } = await connection.send('/readyz');
      return (JSON.parse(text) as { pending: number }).pending;
    } finally {
      connection.close();
    }
  }

  /** Resolves when nothing is pending. */
  async drained(): Promise<void> {
    while ((await this.pending()) > 0) await sleep(50);
  }
}

/** Events per second that are answered with a durable commit, while the workers settle them on the same cores. */
export async function acceptance(bench: Bench): Promise<void> {
  say('\nEvents accepted (durable commit), /s, while they are settled on the same cores');
  say('  clients      one per request   50 per request');
  for (const [clients, singles, arrays] of [
    [1, 300, 2_000],
    [8, 1_600, 8_000],
    [32, 3_200, 9_600],
  ] as const) {
    const single = await rate(bench, clients, singles, 1);
    const many = await rate(bench, clients, arrays, 50);
    say(
      `  ${String(clients).padStart(7)}      ${fixed(single, 0).padStart(15)}   ${fixed(many, 0).padStart(14)}`,
    );
  }
}

async function rate(bench: Bench, clients: number, count: number, size: number): Promise<number> {
  const work = bench.sign(count, clients);
  const connections = work.map(() => bench.connect());
  const begun = performance.now();
  await Promise.all(
    work.map(async (events, i) => {
      const connection = connections[i]!;
      for (let from = 0; from < events.length; from += size) {
        if (size === 1) await connection.post(events[from]!);
        else await connection.postAll(events.slice(from, from + size));
      }
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  for (const connection of connections) connection.close();
  await bench.drained();
  return work.flat().length / seconds;
}

/** How long an answer and a settlement take at a steady rate, however slow the answers are. */
export async function latency(bench: Bench, perSecond: number, seconds: number): Promise<void> {
  const lanes = bench.sign(perSecond * seconds);
  const connection = bench.connect(64);
  const events = lanes[0]!.flatMap((_, k) => lanes.map((lane) => lane[k]!)).slice(0, perSecond * seconds);
  const answered: number[] = [];
  const sent: Promise<void>[] = [];
  const lasts = new Map<string, Promise<void>>();
  const starts = new Map<string, number>();
  const settling = new Settling(bench.instance.databaseUrl);
  let sending = true;
  const settled = settling.while(() => sending);
  const begun = performance.now();
  for (const [i, event] of events.entries()) {
    const due = begun + (i * 1000) / perSecond;
    const wait = due - performance.now();
    if (wait > 0) await sleep(wait);
    const started = performance.now();
    starts.set(nameOf(event), started);
    // A station says one thing after the other; the time that it waits for its own last answer counts.
    const before = lasts.get(event.station);
    const answer = (async () => {
      await before;
      await connection.post(event);
      answered.push(performance.now() - started);
      settling.await(event);
    })();
    lasts.set(event.station, answer);
    sent.push(answer);
  }
  await Promise.all(sent);
  sending = false;
  connection.close();
  const settlements = [...(await settled)].map(([name, at]) => at - starts.get(name)!);
  say(`\nSingle events at ${perSecond} /s for ${seconds} s, ms`);
  say(`  answered   p50 ${fixed(percentile(answered, 0.5))}   p99 ${fixed(percentile(answered, 0.99))}`);
  say(
    `  settled    p50 ${fixed(percentile(settlements, 0.5))}   p95 ${fixed(percentile(settlements, 0.95))}`,
  );
}

const nameOf = ({ station, n }: { station: string; n: number | string }): string => `${station} ${n}`;

/** Looks in the store, 50 times a second, what has been settled: asking the API for each event would be a load of its own. */
class Settling {
  readonly #pool: Pool;
  readonly #waiting = new Map<string, SignedEvent>();
  readonly #settled = new Map<string, number>();

  constructor(databaseUrl: string) {
    this.#pool = openPool(databaseUrl, { max: 1, onError: () => {} });
  }

  await(event: SignedEvent): void {
    this.#waiting.set(nameOf(event), event);
  }

  /** Looks while there is more to come, and until all that is awaited is settled. When each was seen, by name, ms. */
  async while(more: () => boolean): Promise<ReadonlyMap<string, number>> {
    for (; more() || this.#waiting.size > 0; await sleep(20)) await this.#look();
    await this.#pool.end();
    return this.#settled;
  }

  async #look(): Promise<void> {
    const asked = [...this.#waiting.values()];
    const { rows } = await this.#pool.query<{ station: string; n: string }>(
      'select station, n from verdict join unnest($1::text[], $2::bigint[]) as asked (station, n) using (station, n)',
      [asked.map(({ station }) => station), asked.map(({ n }) => n)],
    );
    const now = performance.now();
    for (const row of rows) {
      this.#waiting.delete(nameOf(row));
      this.#settled.set(nameOf(row), now);
    }
  }
}

/** From a kill to the next event that is settled. */
export async function kills(bench: Bench, machine: Machine): Promise<void> {
  say('\nFrom a SIGKILL to the next settled entry, ms (an event is sent again until it is answered)');
  for (const [what, kill] of [
    ['the API', () => machine.kill('api')],
    ['the ledger', () => machine.kill('ledger')],
    ["the ledger's chaincode", () => machine.kill('chaincode')],
    ['the store', () => killStore(machine.databaseUrl)],
  ] as const) {
    const times: number[] = [];
    for (let i = 0; i < 3; i++) {
      const connection = bench.connect();
      const [event] = bench.sign(2, 1)[0]!;
      await kill();
      const begun = performance.now();
      while (
        !(await connection.post(event!).then(
          () => true,
          () => false,
        ))
      )
        await sleep(10);
      await connection.settled(event!);
      times.push(performance.now() - begun);
      connection.close();
      await machine.ready();
      await bench.drained();
    }
    say(`  ${what.padEnd(24)}${times.map((time) => fixed(time, 0)).join(', ')}`);
  }
}

/** A server process that is killed takes the whole server down: PostgreSQL cannot know what it left in shared memory. */
async function killStore(databaseUrl: string): Promise<void> {
  const pool = openPool(databaseUrl, { max: 1, onError: () => {} });
  try {
    const { rows } = await pool.query<{ pid: number }>('select pg_backend_pid() as pid');
    process.kill(rows[0]!.pid, 'SIGKILL');
  } finally {
    await pool.end();
  }
}

/** A long outage of the ledger: events are taken meanwhile, and all of them settle behind it. */
export async function outage(bench: Bench, machine: Machine, count: number): Promise<void> {
  const work = bench.sign(count);
  const connections = work.map(() => bench.connect());
  say(`\nThe ledger is away while ${fixed(count, 0)} events arrive; memory is the API's resident set`);
  const before = memoryOfApi();
  await machine.tell({ set: { refuseEndorsing: machine.profile.organisations.map(({ mspId }) => mspId) } });
  let begun = performance.now();
  const rates: number[] = [];
  let taken = 0;
  let mark = begun;
  await Promise.all(
    work.map(async (events, i) => {
      for (let from = 0; from < events.length; from += 100) {
        const some = events.slice(from, from + 100);
        await connections[i]!.postAll(some);
        taken += some.length;
        if (taken < (rates.length + 1) * (count / 10)) continue;
        rates.push((count / 10 / (performance.now() - mark)) * 1000);
        mark = performance.now();
      }
    }),
  );
  for (const connection of connections) connection.close();
  const [one] = bench.sign(40, 1);
  const lone = bench.connect();
  const answers: number[] = [];
  for (const event of one!) {
    const sent = performance.now();
    await lone.post(event);
    answers.push(performance.now() - sent);
  }
  lone.close();
  const full = memoryOfApi();
  say(`  accepted, first and last tenth    ${fixed(rates[0]!, 0)} /s, ${fixed(rates.at(-1)!, 0)} /s`);
  say(
    `  one event answered with all of it ${fixed(percentile(answers, 0.5))} ms (median of ${answers.length})`,
  );
  await machine.tell({ clear: true });
  begun = performance.now();
  let left = await bench.pending();
  let most = full;
  const settling: string[] = [];
  while (left > 0) {
    await sleep(5_000);
    const now = await bench.pending();
    settling.push(fixed((left - now) / 5, 0));
    left = now;
    most = Math.max(most, memoryOfApi());
  }
  const seconds = (performance.now() - begun) / 1000;
  say(
    `  settled                           ${fixed(count / seconds, 0)} /s (each 5 s: ${settling.join(', ')})`,
  );
  say(
    `  memory before, full, most, after  ${[before, full, most, memoryOfApi()].map((mib) => fixed(mib, 0)).join(', ')} MiB`,
  );
}

/** The resident set of the API that this process supervises, in MiB. */
function memoryOfApi(): number {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const status = readOr(`/proc/${pid}/status`);
    if (!status.includes(`PPid:\t${process.pid}\n`)) continue;
    if (!readOr(`/proc/${pid}/cmdline`).includes('/api/dist/main.js')) continue;
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  }
  return NaN;
}

/** The text of a file of a process that may be gone by now. */
function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
