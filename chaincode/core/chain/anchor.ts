import * as z from 'zod/mini';
import type { ReadAnchor, ReadBundle, ReadState, ReadTrail } from '../bundle.ts';
import { equal, fromBase64url, toHex, utf8 } from '../bytes.ts';
import { originOf, parseCheckpoint, printCheckpoint, type Checkpoint } from '../checkpoint.ts';
import { TraceError, within } from '../error.ts';
import { at as keyOf } from '../ledger/world.ts';
import { append, EMPTY, leafHash, root, verifyInclusion } from '../merkle.ts';
import { leafOf } from '../record.ts';
import { hash, int } from '../rules/fields.ts';
import type { Suite, VerifierSuite } from '../suite.ts';
import { readHeader } from './header.ts';
import { readReceipt, type Receipt } from './receipt.ts';
import { rlpOfNumber } from './rlp.ts';
import { valueInTrie } from './trie.ts';

/** The part of a log (ledger/world.ts) that a checkpoint is made of. */
const logSchema = z.object({ size: int(0, Number.MAX_SAFE_INTEGER), root: hash });
const LOG = keyOf.log('');

/**
 * The checkpoints of the logs in a view's values, sorted by origin (UTF-16 code units). Keys of other things and logs that do
 * not exist yet are left out. Throws VIEW_MALFORMED for a value that is no log or an organisation that no origin can name.
 */
export function checkpointsOf(values: ReadonlyMap<string, unknown>, channel: string): Checkpoint[] {
  const checkpoints: Checkpoint[] = [];
  for (const [key, value] of values) {
    if (!key.startsWith(LOG) || value === undefined) continue;
    const log = logSchema.safeParse(value);
    if (!log.success) throw new TraceError('VIEW_MALFORMED', `the view's ${key} is not a log`);
    const { size, root: rootHash } = log.data;
    const checkpoint = {
      origin: originOf(channel, key.slice(LOG.length)),
      size,
      root: fromBase64url(rootHash),
    };
    try {
      parseCheckpoint(printCheckpoint(checkpoint));
    } catch (cause) {
      if (!(cause instanceof TraceError)) throw cause;
      throw new TraceError('VIEW_MALFORMED', `${key} names no log that has checkpoints`, { cause });
    }
    checkpoints.push(checkpoint);
  }
  return checkpoints.sort((a, b) => (a.origin < b.origin ? -1 : 1));
}

/**
 * What the chain is shown of a set of checkpoints: the RFC 6962 tree hash (§2.1) over their printed texts, in the order of
 * checkpointsOf. So one organisation's checkpoint can be shown to be on the chain without the others'.
 */
export function anchorRoot(checkpoints: readonly Checkpoint[], sha256: Suite['sha256']): Uint8Array {
  let frontier = EMPTY;
  for (const checkpoint of checkpoints)
    frontier = append(frontier, leafHash(utf8(printCheckpoint(checkpoint)), sha256), sha256);
  return root(frontier, sha256);
}

/** An anchor as its evidence shows it. */
export interface AnchorFacts {
  /** CAIP-2 */
  chain: string;
  contract: string;
  /** its number in the contract */
  seq: number;
  /** the block that holds it: number, hash, time in ms since the epoch */
  block: number;
  hash: string;
  time: number;
  /** how many of the bundle's records are not in the anchored logs */
  later: number;
}

/**
 * Checks all of an anchor that can be checked without knowing the chain: that the view's checkpoints have the root that the
 * contract logged under this number in this block, and which records their logs hold. Whether the block is the chain's is for
 * whoever knows its hash. Throws a TraceError with the place.
 */
export function checkAnchor(
  anchor: ReadAnchor,
  { trails, logs }: Pick<ReadBundle, 'trails' | 'logs'>,
  suite: VerifierSuite,
): AnchorFacts {
  const checkpoints = readCheckpoints(anchor.view, logs);
  const header = within('/anchor/header', () => readHeader(anchor.header));
  const receipt = within('/anchor/receipt', () => {
    const { index, proof } = anchor.receipt;
    const prove = () => valueInTrie(header.receiptsRoot, rlpOfNumber(index), proof, suite.keccak256);
    return readReceipt(within('/proof', prove));
  });
  checkEvent(receipt, anchor, anchorRoot(checkpoints, suite.sha256), suite);
  const { channel } = anchor.view.view;
  const logOf = (org: string) => checkpoints.find(({ origin }) => origin === originOf(channel, org));
  for (const [t, trail] of trails.entries())
    within(`/anchor/trails/${t}`, () => checkTrail(trail, anchor.trails[t]!, logOf, suite));
  return {
    chain: anchor.chain,
    contract: anchor.contract,
    seq: anchor.seq,
    block: header.number,
    hash: `0x${toHex(suite.keccak256(anchor.header))}`,
    time: header.timestamp * 1000,
    later: trails.reduce((sum, { records }, t) => sum + records.length - anchor.trails[t]!.records, 0),
  };
}

/** The anchored checkpoints, of the same logs as the viewed ones and not beyond them. */
function readCheckpoints(anchored: ReadState, logs: ReadState): Checkpoint[] {
  const place = '/anchor/view';
  const { channel, chaincode, timestamp } = anchored.view;
  if (channel !== logs.view.channel || chaincode !== logs.view.chaincode)
    wrong(place, 'the view is of another channel or chaincode than the view of the logs');
  if (timestamp > logs.view.timestamp) wrong(place, 'the view is newer than the view of the logs');
  const checkpoints = within(place, () => checkpointsOf(anchored.values, channel));
  const viewed = within('/views/logs', () => checkpointsOf(logs.values, channel));
  for (const { origin, size, root: now } of viewed) {
    const before = checkpoints.find((checkpoint) => checkpoint.origin === origin);
    if (!before) continue;
    if (before.size > size) wrong(place, `the log of ${origin} was larger than it is now viewed`);
    if (before.size === size && !equal(before.root, now))
      wrong(place, `the log of ${origin} had another root at the size at which it is viewed`);
  }
  return checkpoints;
}

/** The transaction succeeded, and the contract logged this root under this number. */
function checkEvent(
  { succeeded, logs }: Receipt,
  { contract, seq }: ReadAnchor,
  rootHash: Uint8Array,
  { keccak256 }: VerifierSuite,
): void {
  if (!succeeded) wrong('/anchor/receipt', 'the transaction was reverted');
  const event = keccak256(utf8('Anchored(uint256,bytes32)'));
  const anchors = logs.filter(
    ({ address, topics, data }) =>
      `0x${toHex(address)}` === contract &&
      topics.length === 3 &&
      equal(topics[0]!, event) &&
      data.length === 0,
  );
  if (!anchors.length) wrong('/anchor/contract', 'the transaction anchored nothing in this contract');
  const same = anchors.filter(({ topics }) => equal(topics[1]!, uint256(seq)));
  if (!same.length) wrong('/anchor/seq', 'the transaction anchored another number');
  if (!same.some(({ topics }) => equal(topics[2]!, rootHash)))
    wrong('/anchor/view', 'the chain holds the root of other checkpoints');
}

/** A number as the EVM's word: 32 bytes, big-endian. */
function uint256(number: number): Uint8Array {
  const word = new Uint8Array(32);
  for (let i = 31, left = number; left > 0; i--, left = Math.floor(left / 256)) word[i] = left % 256;
  return word;
}

/** The anchored logs hold exactly as many of the trail's first records as is said, and the last of these is proven. */
function checkTrail(
  { records }: ReadTrail,
  { records: count, inclusion }: ReadAnchor['trails'][number],
  logOf: (org: string) => Checkpoint | undefined,
  suite: VerifierSuite,
): void {
  const held = records.map(({ record: { entry, index } }) => index < (logOf(entry.org)?.size ?? 0));
  const first = held.indexOf(false);
  const most = first < 0 ? records.length : first;
  if (held.includes(true, most))
    wrong('/records', 'the anchored logs hold a later record without an earlier one');
  if (count !== most) wrong('/records', `the anchored logs hold ${most} records of the trail, not ${count}`);
  const last = records[count - 1]?.record;
  if (!last) {
    if (inclusion.length) wrong('/inclusion', 'nothing is there to be proven');
    return;
  }
  const leaf = fromBase64url(leafOf(last, suite.sha256));
  within('/inclusion', () =>
    verifyInclusion(leaf, last.index, logOf(last.entry.org)!, inclusion, suite.sha256),
  );
}

function wrong(place: string, message: string): never {
  throw new TraceError('BUNDLE_MALFORMED', message, { place });
}
