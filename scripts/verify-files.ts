import { readFileSync } from 'node:fs';
import {
  BUNDLE_TYPE,
  parseJson,
  parseToken,
  toTrust,
  TraceError,
  verify,
  type Asked,
  type Check,
  type Json,
  type KnownBlock,
  type Report,
  type Trust,
} from '@yaoji/chaincode/core';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { foundOf } from '@yaoji/web/found';
import { countsOf, sentenceOf, type Seen } from '@yaoji/web/sentence';
import { CHECK, FOUND, LIST } from '@yaoji/web/words/checks';
import { COMMAND, LOOK_UP } from '@yaoji/web/words/command';
import { CHECKING, FAILS, filled, OUTCOME, type Words } from '@yaoji/web/words/page';
import { lookUpBlock } from './look-up-block.ts';

/** A file or an argument that is not what it should be. */
class Unreadable extends Error {}

/** How the command was called. */
interface Options {
  trust: string;
  token?: string;
  /** NUMBER:0xHASH of blocks that the reader has from elsewhere */
  block?: readonly string[];
  /** a node of the reader's choice, to be asked for the hash of the anchor's block */
  rpc?: string;
  json?: true;
}

/**
 * Checks a bundle file against a trust file and prints what the page says of it, or the report as JSON. Reads the two files
 * and nothing else, unless a node to be asked is named: no server, no network. Exit code: 0 ok, 1 not ok, 2 a file or an
 * argument is not what it should be.
 */
export async function verifyFiles(bundleFile: string, options: Options): Promise<number> {
  let bundle: Json;
  let asked: Asked;
  let rpc: string | undefined;
  try {
    bundle = readBundleFile(bundleFile);
    asked = {
      trust: readTrustFile(options.trust),
      now: Date.now(),
      suite: verifierSuite,
      blocks: (options.block ?? []).map(readBlock),
      ...(options.token === undefined ? {} : { token: readToken(options.token) }),
    };
    rpc = options.rpc === undefined ? undefined : readUrl(options.rpc);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  let report = await verify(bundle, asked);
  let node: Words | undefined;
  if (rpc !== undefined) {
    const { anchor } = report.facts ?? {};
    const { known, said } = anchor
      ? await lookUpBlock(rpc, anchor)
      : { known: undefined, said: LOOK_UP.nothing };
    node = said;
    if (known) asked = { ...asked, blocks: [...asked.blocks!, known] };
    if (known) report = await verify(bundle, asked);
  }
  if (options.json) {
    if (node) process.stderr.write(`${node.zh}\n${node.en}\n`);
    process.stdout.write(`${JSON.stringify(report)}\n`);
  } else process.stdout.write(printReport(report, bundle, asked, node));
  return report.ok ? 0 : 1;
}

function readJsonFile(file: string): Json {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    throw new Unreadable(`${file} cannot be read: ${(error as Error).message}`);
  }
  try {
    return parseJson(text, 64 << 20);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new Unreadable(`${file} is not JSON of this format: ${error.place || '/'}: ${error.message}`);
  }
}

function readBundleFile(file: string): Json {
  const value = readJsonFile(file);
  if (typeof value !== 'object' || Array.isArray(value) || value['mediaType'] !== BUNDLE_TYPE)
    throw new Unreadable(`${file} is not a bundle of the type ${BUNDLE_TYPE}`);
  return value;
}

function readTrustFile(file: string): Trust {
  try {
    return toTrust(readJsonFile(file));
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new Unreadable(`${file} is not a trust file: ${error.place || '/'}: ${error.message}`);
  }
}

function readToken(text: string): string {
  try {
    return parseToken(text);
  } catch {
    throw new Unreadable(`${text} is not the code of a box`);
  }
}

function readBlock(text: string): KnownBlock {
  const [, number, hash] = /^(\d{1,15}):(0x[0-9a-f]{64})$/i.exec(text) ?? [];
  if (!number || !hash) throw new Unreadable(`${text} is not a block as NUMBER:0xHASH`);
  return { number: Number(number), hash: hash.toLowerCase() };
}

function readUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A node's URL may carry a key: it is not repeated.
  if (!url || !/^https?:$/.test(url.protocol)) throw new Unreadable('--rpc is not an http or https URL');
  return text;
}

function printReport(report: Report, bundle: Json, asked: Asked, node: Words | undefined): string {
  const { trust, token, now, blocks = [] } = asked;
  const seen: Seen = { report, bundle, trust, now, token: token !== undefined, blocks, saved: true };
  const { sentence } = sentenceOf(seen);
  const counts = filled(CHECKING.counts, countsOf(report));
  const required = new Set<string>([...trust.required, ...(token === undefined ? [] : ['box'])]);
  const lines = report.checks.flatMap((check) => printCheck(check, required.has(check.id), seen));
  const end = report.ok ? COMMAND.ok : COMMAND.bad;
  return [
    sentence.zh,
    sentence.en,
    '',
    counts.zh,
    counts.en,
    '',
    ...lines,
    '',
    ...(node ? [node.zh, node.en, ''] : []),
    `${end.zh}  ${end.en}`,
    '',
  ].join('\n');
}

function printCheck(check: Check, required: boolean, seen: Seen): string[] {
  const { id, outcome, detail } = check;
  const { symbol, zh, en } = OUTCOME[outcome];
  const { name, honest } = CHECK[id];
  const found = outcome === 'failed' ? FAILS[id] : foundOf(id, seen, FOUND);
  return [
    `${symbol} ${zh} ${en.padEnd(11)} ${id.padEnd(11)} ${name.zh}${required ? '*' : ''}  ${detail}`,
    ...(found ? [`    ${found.zh}`, `    ${found.en}`] : []),
    `    ${LIST.honest.zh}：${honest.zh}  ${LIST.honest.en}: ${honest.en}`,
  ];
}
