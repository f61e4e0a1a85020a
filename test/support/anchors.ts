import { encodeRlp, getBytes, id, keccak256, toBeArray, toBeHex, type RlpStructuredDataish } from 'ethers';
import {
  anchorRoot,
  checkpointsOf,
  fromBase64url,
  fromUtf8,
  originOf,
  readView,
  toBase64url,
  type Bundle,
  type KnownBlock,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { trieOf } from './trie.ts';

// The evidence of an anchor without a running chain: a block whose receipts hold it, made with ethers' RLP and Keccak. It is
// what a real chain gives (test/vectors/anvil-1.7.1), with other transactions around it and empty bloom filters.

/** What may be different about an anchor and its block. */
export interface ChainPlan {
  readonly chain?: string;
  readonly contract?: string;
  readonly seq?: number;
  /** the block's number, and its time in ms since the epoch */
  readonly number?: number;
  readonly time?: number;
  /** how many transactions the block has, and which of them is the anchor's */
  readonly transactions?: number;
  readonly index?: number;
  /** the transactions' type (EIP-2718); 0: receipts without a type byte */
  readonly type?: number;
  readonly reverted?: boolean;
  /** the root that the contract logs; by default that of the view's checkpoints */
  readonly root?: Uint8Array;
  /** what the transaction logged instead */
  readonly logs?: readonly RlpStructuredDataish[];
  /** how many fields the header has */
  readonly fields?: number;
}

export const CHAIN = 'eip155:1';
export const CONTRACT = '0x5fbdb2315678afecb367f032d93f642f64180aa3';

/** the first topic of the contract's event */
export const ANCHORED = id('Anchored(uint256,bytes32)');

type Anchor = NonNullable<Bundle['anchor']>;
type Evidence = Pick<Anchor, 'chain' | 'contract' | 'seq' | 'header' | 'receipt'> & { block: KnownBlock };

const rlp = (value: RlpStructuredDataish): Uint8Array => getBytes(encodeRlp(value));
const number = (value: number): Uint8Array => toBeArray(value);
const zeros = (size: number): Uint8Array => new Uint8Array(size);

/** A block in which the contract logged a root, and the way from the block to that. */
export function evidenceOf(root: Uint8Array, plan: ChainPlan = {}): Evidence {
  const { chain = CHAIN, contract = CONTRACT, seq = 1, transactions = 20, index = 17, type = 2 } = plan;
  const logs = plan.logs ?? [[contract, [ANCHORED, toBeHex(seq, 32), root], '0x']];
  const receipts = Array.from({ length: transactions }, (_, i) => {
    const own = i === index;
    const status = own && plan.reverted ? 0 : 1;
    const body = rlp([number(status), number(21_000 * (i + 1)), zeros(256), own && status ? [...logs] : []]);
    return type ? Uint8Array.of(type, ...body) : body;
  });
  const key = (i: number): Uint8Array => rlp(number(i));
  const trie = trieOf(receipts.map((receipt, i) => [key(i), receipt]));
  const at = plan.number ?? 1207;
  const time = Math.floor((plan.time ?? Date.now()) / 1000);
  const fields = [
    // Parent, uncles, beneficiary, roots of state, transactions and receipts, bloom filter,
    ...[32, 32, 20, 32, 32].map(zeros),
    trie.root,
    zeros(256),
    // difficulty, number, gas limit, gas used, time,
    ...[0, at, 30_000_000, 21_000 * transactions, time].map(number),
    // extra data, mix hash, nonce,
    ...[0, 32, 8].map(zeros),
    // and since then: base fee, withdrawals, blob gas, beacon and requests' roots (EIP-1559 to EIP-7685).
    number(7),
    zeros(32),
    ...[0, 0].map(number),
    ...[32, 32].map(zeros),
  ];
  const header = rlp(fields.slice(0, plan.fields));
  return {
    block: { number: at, hash: keccak256(header) },
    chain,
    contract,
    seq,
    header: toBase64url(header),
    receipt: { index, proof: trie.proof(key(index)).map(toBase64url) },
  };
}

/**
 * The bundle with the anchor of a view of all logs (base64url of its Fabric payload), and the block that it names. `prove`:
 * the proof of a leaf in an organisation's log at the anchored size.
 */
export function withAnchor(
  bundle: Bundle,
  view: string,
  prove: (org: string, index: number, size: number) => readonly Uint8Array[],
  plan: ChainPlan = {},
): { bundle: Bundle; block: KnownBlock } {
  const { channel, payload } = readView(fromBase64url(view));
  const values = new Map(Object.entries(JSON.parse(fromUtf8(payload)) as object));
  const checkpoints = checkpointsOf(values, channel);
  const sizeOf = (org: string): number =>
    checkpoints.find(({ origin }) => origin === originOf(channel, org))?.size ?? 0;
  const trails = bundle.trails.map(({ records }) => {
    type Shown = { entry: { org: string }; index: number };
    const places = records.map(({ record }) => record as Shown);
    const held = places.filter(({ entry: { org }, index }) => index < sizeOf(org));
    const last = held.at(-1);
    const inclusion = last ? prove(last.entry.org, last.index, sizeOf(last.entry.org)) : [];
    return { records: held.length, inclusion: inclusion.map(toBase64url) };
  });
  const { block, ...evidence } = evidenceOf(plan.root ?? anchorRoot(checkpoints, nodeSuite.sha256), plan);
  return { bundle: { ...bundle, anchor: { view, trails, ...evidence } }, block };
}
