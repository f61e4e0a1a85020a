import {
  at,
  leafOf,
  readBundle,
  toHex,
  type AnchorFacts,
  type Log,
  type Report,
  type Suite,
  type Trust,
} from '@yaoji/chaincode/core';
import type * as CheckWords from './words/checks.ts';
import { filled, type Words } from './words/page.ts';

type ByteWords = typeof CheckWords.BYTES;

/** What the report was made from, as bytes. */
interface Checked {
  report: Report;
  bundle: unknown;
  trust: Trust;
  /** the files as they came */
  bytes: { bundle: Uint8Array; trust: Uint8Array };
  suite: Pick<Suite, 'sha256'>;
}

/** The numbers and hashes that a reader can compare with those from elsewhere, each with its name. */
export function bytesOf(
  { report, bundle, trust, bytes, suite: { sha256 } }: Checked,
  words: ByteWords,
): [Words, string][] {
  return [
    ...(report.facts ? insideOf(report, bundle, sha256, words) : []),
    [words.channel, `${trust.channel} / ${trust.chaincode}`],
    [words.bundleHash, toHex(sha256(bytes.bundle))],
    [words.trustHash, toHex(sha256(bytes.trust))],
  ];
}

function insideOf(
  { facts }: Report,
  bundle: unknown,
  sha256: Suite['sha256'],
  words: ByteWords,
): [Words, string][] {
  const { trails, logs } = readBundle(bundle);
  const orgs = new Set(trails.map(({ records }) => records.at(-1)!.record.entry.org));
  return [
    [words.view, new Date(facts!.taken).toISOString()],
    ...trails.map(({ subject, records }): [Words, string] => [
      filled(words.trail, { subject, records: records.length }),
      leafOf(records.at(-1)!.record, sha256),
    ]),
    ...[...orgs].flatMap((org): [Words, string][] => {
      const log = logs.values.get(at.log(org)) as Log | undefined;
      return log ? [[filled(words.log, { org, size: log.size }), log.root]] : [];
    }),
    ...(facts!.anchor ? chainOf(facts!.anchor, words) : []),
  ];
}

const chainOf = (anchor: AnchorFacts, words: ByteWords): [Words, string][] => [
  [words.chain, `${anchor.chain} / ${anchor.contract} / ${anchor.seq}`],
  [filled(words.block, { block: anchor.block, time: new Date(anchor.time).toISOString() }), anchor.hash],
];
