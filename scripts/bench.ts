import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import {
  append,
  canonical,
  element,
  EMPTY,
  inclusionElements,
  leafHash,
  recordBytes,
  signedBytes,
  verify,
  verifyEntry,
  verifyInclusion,
  root,
  type Entry,
  type Frontier,
} from '@yaoji/chaincode/core';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { fetchBundle, fetchTrust, SigningStation } from './client.ts';
import { prescriptionOf } from './bench/load.ts';
import { acceptance, Bench, fixed, kills, latency, outage, percentile, say } from './bench/service.ts';
import { bytesPerEntry, leaderDies, memory } from './bench/fabric.ts';
import { LedgerLoad } from './bench/ledger.ts';
import { found, startInstance, superviseFabric, superviseLedger, type LedgerKind } from './instance.ts';
import { play } from './play.ts';
import { startMachine, type Machine } from './soak/machine.ts';
import type { Supervised } from './supervise.ts';

// Figures for the README. This machine is small and shared: the comparisons are made within one run.

/** µs per call: the median of nine rounds. */
async function perCall(calls: number, work: (i: number) => unknown): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < 9; round++) {
    const begun = performance.now();
    for (let i = 0; i < calls; i++) {
      const result = work(i);
      if (result instanceof Promise) await result;
    }
    rounds.push(((performance.now() - begun) * 1000) / calls);
  }
  return percentile(rounds, 0.5);
}

async function entries(): Promise<void> {
  const station = new SigningStation('bench');
  const statement = prescriptionOf(station, 'HospitalMSP', 'hospital-1');
  const { entry } = station.item(statement);
  const bytes = signedBytes(entry);
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  say('\nOne entry, µs (one core)');
  say(`  canonicalise          ${fixed(await perCall(2000, () => canonical(entry)))}`);
  say(
    `  hash (${String(bytes.length).padStart(4)} bytes)     ${fixed(await perCall(5000, () => nodeSuite.sha256(bytes)))}`,
  );
  say(
    `  sign                  ${fixed(await perCall(500, () => sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })))}`,
  );
  say(
    `  verify                ${fixed(await perCall(300, () => verifyEntry(entry, station.publicKey, nodeSuite)))}`,
  );
}

function tree(entry: Entry): void {
  const COUNT = 200_000;
  const record = recordBytes({
    entry,
    seq: 1,
    prev: '',
    index: 0,
    at: '2026-01-01T00:00Z',
    rules: 'national-2009.1',
  });
  const nodes = new Map<string, Uint8Array>();
  const bytes = Uint8Array.from(record);
  let frontier: Frontier = EMPTY;
  let begun = performance.now();
  for (let i = 0; i < COUNT; i++) {
    bytes[i % bytes.length] = i & 255;
    frontier = append(
      frontier,
      leafHash(bytes, nodeSuite.sha256),
      nodeSuite.sha256,
      ({ level, index }, hash) => nodes.set(`${level}/${index}`, hash),
    );
  }
  const appended = performance.now() - begun;
  const checkpoint = { size: COUNT, root: root(frontier, nodeSuite.sha256) };
  const PROOFS = 20_000;
  begun = performance.now();
  for (let i = 0; i < PROOFS; i++) {
    const index = (i * 7919) % COUNT;
    const proof = inclusionElements(index, COUNT).map((subtrees) =>
      element(
        subtrees.map((at) => nodes.get(`${at.level}/${at.index}`)!),
        nodeSuite.sha256,
      ),
    );
    if (i % 100 === 0) verifyInclusion(nodes.get(`0/${index}`)!, index, checkpoint, proof, nodeSuite.sha256);
  }
  const proved = performance.now() - begun;
  say(`\nA log of ${fixed(COUNT)} records of ${record.length} bytes`);
  say(`  leaves hashed and appended  ${fixed((COUNT / appended) * 1000, 0)} /s`);
  say(`  inclusion proofs made       ${fixed((PROOFS / proved) * 1000, 0)} /s`);
}

async function demoBundle({ access }: Machine): Promise<void> {
  const { token } = await play(access);
  const bundle = await fetchBundle(access.url, token);
  const trust = await fetchTrust(access.url);
  const times: number[] = [];
  for (let i = 0; i < 60; i++) {
    const begun = performance.now();
    const { ok } = await verify(bundle, { trust, token, now: Date.now(), suite: verifierSuite });
    if (!ok) throw new Error('the demo bundle did not verify');
    times.push(performance.now() - begun);
  }
  say(`\nverify the demo bundle (${fixed(JSON.stringify(bundle).length / 1000)} kB), Node`);
  say(`  first (cold)  ${fixed(times[0]!)} ms`);
  say(`  median        ${fixed(percentile(times.slice(10), 0.5))} ms`);
}

/** Entries settled by a ledger alone, in batches and one by one, in one run. */
async function ledgerRate(profile: NetworkProfile, cohorts: number): Promise<void> {
  const load = await LedgerLoad.on(profile);
  try {
    // Signed in the order in which they are written, before any clock starts.
    const first = [load.cohort(2)];
    const many = Array.from({ length: cohorts }, () => load.cohort());
    const singles = [load.cohort(3)];
    await load.rate(first, 500);
    const batched = await load.rate(many, 500);
    const single = await load.rate(singles, 1);
    say(
      '\nEntries of whole stories settled by the ledger alone, four organisations, three endorsing, three logs at once',
    );
    say(`  up to 500 entries per transaction ${fixed(batched)} /s`);
    say(`  one entry per transaction         ${fixed(single)} /s`);
    say(`  ratio                             ${fixed(batched / single)} ×`);
    say(`  endorsed again                    ${load.repeated}`);
  } finally {
    load.close();
  }
}

/** A program among the tests, because only they may use a browser. Seen from dist/. */
const PROOF = fileURLToPath(new URL('../../test/dist/bench/proof.js', import.meta.url));

const PARTS = {
  local: ['entries', 'tree', 'bundle', 'proof', 'ledger', 'accept', 'latency', 'kills', 'outage'],
  fabric: ['ledger', 'latency', 'leader'],
} as const;
type PartName = (typeof PARTS)[LedgerKind][number];
type Wants = (...parts: PartName[]) => boolean;

async function benchLocal(wants: Wants, folder: string): Promise<void> {
  if (wants('entries')) await entries();
  const station = new SigningStation('bench');
  if (wants('tree')) tree(station.item(prescriptionOf(station, 'HospitalMSP', 'hospital-1')).entry);
  if (wants('proof')) execFileSync(process.execPath, [PROOF], { stdio: 'inherit' });
  if (wants('ledger'))
    await withLedger(superviseLedger(join(folder, 'alone'), {}), (profile) => ledgerRate(profile, 8));
  if (!wants('bundle', 'accept', 'latency', 'kills', 'outage')) return;
  const machine = await startMachine(join(folder, 'machine'), () => 0);
  try {
    if (wants('bundle')) await demoBundle(machine);
    if (!wants('accept', 'latency', 'kills', 'outage')) return;
    const bench = await Bench.on(machine, 40);
    if (wants('accept')) await acceptance(bench);
    if (wants('latency')) {
      await latency(bench, 20, 15);
      await latency(bench, 200, 15);
    }
    if (wants('kills')) await kills(bench, machine);
    if (wants('outage')) await outage(bench, machine, 100_000);
  } finally {
    await machine.stop();
  }
}

async function benchFabric(wants: Wants, folder: string): Promise<void> {
  if (wants('ledger')) {
    const alone = join(folder, 'alone');
    await withLedger(superviseFabric(alone, {}), async (profile) => {
      await ledgerRate(profile, 12);
      await bytesPerEntry(alone, profile);
      await memory(alone);
    });
  }
  if (!wants('latency', 'leader')) return;
  const whole = join(folder, 'whole');
  const instance = await startInstance({ folder: whole, ledger: 'fabric', log: () => {} });
  try {
    const bench = await Bench.on(instance, 40);
    if (wants('latency')) {
      await latency(bench, 10, 20);
      await latency(bench, 100, 20);
    }
    if (wants('leader')) await leaderDies(bench, whole);
  } finally {
    await instance.stop();
  }
}

/** Runs a ledger alone, with its members and sites on it. */
async function withLedger(
  ledger: Supervised,
  work: (profile: NetworkProfile) => Promise<void>,
): Promise<void> {
  try {
    const { profile: path } = (await ledger.ready) as { profile: string };
    const profile = readProfile(path);
    await found(profile);
    await work(profile);
  } finally {
    await ledger.stop();
  }
}

/** `bench.js [--ledger local|fabric] [part…]`: all parts but the outage, which takes minutes, if none is named. */
async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { ledger: { type: 'string', default: 'local' } },
  });
  const { ledger } = values;
  if (ledger !== 'local' && ledger !== 'fabric') throw new Error('--ledger takes local or fabric');
  const known: readonly string[] = PARTS[ledger];
  for (const part of positionals)
    if (!known.includes(part)) throw new Error(`the parts are ${known.join(', ')}`);
  const wants: Wants = (...parts) =>
    parts.some((part) => (positionals.length ? positionals.includes(part) : part !== 'outage'));

  say(`${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`);
  const folder = await mkdtemp(join(tmpdir(), 'yaoji-bench-'));
  await chmod(folder, 0o755);
  try {
    await (ledger === 'fabric' ? benchFabric : benchLocal)(wants, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
