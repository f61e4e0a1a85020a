import { check, drained, type Checked } from './check.ts';
import { enrolStations, Teller, type Tally } from './load.ts';
import { startMachine } from './machine.ts';
import { Random } from './random.ts';
import { makeTrouble, planTroubles } from './trouble.ts';

/** How long the stories may take to come to their ends when nothing goes wrong any more, ms. */
const ENDS_WITHIN = 120_000;

export interface SoakOptions {
  /** Where the instance keeps everything; to be empty. */
  readonly folder: string;
  readonly seed: number;
  /** How long things go wrong, ms. */
  readonly ms: number;
  /** How many stories are told at once. */
  readonly tellers: number;
  readonly say: (line: string) => void;
}

export interface Soaked extends Checked {
  readonly tally: Tally;
  readonly troubles: number;
  readonly restarts: Readonly<Record<'api' | 'ledger', number>>;
}

/**
 * Runs a whole instance under load while everything goes wrong that the seed says, lets it come to rest, and compares what
 * was answered with what is there.
 */
export async function soak({ folder, seed, ms, tellers, say }: SoakOptions): Promise<Soaked> {
  const random = new Random(seed);
  const [pauses, troubles] = [random.fork(), random.fork()];
  const machine = await startMachine(folder, () => pauses.integer(0, 1_500));
  try {
    const planned = planTroubles(
      troubles,
      ms,
      machine.profile.organisations.map(({ mspId }) => mspId),
    );
    const tally: Tally = {
      events: [],
      stories: 0,
      repeats: 0,
      illegal: 0,
      handovers: 0,
      races: 0,
      bundles: 0,
      again: new Map(),
      wrong: [],
    };
    const sets = await Promise.all(
      Array.from({ length: Math.ceil(tellers / 2) }, (_, i) => enrolStations(machine.access, String(i))),
    );
    const begun = Date.now();
    let isOver = false;
    const patience = new AbortController();
    const telling = Array.from({ length: tellers }, (_, i) =>
      new Teller(sets[i % sets.length]!, tally, random.fork(), patience.signal).tell(() => isOver),
    );
    const time = (): string => ((Date.now() - begun) / 1000).toFixed(1).padStart(6);
    const everyStory = Promise.all(telling);
    await Promise.race([makeTrouble(machine, planned, (what) => say(`${time()} s  ${what}`)), everyStory]);
    isOver = true;
    say(`${time()} s  nothing goes wrong any more; the stories are told to their ends`);
    const impatient = setTimeout(() => patience.abort(), ENDS_WITHIN);
    await everyStory;
    clearTimeout(impatient);
    const pending = await drained(machine);
    say(`${time()} s  at rest`);
    const checked = await check(machine, tally.events);
    const differences = [
      ...machine.failures,
      ...tally.wrong,
      ...(pending > 0 ? [`${pending} events are pending and nothing happens`] : []),
      ...checked.differences,
    ];
    return { ...checked, differences, tally, troubles: planned.length, restarts: machine.restarts };
  } finally {
    await machine.stop();
  }
}

/** What a person reads of it. */
export function summary({ tally, troubles, restarts, records, refused, batches, blocks }: Soaked): string[] {
  const { events, stories, repeats, illegal, handovers, races, bundles, again } = tally;
  return [
    `${stories} stories, ${events.length} events answered, ${repeats} sent again on purpose, ${illegal} illegal, ${handovers} handovers, ${races} races, ${bundles} boxes looked at`,
    `${troubles} troubles; the API was started again ${restarts.api} times, the ledger ${restarts.ledger} times`,
    `${records} records and ${refused} refusals, in ${batches} batches and ${blocks} blocks`,
    `asked again: ${[...again].map(([what, times]) => `${what} ${times}×`).join(', ') || 'never'}`,
  ];
}
