import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { register } from '@yaoji/api/ledger/register';
import { proposeBatch, VALID } from '@yaoji/api/ledger/submit';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
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
import { fetchBundle, fetchTrust, SigningStation } from './client.ts';
import { prescriptionOf } from './bench/load.ts';
import { acceptance, Bench, fixed, kills, latency, outage, percentile, say } from './bench/service.ts';
import { play } from './play.ts';
import { startMachine, type Machine } from './soak/machine.ts';

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
    const { ok } = await verify(bundle, { trust, token, now: Date.now(), suite: nodeSuite });
    if (!ok) throw new Error('the demo bundle did not verify');
    times.push(performance.now() - begun);
  }
  say(`\nverify the demo bundle (${fixed(JSON.stringify(bundle).length / 1000)} kB), Node`);
  say(`  first (cold)  ${fixed(times[0]!)} ms`);
  say(`  median        ${fixed(percentile(times.slice(10), 0.5))} ms`);
}

async function ledgerRate({ profile }: Machine): Promise<void> {
  const ledger = connectLedger(profile);
  try {
    const org = profile.organisations[0]!.mspId;
    const station = new SigningStation(`bench-${randomBytes(4).toString('hex')}`);
    await register(ledger, org, 'EnrolStation', {
      station: station.id,
      site: 'hospital-1',
      roles: ['PRESCRIBER'],
      key: station.publicKey,
      hosted: false,
    });
    const line = (): string => canonical(station.item(prescriptionOf(station, org, 'hospital-1')).entry);
    const lines = Array.from({ length: 2600 }, line);
    let after = await lastBatch(ledger, org);
    const write = async (some: string[]): Promise<void> => {
      const endorsed = await proposeBatch(ledger, org, after, some).endorse();
      if (endorsed.answer.stale !== undefined || endorsed.answer.refused.length)
        throw new Error(`the bench's entries were refused: ${canonical(endorsed.answer)}`);
      if ((await endorsed.submit()) !== VALID) throw new Error('the bench was overtaken');
      after++;
    };
    await write(lines.splice(0, 40));

    const singles = lines.splice(0, 60);
    let begun = performance.now();
    for (const one of singles) await write([one]);
    const single = (singles.length / (performance.now() - begun)) * 1000;
    begun = performance.now();
    const many = lines.length;
    while (lines.length) await write(lines.splice(0, 500));
    const batched = (many / (performance.now() - begun)) * 1000;
    say('\nEntries settled through the local ledger, one log, four organisations, three endorsing');
    say(`  one entry per transaction   ${fixed(single)} /s`);
    say(`  500 entries per transaction ${fixed(batched)} /s`);
    say(`  ratio                       ${fixed(batched / single)} ×`);
  } finally {
    ledger.close();
  }
}

async function lastBatch(ledger: Ledger, org: string): Promise<number> {
  // A stale answer names the last batch; nothing is written.
  const { answer } = await proposeBatch(ledger, org, Number.MAX_SAFE_INTEGER, ['']).endorse();
  return answer.stale ?? 0;
}

const PARTS = ['entries', 'tree', 'bundle', 'ledger', 'accept', 'latency', 'kills', 'outage'] as const;

/** `bench.js [part…]`: all parts but the outage, which takes minutes, if none is named. */
async function main(): Promise<void> {
  const wanted = new Set<string>(process.argv.slice(2));
  for (const part of wanted)
    if (!PARTS.some((known) => known === part)) throw new Error(`the parts are ${PARTS.join(', ')}`);
  const wants = (...parts: (typeof PARTS)[number][]): boolean =>
    parts.some((part) => (wanted.size ? wanted.has(part) : part !== 'outage'));

  say(`${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`);
  if (wants('entries')) await entries();
  const station = new SigningStation('bench');
  if (wants('tree')) tree(station.item(prescriptionOf(station, 'HospitalMSP', 'hospital-1')).entry);
  if (!wants('bundle', 'ledger', 'accept', 'latency', 'kills', 'outage')) return;

  const folder = await mkdtemp(join(tmpdir(), 'yaoji-bench-'));
  await chmod(folder, 0o755);
  const machine = await startMachine(folder, () => 0);
  try {
    if (wants('bundle')) await demoBundle(machine);
    if (wants('ledger')) await ledgerRate(machine);
    if (!wants('accept', 'latency', 'kills', 'outage')) return;
    const bench = await Bench.on(machine, 40);
    if (wants('accept')) await acceptance(bench);
    if (wants('latency')) {
      await latency(bench, 20, 15);
      await latency(bench, 200, 15);
    }
    if (wants('kills')) await kills(bench);
    if (wants('outage')) await outage(bench, 100_000);
  } finally {
    await machine.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
