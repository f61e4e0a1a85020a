import { readFileSync } from 'node:fs';
import {
  BUNDLE_TYPE,
  parseJson,
  parseToken,
  toTrust,
  TraceError,
  verify,
  type Check,
  type Json,
  type Report,
  type Trust,
} from '@yaoji/chaincode/core';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { CHECK } from '@yaoji/web/words/checks';
import { OUTCOME } from '@yaoji/web/words/page';

/** A file or an argument that is not what it should be. */
class Unreadable extends Error {}

/**
 * Checks a bundle file against a trust file and prints one line per check, or the report as JSON. Reads the two files and
 * nothing else: no server, no network. Exit code: 0 ok, 1 not ok, 2 a file or the token is not what it should be.
 */
export async function verifyFiles(
  bundleFile: string,
  options: { trust: string; token?: string; json?: true },
): Promise<number> {
  let bundle: Json;
  let trust: Trust;
  let token: string | undefined;
  try {
    bundle = readBundleFile(bundleFile);
    trust = readTrustFile(options.trust);
    token = options.token === undefined ? undefined : readToken(options.token);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
  const report = await verify(bundle, {
    trust,
    now: Date.now(),
    suite: verifierSuite,
    ...(token === undefined ? {} : { token }),
  });
  process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : printReport(report, trust, token));
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

function printReport({ ok, checks }: Report, trust: Trust, token: string | undefined): string {
  const required = new Set<string>([...trust.required, ...(token === undefined ? [] : ['box'])]);
  const lines = checks.map((check) => printCheck(check, required.has(check.id)));
  const end = ok
    ? '要求的各项都通过，没有一项不通过  All that is required passed, and nothing failed.'
    : '不能算通过  This bundle does not pass.';
  return `${lines.join('\n')}\n\n${end}\n`;
}

function printCheck({ id, outcome, detail }: Check, required: boolean): string {
  const { symbol, zh, en } = OUTCOME[outcome];
  return `${symbol} ${zh} ${en.padEnd(11)} ${id.padEnd(11)} ${CHECK[id].name.zh}${required ? '*' : ''}  ${detail}`;
}
