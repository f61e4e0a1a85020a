import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { soak, summary } from './soak/run.ts';

const USAGE = 'usage: npm run soak -- [--minutes M] [--seed S] [--tellers T]';
const SHOWN = 20;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Lets everything go wrong for some minutes under load. Exit code 0: nothing was lost, doubled or left undecided. */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '5' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 32)) },
      tellers: { type: 'string', default: '8' },
    },
  });
  const [minutes, seed, tellers] = [values.minutes, values.seed, values.tellers].map(Number) as [
    number,
    number,
    number,
  ];
  if (!(minutes > 0) || !Number.isInteger(seed) || !Number.isInteger(tellers) || tellers < 1)
    throw new Error(USAGE);
  say(`seed ${seed}, ${minutes} minutes, ${tellers} stories at once`);
  const folder = await mkdtemp(join(tmpdir(), 'yaoji-soak-'));
  // PostgreSQL does not run as root: where we do, its user must be able to enter.
  await chmod(folder, 0o755);
  const soaked = await soak({ folder, seed, ms: minutes * 60_000, tellers, say });
  for (const line of summary(soaked)) say(line);
  if (soaked.differences.length === 0) {
    say(`seed ${seed}: nothing lost, nothing doubled`);
    await rm(folder, { recursive: true, force: true });
    return;
  }
  say(`FAILED with seed ${seed}: ${soaked.differences[0]}`);
  for (const difference of soaked.differences.slice(1, SHOWN)) say(`  ${difference}`);
  if (soaked.differences.length > SHOWN) say(`  and ${soaked.differences.length - SHOWN} more`);
  say(`logs and data are in ${folder}`);
  process.exitCode = 1;
}

main().then(
  // What a failed soak left running ends with us.
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  },
);
