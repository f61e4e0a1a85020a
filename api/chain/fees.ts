import type { TransactionLike } from 'ethers';
import * as z from 'zod/mini';
import { count, quantity, RpcRefusal, type Rpc } from './rpc.ts';
import { ChainTrouble } from './trouble.ts';

/** What a transaction offers for each unit of gas, in wei (EIP-1559); on a chain without a base fee one price. */
export type Fees = { maxFee: bigint; tip: bigint } | { gasPrice: bigint };

const GWEI = 1_000_000_000n;
/** No more is ever offered for a unit of gas, whatever the node says. */
export const MOST_FEE = 1_000n * GWEI;

const headSchema = z.object({ baseFeePerGas: z.optional(quantity) });

/** What the next transaction should offer: the base fee may double before it is overtaken. Throws ChainTrouble. */
export async function feesOf(rpc: Rpc): Promise<Fees> {
  const { baseFeePerGas } = await rpc.call('eth_getBlockByNumber', ['latest', false], headSchema);
  if (baseFeePerGas === undefined) return bounded({ gasPrice: await rpc.call('eth_gasPrice', [], quantity) });
  const tip = await rpc.call('eth_maxPriorityFeePerGas', [], quantity).catch((error: unknown) => {
    if (error instanceof RpcRefusal) return GWEI; // not every node has this method
    throw error;
  });
  return bounded({ maxFee: 2n * baseFeePerGas + tip, tip });
}

function bounded(fees: Fees): Fees {
  if (highest(fees) > MOST_FEE)
    throw new ChainTrouble(
      'FEE_TOO_HIGH',
      `the node asks for ${highest(fees) / GWEI} gwei for a unit of gas, and no more than ${MOST_FEE / GWEI} is ever paid`,
    );
  return fees;
}

/** The most that these fees cost for a unit of gas, wei. */
export const highest = (fees: Fees): bigint => ('gasPrice' in fees ? fees.gasPrice : fees.maxFee);

/**
 * The fees of a replacement: what the chain wants now, and at least an eighth more than before of each, since nodes refuse less
 * than a tenth. undefined: that would be more than is ever paid.
 */
export function raised(before: Fees, now: Fees): Fees | undefined {
  const more = (a: bigint, b: bigint): bigint => {
    const least = a + a / 8n + 1n;
    return least > b ? least : b;
  };
  const next: Fees =
    'gasPrice' in before || 'gasPrice' in now
      ? { gasPrice: more(highest(before), highest(now)) }
      : { maxFee: more(before.maxFee, now.maxFee), tip: more(before.tip, now.tip) };
  return highest(next) > MOST_FEE ? undefined : next;
}

/** The nonce after the last transaction of this address that is in a block: nothing that waits is counted. */
export const nonceOf = (rpc: Rpc, address: string): Promise<number> =>
  rpc.call('eth_getTransactionCount', [address, 'latest'], count);

/** The unsigned transaction. `to`: none deploys; `gas`: what was estimated, to which a quarter is added. */
export function toTransaction({
  chainId,
  nonce,
  to,
  data,
  gas,
  fees,
}: {
  chainId: number;
  nonce: number;
  to?: string;
  data: string;
  gas: number;
  fees: Fees;
}): TransactionLike {
  return {
    chainId,
    nonce,
    ...(to === undefined ? {} : { to }),
    data,
    gasLimit: Math.ceil(gas * 1.25),
    ...('gasPrice' in fees
      ? { type: 0, gasPrice: fees.gasPrice }
      : { type: 2, maxFeePerGas: fees.maxFee, maxPriorityFeePerGas: fees.tip }),
  };
}
