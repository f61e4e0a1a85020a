import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPool } from '@yaoji/api/store/pool';
import { placesIn } from '@yaoji/network/fabric/layout';
import { readStatus } from '@yaoji/network/fabric/status';
import type { NetworkProfile } from '@yaoji/network/profile';
import { ledgerFolder } from '../instance.ts';
import { LedgerLoad } from './ledger.ts';
import { fixed, say, type Bench } from './service.ts';

// What only a real Fabric network can tell.

/** Ledger bytes per entry with 200 entries a transaction, on one peer's disk. */
export async function bytesPerEntry(folder: string, profile: NetworkProfile): Promise<void> {
  const load = await LedgerLoad.on(profile);
  try {
    const cohorts = [load.cohort(), load.cohort()];
    const before = blockBytes(folder);
    await load.rate(cohorts, 200);
    await sleep(1_000);
    const entries = cohorts.flat().flatMap(({ lines }) => lines).length;
    say(
      `  ledger bytes per entry            ${fixed((blockBytes(folder) - before) / entries, 0)} at 200 a transaction`,
    );
  } finally {
    load.close();
  }
}

/** The bytes of a peer's block files. */
function blockBytes(folder: string): number {
  const places = placesIn(ledgerFolder(folder));
  const chains = join(places.data('peer-hospital'), 'ledgersData', 'chains', 'chains');
  return readdirSync(chains, { recursive: true, encoding: 'utf8' })
    .filter((file) => /blockfile_\d+$/.test(file))
    .reduce((sum, file) => sum + statSync(join(chains, file)).size, 0);
}

/** The resident set of every process of a network, by its part. */
export async function memory(folder: string): Promise<void> {
  const nodes = await readStatus(ledgerFolder(folder));
  say('\nResident memory, MiB');
  for (const part of ['orderer', 'peer', 'chaincode']) {
    const sizes = nodes
      .filter(({ name }) => name.startsWith(part))
      .map(({ pid }) => fixed(residentSet(pid!) / 1024, 0));
    say(`  ${part.padEnd(10)} ${sizes.join(', ')}`);
  }
}

function residentSet(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
}

/** The longest time in which nothing was settled, under load, around the leader's death; and that nothing was lost or doubled. */
export async function leaderDies(bench: Bench, folder: string): Promise<void> {
  const PER_SECOND = 40;
  const SECONDS = 30;
  const lanes = bench.sign(PER_SECOND * SECONDS);
  const events = lanes[0]!.flatMap((_, k) => lanes.map((lane) => lane[k]!));
  const connection = bench.connect(64);
  const pool = openPool(bench.instance.databaseUrl, { max: 1, onError: () => {} });
  try {
    const { rows: clock } = await pool.query<{ now: Date }>('select now()');
    const answers: Promise<void>[] = [];
    const leaders: string[] = [];
    for (const [i, event] of events.entries()) {
      if (i === PER_SECOND * 8) {
        const leader = (await readStatus(ledgerFolder(folder))).find(({ isLeader }) => isLeader)!;
        leaders.push(leader.name);
        process.kill(leader.pid!, 'SIGKILL');
      }
      answers.push(connection.post(event));
      await sleep(1_000 / PER_SECOND);
    }
    await Promise.all(answers);
    await bench.drained();
    const { rows } = await pool.query<{ gap: string }>(
      `select coalesce(max(extract(epoch from settled_at - before)), 0) * 1000 as gap from (
         select settled_at, lag(settled_at) over (order by settled_at) as before from batch where settled_at > $1
       ) as batches`,
      [clock[0]!.now],
    );
    const { rows: found } = await pool.query<{ records: string }>(
      `select count(*) as records from record join unnest($1::text[], $2::bigint[]) as sent (station, n) using (station, n)`,
      [events.map(({ station }) => station), events.map(({ n }) => n)],
    );
    const records = Number(found[0]!.records);
    say(
      `\n${PER_SECOND} events/s for ${SECONDS} s, and the leader of the orderers (${leaders.join()}) is killed`,
    );
    say(`  longest time without a settled entry ${fixed(Number(rows[0]!.gap), 0)} ms`);
    say(`  answered ${events.length}, settled once ${records}, lost ${events.length - records}`);
  } finally {
    connection.close();
    await pool.end();
  }
}
