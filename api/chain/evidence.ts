import { encodeRlp, getBytes, keccak256, toBeHex, type RlpStructuredDataish } from 'ethers';
import * as z from 'zod/mini';
import { address20, bytesOf, bytesUpTo, count, hash32, quantity, RpcRefusal, type Rpc } from './rpc.ts';
import { receiptTrie } from './trie.ts';
import { ChainTrouble } from './trouble.ts';

/** What shows offline that an anchor is in a block: the block's header, and the receipt of the anchor's transaction in it. */
export interface Evidence {
  /** the transaction's hash, 0x and lower hex */
  txHash: string;
  block: number;
  /** 0x and lower hex */
  hash: string;
  /** the block's time, ms since the epoch */
  time: number;
  /** its header as RLP, whose Keccak-256 is the hash */
  header: Uint8Array;
  /** the transaction's index in the block */
  index: number;
  /** the nodes of the block's receipt trie, from its root to the receipt's leaf */
  proof: Uint8Array[];
}

/** The event that the receipt must hold. */
export interface Event {
  contract: string;
  /** 32 bytes each, 0x and lower hex */
  topics: readonly string[];
}

const bytes8 = bytesOf(8);
const bloom = bytesOf(256);
/** More transactions are in no block. */
const MOST_TRANSACTIONS = 20_000;
const LONGEST = 1 << 24;

const headerSchema = z.object({
  hash: hash32,
  parentHash: hash32,
  sha3Uncles: hash32,
  miner: address20,
  stateRoot: hash32,
  transactionsRoot: hash32,
  receiptsRoot: hash32,
  logsBloom: bloom,
  difficulty: quantity,
  number: count,
  gasLimit: quantity,
  gasUsed: quantity,
  timestamp: count,
  extraData: bytesUpTo(4_096),
  mixHash: hash32,
  nonce: bytes8,
  // What forks have added, each after the one before: London, Shanghai, Cancun (three), Prague.
  baseFeePerGas: z.optional(quantity),
  withdrawalsRoot: z.optional(hash32),
  blobGasUsed: z.optional(quantity),
  excessBlobGas: z.optional(quantity),
  parentBeaconBlockRoot: z.optional(hash32),
  requestsHash: z.optional(hash32),
  transactions: z.array(hash32).check(z.maxLength(MOST_TRANSACTIONS)),
});
type Block = z.infer<typeof headerSchema>;

const receiptSchema = z.object({
  type: z.optional(count),
  status: z.optional(count),
  /** before Byzantium, in the place of the status */
  root: z.optional(hash32),
  cumulativeGasUsed: quantity,
  logsBloom: bloom,
  transactionIndex: count,
  logs: z.array(
    z.object({
      address: address20,
      topics: z.array(hash32).check(z.maxLength(4)),
      data: bytesUpTo(LONGEST),
    }),
  ),
});
type Receipt = z.infer<typeof receiptSchema>;

const wrong = (what: string): ChainTrouble => new ChainTrouble('EVIDENCE_WRONG', what);
const number = (value: bigint | number): string => (BigInt(value) === 0n ? '0x' : toBeHex(value));

/** RLP of the header (EIP-1559, 4895, 4844, 4788, 7685 for what was added), from what a node says of a block. */
function headerRlp(block: Block): string {
  const added = [
    block.baseFeePerGas === undefined ? undefined : number(block.baseFeePerGas),
    block.withdrawalsRoot,
    block.blobGasUsed === undefined ? undefined : number(block.blobGasUsed),
    block.excessBlobGas === undefined ? undefined : number(block.excessBlobGas),
    block.parentBeaconBlockRoot,
    block.requestsHash,
  ].filter((field) => field !== undefined);
  return encodeRlp([
    block.parentHash,
    block.sha3Uncles,
    block.miner,
    block.stateRoot,
    block.transactionsRoot,
    block.receiptsRoot,
    block.logsBloom,
    number(block.difficulty),
    number(block.number),
    number(block.gasLimit),
    number(block.gasUsed),
    number(block.timestamp),
    block.extraData,
    block.mixHash,
    block.nonce,
    ...added,
  ]);
}

/** A receipt as the trie holds it (EIP-2718: its type first, unless it is a legacy one). */
function receiptRlp(receipt: Receipt): string {
  const logs = receipt.logs.map(({ address, topics, data }): RlpStructuredDataish => [address, topics, data]);
  const status = receipt.root ?? number(receipt.status ?? 0);
  const body = encodeRlp([status, number(receipt.cumulativeGasUsed), receipt.logsBloom, logs]);
  const { type = 0 } = receipt;
  return type === 0 ? body : `0x${type.toString(16).padStart(2, '0')}${body.slice(2)}`;
}

/**
 * The evidence that the block of this number holds this event in the transaction of this hash; undefined when the block does
 * not hold the transaction. Nothing is taken on the node's word that hashes can show: throws ChainTrouble EVIDENCE_WRONG when
 * header, receipts and event do not belong together.
 */
export async function readEvidence(
  rpc: Rpc,
  at: number,
  txHash: string,
  event: Event,
): Promise<Evidence | undefined> {
  const block = await rpc.call('eth_getBlockByNumber', [toQuantity(at), false], z.nullable(headerSchema));
  if (!block) return undefined;
  const header = headerRlp(block);
  if (block.number !== at || keccak256(header) !== block.hash)
    throw wrong(`the header of block ${at} does not hash to the block's hash`);
  const index = block.transactions.indexOf(txHash);
  if (index < 0) return undefined;
  const receipts = await readReceipts(rpc, block);
  const { root, proof } = receiptTrie(receipts.map(receiptRlp), index);
  if (root !== block.receiptsRoot)
    throw wrong(`the receipts of block ${at} do not lead to the root in its header`);
  const receipt = receipts[index]!;
  const events = receipt.logs.filter(
    ({ address, topics }) => address === event.contract && topics.join() === event.topics.join(),
  );
  if (receipt.status !== 1 || events.length !== 1)
    throw wrong(`transaction ${txHash} in block ${at} did not emit the anchor's event`);
  return {
    txHash,
    block: at,
    hash: block.hash,
    time: block.timestamp * 1000,
    header: getBytes(header),
    index,
    proof,
  };
}

export const toQuantity = (value: number): string => `0x${value.toString(16)}`;

/** The receipts of all transactions of a block, in their order: at once where the node can, else one by one. */
async function readReceipts(rpc: Rpc, block: Block): Promise<Receipt[]> {
  const all = z.nullable(z.array(receiptSchema).check(z.maxLength(MOST_TRANSACTIONS)));
  const receipts =
    (await rpc.call('eth_getBlockReceipts', [toQuantity(block.number)], all).catch((error: unknown) => {
      if (error instanceof RpcRefusal) return null; // older nodes do not have it
      throw error;
    })) ?? (await oneByOne(rpc, block.transactions));
  if (
    receipts.length !== block.transactions.length ||
    receipts.some(({ transactionIndex }, i) => transactionIndex !== i)
  )
    throw wrong(`the receipts of block ${block.number} are not those of its transactions`);
  return receipts;
}

/** How many calls are under way at the same time. */
const AT_ONCE = 8;

async function oneByOne(rpc: Rpc, transactions: readonly string[]): Promise<Receipt[]> {
  const receipts: Receipt[] = [];
  while (receipts.length < transactions.length) {
    const some = transactions.slice(receipts.length, receipts.length + AT_ONCE);
    receipts.push(...(await Promise.all(some.map((hash) => readReceipt(rpc, hash)))));
  }
  return receipts;
}

async function readReceipt(rpc: Rpc, hash: string): Promise<Receipt> {
  const receipt = await rpc.call('eth_getTransactionReceipt', [hash], z.nullable(receiptSchema));
  if (receipt) return receipt;
  throw new ChainTrouble('NODE_BEHIND', `the node does not know the receipt of ${hash}`);
}
