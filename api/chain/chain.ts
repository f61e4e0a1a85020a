import { Interface, Transaction } from 'ethers';
import * as z from 'zod/mini';
import { ANCHOR } from './artifact.ts';
import { readEvidence, toQuantity, type Evidence } from './evidence.ts';
import { feesOf, highest, nonceOf, raised, toTransaction, type Fees } from './fees.ts';
import { blockName, bytesUpTo, count, hash32, quantity, RpcRefusal, type Rpc } from './rpc.ts';
import type { Signer } from './signers.ts';
import { ChainTrouble } from './trouble.ts';

/** Where roots are published. */
export interface ChainPlace {
  /** the chain's id (EIP-155) */
  id: number;
  /** the contract's address, 0x and lower hex */
  contract: string;
  /** after how many further blocks a block is final; not said: what the node calls `finalized` */
  confirmations?: number | undefined;
}

/** A signed transaction that publishes a root. */
export interface SignedAnchor {
  /** 0x and lower hex */
  hash: string;
  nonce: number;
  /** what is sent, 0x and hex */
  raw: string;
}

/**
 * The contract on the chain, through one node that may lie, be slow or be gone. Every method throws ChainTrouble and none
 * takes longer than the time limit of its calls.
 */
export interface Chain extends ChainPlace {
  /** CAIP-2 */
  readonly name: string;
  /** Throws unless the node is of our chain, our contract stands there, and takes roots from our key. */
  inspect(): Promise<void>;
  /** the root that the chain has under a number, 0x and lower hex; undefined: none */
  rootOf(seq: number): Promise<string | undefined>;
  /** our next transaction's nonce */
  nonce(): Promise<number>;
  /**
   * Signs the publication of a root, with no effect on anything. `instead`: the transaction of the same nonce that it is to
   * replace. undefined: the chain has a root under this number by now.
   */
  sign(seq: number, root: string, nonce: number, instead?: SignedAnchor): Promise<SignedAnchor | undefined>;
  /** Sends it, also again. */
  send(signed: SignedAnchor): Promise<void>;
  /**
   * The evidence that a root is in a block, by one of these transactions or, when none of them is in one, by whatever event the
   * node finds; undefined: the node does not know of it now.
   */
  find(seq: number, root: string, hashes: readonly string[]): Promise<Evidence | undefined>;
  /** the hash of the chain's block of this number; undefined: the node has none */
  hashOf(block: number): Promise<string | undefined>;
  /** the last block that is final */
  finalBlock(): Promise<number>;
}

const CONTRACT = new Interface(ANCHOR.abi);
const ANCHORED = CONTRACT.getEvent('Anchored')!.topicHash;
const errorSelector = (name: string): string => CONTRACT.getError(name)!.selector;

/** An anchor takes about 46,000 on Ethereum. Chains that count other things into it ask for more, never for this much. */
const MOST_GAS = 2_000_000;

const inclusionSchema = z.nullable(z.object({ blockNumber: z.nullable(count), status: z.optional(count) }));
const logsSchema = z
  .array(z.object({ blockNumber: z.nullable(count), transactionHash: hash32 }))
  .check(z.maxLength(16));

/** Connects lazily: nothing is asked before the first call, and nothing between calls. */
export function connectChain(rpc: Rpc, signer: Signer, place: ChainPlace): Chain {
  const { id, contract, confirmations } = place;
  const topicsOf = (seq: number, root: string): string[] => [
    ANCHORED,
    `0x${seq.toString(16).padStart(64, '0')}`,
    root,
  ];
  const blockAt = (tag: string) => rpc.call('eth_getBlockByNumber', [tag, false], blockName);

  async function gasFor(from: string, data: string): Promise<number | undefined> {
    try {
      const gas = await rpc.call('eth_estimateGas', [{ from, to: contract, data }, 'latest'], count);
      if (gas > MOST_GAS)
        throw new ChainTrouble('FEE_TOO_HIGH', `the node asks for ${gas} gas, and ${MOST_GAS} is the most`);
      return gas;
    } catch (error) {
      const selector = error instanceof RpcRefusal ? error.data?.slice(0, 10) : undefined;
      if (selector === errorSelector('AlreadyAnchored')) return undefined;
      if (selector === errorSelector('NotOperator')) throw otherOperator();
      throw error;
    }
  }
  const otherOperator = (): ChainTrouble =>
    new ChainTrouble('OPERATOR_OTHER', `the contract ${contract} takes roots from another key than ours`);

  /** Where one of the transactions is in a block. */
  async function locate(hashes: readonly string[]): Promise<{ block: number; hash: string } | undefined> {
    for (const hash of hashes) {
      const receipt = await rpc.call('eth_getTransactionReceipt', [hash], inclusionSchema);
      // One that failed has published nothing.
      if (typeof receipt?.blockNumber === 'number' && receipt.status === 1)
        return { block: receipt.blockNumber, hash };
    }
    return undefined;
  }
  async function search(topics: string[]): Promise<{ block: number; hash: string } | undefined> {
    const filter = { address: contract, topics, fromBlock: 'earliest', toBlock: 'latest' };
    const [log] = await rpc.call('eth_getLogs', [filter], logsSchema);
    if (typeof log?.blockNumber !== 'number') return undefined;
    return { block: log.blockNumber, hash: log.transactionHash };
  }

  return {
    ...place,
    name: `eip155:${id}`,
    async inspect() {
      const found = await rpc.call('eth_chainId', [], count);
      if (found !== id)
        throw new ChainTrouble('CHAIN_OTHER', `the node is of chain ${found}, and ours is ${id}`);
      const code = await rpc.call('eth_getCode', [contract, 'latest'], bytesUpTo(65_536));
      if (code === '0x')
        throw new ChainTrouble('CONTRACT_MISSING', `no contract stands at ${contract} on chain ${id}`);
      const operators = operatorsIn(code);
      if (!operators)
        throw new ChainTrouble('CONTRACT_OTHER', `what stands at ${contract} is not the anchor's contract`);
      const address = await signer.address();
      if (operators.some((operator) => operator !== address)) throw otherOperator();
    },
    async rootOf(seq) {
      const data = CONTRACT.encodeFunctionData('rootOf', [seq]);
      const root = await rpc.call('eth_call', [{ to: contract, data }, 'latest'], hash32);
      return /^0x0+$/.test(root) ? undefined : root;
    },
    nonce: async () => nonceOf(rpc, await signer.address()),
    async sign(seq, root, nonce, instead) {
      const data = CONTRACT.encodeFunctionData('anchor', [seq, root]);
      const from = await signer.address();
      const gas = await gasFor(from, data);
      if (gas === undefined) return undefined;
      const now = await feesOf(rpc);
      const fees = instead ? raised(feesIn(instead), now) : now;
      if (!fees)
        throw new ChainTrouble('FEE_TOO_HIGH', 'a replacement would cost more than is ever paid for gas');
      const transaction = toTransaction({ chainId: id, nonce, to: contract, data, gas, fees });
      const balance = await rpc.call('eth_getBalance', [from, 'latest'], quantity);
      const needed = BigInt(transaction.gasLimit!) * highest(fees);
      if (balance < needed)
        throw new ChainTrouble('WALLET_EMPTY', `${from} holds ${balance} wei, and ${needed} are needed`);
      const raw = await signer.sign(transaction);
      return { hash: Transaction.from(raw).hash!.toLowerCase(), nonce, raw };
    },
    async send({ raw, hash }) {
      try {
        await rpc.call('eth_sendRawTransaction', [raw], z.unknown());
      } catch (error) {
        if (!(error instanceof RpcRefusal)) throw error;
        // Nodes refuse what they have already, each in other words.
        if ((await rpc.call('eth_getTransactionByHash', [hash], z.unknown())) === null) throw error;
      }
    },
    async find(seq, root, hashes) {
      const topics = topicsOf(seq, root);
      const found = (await locate(hashes)) ?? (await search(topics));
      return found && readEvidence(rpc, found.block, found.hash, { contract, topics });
    },
    async hashOf(block) {
      const found = await blockAt(toQuantity(block));
      if (found && found.number !== block)
        throw new ChainTrouble('NODE_GARBAGE', `the node gives block ${found.number} for block ${block}`);
      return found?.hash;
    },
    async finalBlock() {
      const tag = confirmations === undefined ? 'finalized' : 'latest';
      const number = (await blockAt(tag))?.number ?? 0;
      return number - (confirmations ?? 0);
    },
  };
}

/** The address at each place where our runtime code holds its operator; undefined: this is other code. */
function operatorsIn(code: string): string[] | undefined {
  const words = ANCHOR.operatorAt.map((start) => 2 + 2 * start);
  const masked = words.reduce((text, at) => text.slice(0, at) + '0'.repeat(64) + text.slice(at + 64), code);
  if (masked !== ANCHOR.runtime) return undefined;
  return words.map((at) => `0x${code.slice(at + 24, at + 64)}`);
}

function feesIn({ raw }: SignedAnchor): Fees {
  const { type, gasPrice, maxFeePerGas, maxPriorityFeePerGas } = Transaction.from(raw);
  return type === 2
    ? { maxFee: maxFeePerGas ?? 0n, tip: maxPriorityFeePerGas ?? 0n }
    : { gasPrice: gasPrice ?? 0n };
}
