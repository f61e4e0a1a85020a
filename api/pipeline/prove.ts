import { setTimeout as sleep } from 'node:timers/promises';
import {
  at as keyOf,
  BUNDLE_TYPE,
  element,
  inclusionElements,
  parseDisclosure,
  readView,
  RULES,
  toBase64url,
  tokenCommitment,
  type Bundle,
  type Json,
  type Log,
  type Reader,
  type Subject,
  type TokenTarget,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { isUnavailable } from '../ledger/errors.ts';
import { takeView, type TakenView } from '../ledger/view.ts';
import { includedAnchor, type IncludedAnchor } from '../store/anchors.ts';
import { readNodes } from '../store/batches.ts';
import { readTrail, type TrailRecord } from '../store/trails.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import { LedgerUnavailable } from '../service.ts';
import type { Pipeline } from './context.ts';
import { ShortMemory } from './short-memory.ts';

// The ledger may be a batch ahead of the store: what it shows is then not settled here yet, but soon is.
const TRIES = 20;

/** What the consortium signed about a box. */
export interface BoxViews {
  heads: TakenView;
  logs: TakenView;
}

/**
 * Views that were taken in the last seconds, by the heads that they show: a shared QR must not make the consortium endorse all
 * day. They say when they were taken.
 */
export const recentViews = (now: () => number): ShortMemory<BoxViews | undefined> =>
  new ShortMemory(5_000, 200, now);

interface Trail {
  subject: string;
  records: TrailRecord[];
}

/** The package key that a token leads to, as far as it is settled. */
export async function packageOf({ pool }: Pipeline, token: string): Promise<string | undefined> {
  const key = keyOf.token(tokenCommitment(token, nodeSuite.sha256));
  return parsedValue<TokenTarget>(await readWorld(pool, [key]), key)?.package;
}

/** The package's trail and its fulfilment's: what anybody with the token may see. */
export async function boxTrails({ pool }: Pipeline, box: string): Promise<Trail[]> {
  const own = await readTrail(pool, box);
  const fulfilment = own[0]?.record.entry.links?.[0];
  if (fulfilment === undefined) throw new Error(`the trail of ${box} does not begin with its label`);
  return [
    { subject: fulfilment, records: await readTrail(pool, fulfilment) },
    { subject: box, records: own },
  ];
}

/**
 * Everything needed to verify the box of a token offline, as far as this reader may see it, with views of this moment, or of
 * the last seconds where its trails have not grown since. With the reader's own nonce (24 bytes) the view of the heads is taken
 * for this reader, and holds it. undefined: no such box. Throws LedgerUnavailable.
 */
export async function prove(
  pipeline: Pipeline,
  token: string,
  reader: Reader,
  nonce?: Uint8Array,
): Promise<Bundle | undefined> {
  const box = await packageOf(pipeline, token);
  if (box === undefined) return undefined;
  try {
    for (let attempt = 1; ; attempt++) {
      const bundle = await assemble(pipeline, box, token, reader, nonce);
      if (bundle) return bundle;
      if (attempt === TRIES) throw new LedgerUnavailable('the store is behind the ledger');
      await sleep(25 * attempt);
    }
  } catch (error) {
    if (isUnavailable(error)) throw new LedgerUnavailable('the ledger does not answer', { cause: error });
    throw error;
  }
}

async function assemble(
  pipeline: Pipeline,
  box: string,
  token: string,
  reader: Reader,
  nonce: Uint8Array | undefined,
): Promise<Bundle | undefined> {
  const trails = await boxTrails(pipeline, box);
  const org = trails[1]!.records[0]!.record.entry.org;
  // Named by the heads: a record that is settled meanwhile makes another name.
  const name = trails.map(({ subject, records }) => `${subject} ${records.at(-1)!.leaf}`).join(' ');
  const taken = nonce
    ? await takeViews(pipeline, org, trails, token, nonce)
    : await pipeline.views.get(name, () => takeViews(pipeline, org, trails, token));
  if (!taken) {
    pipeline.views.forget(name);
    return undefined;
  }
  const { heads, logs } = taken;

  const proved: Bundle['trails'] = [];
  for (const { subject, records } of trails) {
    const inclusion = await inclusionOf(pipeline, records.at(-1)!, logs);
    if (!inclusion) return undefined;
    proved.push({
      subject,
      records: records.map(({ record, disclosures }) => ({
        record: record as unknown as Json,
        disclosures: disclosures.filter((text) => mayRead(record.entry.step, text, reader)),
      })),
      inclusion,
    });
  }
  const anchored = await newestFor(pipeline, trails);
  if (anchored && isNewer(anchored.view, logs.payload)) {
    // What is remembered of the logs is older than what the chain knows of them by now.
    pipeline.views.forget(name);
    return undefined;
  }
  const anchor = anchored && (await anchorOf(pipeline, anchored, trails));
  return {
    mediaType: BUNDLE_TYPE,
    package: box,
    trails: proved,
    views: { heads: toBase64url(heads.payload), logs: toBase64url(logs.payload) },
    ...(anchor ? { anchor } : {}),
  };
}

/** The earliest anchor in a block that holds all of these trails, or else the newest: since when they are public. */
async function newestFor(
  { pool, anchors }: Pipeline,
  trails: readonly Trail[],
): Promise<IncludedAnchor | undefined> {
  if (!anchors) return undefined;
  const lasts = new Map<string, number>();
  for (const { record } of trails.flatMap(({ records }) => records)) {
    const { org } = record.entry;
    lasts.set(org, Math.max(lasts.get(org) ?? 0, record.index));
  }
  return includedAnchor(pool, anchors, lasts);
}

const isNewer = (view: Uint8Array, than: Uint8Array): boolean =>
  readView(view).timestamp > readView(than).timestamp;

/** An anchor as a bundle of these trails carries it; undefined while the store has not settled what it holds. */
async function anchorOf(
  pipeline: Pipeline,
  { view, sizes, seq, header, index, proof }: IncludedAnchor,
  trails: readonly Trail[],
): Promise<Bundle['anchor']> {
  const shown: NonNullable<Bundle['anchor']>['trails'] = [];
  for (const { records } of trails) {
    // A trail's later records came into their logs later, so what the anchored logs hold of it is its beginning.
    const held = records.filter(({ record }) => record.index < (sizes.get(record.entry.org) ?? 0));
    const last = held.at(-1);
    const inclusion = last
      ? await inclusionAt(
          pipeline,
          last.record.entry.org,
          last.record.index,
          sizes.get(last.record.entry.org)!,
        )
      : [];
    if (!inclusion) return undefined;
    shown.push({ records: held.length, inclusion });
  }
  return {
    view: toBase64url(view),
    trails: shown,
    ...pipeline.anchors!,
    seq,
    header: toBase64url(header),
    receipt: { index, proof: proof.map(toBase64url) },
  };
}

/** The heads as they are viewed, and the logs as they are viewed after; undefined while the store is behind the ledger. */
async function takeViews(
  { ledger, log }: Pipeline,
  org: string,
  trails: readonly Trail[],
  token: string,
  nonce?: Uint8Array,
): Promise<BoxViews | undefined> {
  const heads = await takeView(ledger, org, headKeys(trails, token), nonce);
  if (heads.without.length > 0)
    log({ level: 'warn', what: 'a view without some organisations', without: heads.without });
  if (!trails.every((trail) => endsAsViewed(trail, heads))) return undefined;
  const orgs = trails.map(({ records }) => records.at(-1)!.record.entry.org);
  const logs = await takeView(ledger, org, [...new Set(orgs.map(keyOf.log))].sort());
  return { heads, logs };
}

/** The heads, the token, and whoever signed: stations, and the members and sites that they belong to. */
function headKeys(trails: readonly Trail[], token: string): string[] {
  const keys = new Set<string>([keyOf.token(tokenCommitment(token, nodeSuite.sha256))]);
  for (const { subject, records } of trails) {
    keys.add(keyOf.subject(subject));
    for (const { record } of records) {
      const { org, site, station, open } = record.entry;
      keys.add(keyOf.station(station));
      keys.add(keyOf.site(org, site));
      keys.add(keyOf.member(org));
      if (typeof open['to'] === 'string') keys.add(keyOf.member(open['to']));
    }
  }
  return [...keys].sort();
}

function endsAsViewed({ subject, records }: Trail, { values }: TakenView): boolean {
  const viewed = values.get(keyOf.subject(subject)) as unknown as Subject | undefined;
  return viewed?.seq === records.length && viewed.head === records.at(-1)?.leaf;
}

function mayRead(step: string, text: string, reader: Reader): boolean {
  return RULES[step]?.sealed[parseDisclosure(text).name]?.readers.includes(reader) ?? false;
}

/** The proof of a record at the viewed size of its log; undefined while the store has not settled that far. */
function inclusionOf(
  pipeline: Pipeline,
  { record }: TrailRecord,
  { values }: TakenView,
): Promise<string[] | undefined> {
  const { org } = record.entry;
  const log = values.get(keyOf.log(org)) as unknown as Log;
  return inclusionAt(pipeline, org, record.index, log.size);
}

async function inclusionAt(
  { pool }: Pipeline,
  org: string,
  index: number,
  size: number,
): Promise<string[] | undefined> {
  const elements = inclusionElements(index, size);
  const nodes = await readNodes(pool, org, elements.flat());
  const proof: string[] = [];
  for (const subtrees of elements) {
    const hashes = subtrees.map((at) => nodes.get(`${at.level}/${at.index}`));
    if (hashes.includes(undefined)) return undefined;
    proof.push(toBase64url(element(hashes as Uint8Array[], nodeSuite.sha256)));
  }
  return proof;
}
