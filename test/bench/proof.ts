import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { toTrust, verify } from '@yaoji/chaincode/core';
import { makeBox, RECORDS, type Box } from './box.ts';
import { inChromium } from './chromium.ts';
import { gasUsed } from './gas.ts';
import { pageBytes, sizesOf, total, type Sizes } from './page-bytes.ts';

// What the proof of a box costs when its logs hold a million records: bytes, gas, and time in Node and in a browser. A program
// of its own, since browsers are for tests only: `npm run bench -- proof`. `--once FILE` verifies the box of a file in this
// fresh process and prints the milliseconds.

const COLD = 15;
const WARM = 200;
/** Anchors in a year, one in five minutes. */
const PER_YEAR = 365 * 24 * 12;

async function main(): Promise<void> {
  const [flag, file] = process.argv.slice(2);
  if (flag === '--once') return say(String(await verifying(JSON.parse(readFileSync(file!, 'utf8')) as Box)));

  const { deployment, anchor } = await gasUsed();
  say(`\nGas: the contract ${grouped(deployment)}, an anchor ${grouped(anchor)}`);
  say(`  a year of anchors, one in five minutes ${grouped(anchor * PER_YEAR)}`);

  const box = await makeBox();
  const { anchor: _, ...unanchored } = box.bundle;
  say(`\nThe reference story's bundle in logs of ${grouped(RECORDS)} records, four organisations signing`);
  say(`  whole           ${inWords(sizesOf(JSON.stringify(box.bundle)))}`);
  say(`  without anchor  ${inWords(sizesOf(JSON.stringify(unanchored)))}`);

  const loaded = await pageBytes(box);
  if (loaded) {
    const { meaning, script, evidence } = loaded;
    say('\nWhat its page loads');
    say(`  until it says where the box is  ${inWords(meaning)}`);
    say(`  all that is the page's own      ${inWords(total([meaning, script]))}`);
    say(`  until the verdict, with bundle and trust file ${inWords(total([meaning, script, evidence]))}`);
  }

  say('\nverify() of that bundle, ms, median (fastest to slowest)');
  say(`  Node, first call of a process   ${timesInWords(inFreshProcesses(box))}`);
  for (let i = 0; i < WARM; i++) await verifying(box);
  const warm: number[] = [];
  while (warm.length < WARM) warm.push(await verifying(box));
  say(`  Node, warm                      ${timesInWords(warm)}`);
  for (const slower of [1, 4]) {
    const times = await inChromium(box, COLD, slower);
    const name = slower === 1 ? 'first call of a page     ' : `the same, processor ${slower} × slower`;
    say(`  Chromium, ${name} ${times ? timesInWords(times) : 'there is no Chromium'}`);
  }
}

/** Milliseconds of one verification. Throws unless all passed, the anchor as well. */
async function verifying({ bundle, trust, token, now }: Box): Promise<number> {
  const trusted = toTrust(trust);
  const begun = performance.now();
  const { ok, checks } = await verify(bundle, { trust: trusted, token, now, suite: verifierSuite });
  const took = performance.now() - begun;
  if (!ok) throw new Error(`the box does not verify: ${JSON.stringify(checks)}`);
  return took;
}

function inFreshProcesses(box: Box): number[] {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-bench-'));
  try {
    const file = join(folder, 'box.json');
    writeFileSync(file, JSON.stringify(box));
    const once = (): number =>
      Number(execFileSync(process.execPath, [fileURLToPath(import.meta.url), '--once', file]));
    return Array.from({ length: COLD }, once);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const grouped = (value: number): string => value.toLocaleString('en');
const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1).padStart(6);
const inWords = ({ raw, gzip, brotli }: Sizes): string =>
  `${kilobytes(raw)} kB, gzip ${kilobytes(gzip)}, brotli ${kilobytes(brotli)}`;
function timesInWords(times: readonly number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const [fastest, middle, slowest] = [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!];
  return `${middle.toFixed(1)} (${fastest.toFixed(1)} to ${slowest.toFixed(1)})`;
}

await main();
