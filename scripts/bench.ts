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
  toBase64url,
  verify,
  verifyEntry,
  verifyInclusion,
  root,
  type Entry,
  type Frontier,
  type Statement,
} from '@yaoji/chaincode/core';
import { fetchBundle, fetchTrust, SigningStation } from './client.ts';
import { startInstance, type Instance } from './instance.ts';
import { play } from './play.ts';

// Figures for the README. This machine is small and shared: the comparisons are made within one run.

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const fixed = (value: number, digits = 1): string =>
  value.toLocaleString('en', { maximumFractionDigits: digits });

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
  return median(rounds);
}

function statementOf(station: string, n: number, org: string, site: string): Statement {
  const items = [{ herb: 'H1', name: '旋覆花', milligrams: 9000 }];
  return {
    step: 'RX_ISSUED',
    subject: toBase64url(randomBytes(16)),
    org,
    site,
    station,
    n,
    time: `${new Date(Date.now() - 60_000).toISOString().slice(0, 16)}Z`,
    payload: {
      plan: { first: true, late: false, wrap: true, separate: true, dissolve: false, second: true },
      validUntil: '2099-01-01T00:00Z',
      maxUses: 1,
      rxVersion: 1,
      doses: 7,
      bagsPerDose: 2,
      herbCount: 1,
      useRoute: 'INTERNAL',
      decoctClass: 'GENERAL',
      patientBand: 'ADULT',
      items,
      hasToxic: false,
      urgent: false,
    },
  };
}

async function entries(): Promise<void> {
  const station = new SigningStation('bench');
  const statement = statementOf('bench', 1, 'HospitalMSP', 'hospital-1');
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

async function demoBundle({ access }: Instance): Promise<void> {
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
  say(`  median        ${fixed(median(times.slice(10)))} ms`);
}

async function ledgerRate({ profile }: Instance): Promise<void> {
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
    const line = (): string =>
      canonical(station.item(statementOf(station.id, station.next(), org, 'hospital-1')).entry);
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

async function main(): Promise<void> {
  say(`${availableParallelism()} cores, ${cpus()[0]?.model ?? 'unknown processor'}, Node ${process.version}`);
  await entries();
  tree(new SigningStation('bench').item(statementOf('bench', 1, 'HospitalMSP', 'hospital-1')).entry);
  const folder = await mkdtemp(join(tmpdir(), 'yaoji-bench-'));
  await chmod(folder, 0o755);
  const instance = await startInstance({ folder, log: () => {} });
  try {
    await demoBundle(instance);
    await ledgerRate(instance);
  } finally {
    await instance.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
