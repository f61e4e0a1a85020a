import { setTimeout as sleep } from 'node:timers/promises';
import { FAULTLESS, type FaultSettings } from '@yaoji/network/local/faults';
import { PARTS, type Machine, type Part } from './machine.ts';
import type { Random } from './random.ts';

/** One thing that goes wrong. */
type Trouble =
  | { readonly kind: 'switches'; readonly set: Partial<FaultSettings>; readonly lasts: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'kill'; readonly part: Part };

interface Planned {
  /** ms after the beginning */
  readonly at: number;
  readonly what: string;
  readonly trouble: Trouble;
}

// So that something is settled between two deaths, however unlucky the numbers are.
const BETWEEN_DEATHS = 5_000;

/** What goes wrong, and when: the same for the same seed. */
export function planTroubles(random: Random, ms: number, organisations: readonly string[]): Planned[] {
  const planned: Planned[] = [];
  let died = -BETWEEN_DEATHS;
  for (let at = random.integer(200, 1_000); at < ms; at += random.integer(150, 1_200)) {
    const trouble = anyTrouble(random, organisations);
    if (isDeath(trouble)) {
      if (at - died < BETWEEN_DEATHS) continue;
      died = at;
    }
    planned.push({ at, what: describe(trouble), trouble });
  }
  return planned;
}

function anyTrouble(random: Random, organisations: readonly string[]): Trouble {
  const switches = (set: Partial<FaultSettings>, least = 0, most = 0): Trouble => ({
    kind: 'switches',
    set,
    lasts: random.integer(least, most),
  });
  const some = (most: number): string[] => random.some(organisations, random.integer(1, most));
  return random.pick<() => Trouble>([
    () => switches({ refuseEndorsing: some(2) }, 300, 2_500),
    () => switches({ refuseOrdering: some(3) }, 300, 2_500),
    () => switches({ lag: some(4) }, 500, 4_000),
    () => switches({ lag: some(4) }, 500, 4_000),
    () => switches({ delayEndorsing: random.integer(20, 1_500) }, 300, 2_500),
    () => switches({ delayOrdering: random.integer(20, 3_000) }, 300, 2_500),
    // Longer than anybody waits for an outcome: it goes in when nobody thinks of it any more.
    () => switches({ delayOrdering: random.integer(16_000, 20_000) }, 100, 300),
    () => switches({ loseAnswers: random.integer(1, 4) }),
    () => switches({ withholdAnswers: 1 }),
    () => switches({ claimProcessed: random.integer(1, 4) }),
    () => switches({ conflicts: random.integer(1, 4) }),
    () => switches({ die: random.pick(['before-block', 'after-block'] as const) }),
    () => ({ kind: 'cut' }),
    () => ({ kind: 'kill', part: random.pick(PARTS) }),
    () => ({ kind: 'kill', part: random.pick(PARTS) }),
  ])();
}

function isDeath(trouble: Trouble): boolean {
  return trouble.kind === 'kill' || (trouble.kind === 'switches' && trouble.set.die !== undefined);
}

function describe(trouble: Trouble): string {
  if (trouble.kind === 'cut') return 'cut streams';
  if (trouble.kind === 'kill') return `kill ${trouble.part}`;
  const [[name, value]] = Object.entries(trouble.set) as [[string, unknown]];
  const until = trouble.lasts > 0 ? ` for ${trouble.lasts} ms` : '';
  return `${name} ${Array.isArray(value) ? value.join(' ') : String(value)}${until}`;
}

/** Lets everything that was planned go wrong in its time, and then sets every switch back. */
export async function makeTrouble(
  machine: Machine,
  planned: readonly Planned[],
  tell: (what: string) => void,
): Promise<void> {
  const begun = Date.now();
  const lasting: Promise<void>[] = [];
  for (const { at, what, trouble } of planned) {
    await sleep(Math.max(0, begun + at - Date.now()));
    tell(what);
    if (trouble.kind === 'kill') await machine.kill(trouble.part);
    else if (trouble.kind === 'cut') await machine.tell({ cutStreams: true });
    else lasting.push(setFor(machine, trouble.set, trouble.lasts));
  }
  await Promise.all(lasting);
  // One that is to die at the next block, or is down just now, has to be up to be told.
  for (;;) {
    await machine.ready();
    if (await machine.tell({ clear: true })) return;
    await sleep(100);
  }
}

async function setFor(machine: Machine, set: Partial<FaultSettings>, lasts: number): Promise<void> {
  await machine.tell({ set });
  if (lasts === 0) return;
  await sleep(lasts);
  const back = Object.fromEntries(Object.entries(FAULTLESS).filter(([name]) => name in set));
  await machine.tell({ set: back });
}
