import { blockName, connectRpc, quantity, type Rpc } from '@yaoji/api/chain/rpc';
import { ChainTrouble } from '@yaoji/api/chain/trouble';
import type { AnchorFacts, KnownBlock } from '@yaoji/chaincode/core';
import { LOOK_UP } from '@yaoji/web/words/command';
import { filled, type Words } from '@yaoji/web/words/page';

/**
 * Asks a node of the reader's choice for the hash of the anchor's block: the block as the node names it, when it names one,
 * and what is to be said of that. A node that is gone, slow or talks nonsense names none. Never throws for what a node does.
 */
export async function lookUpBlock(
  url: string,
  { chain, block }: Pick<AnchorFacts, 'chain' | 'block'>,
  timeout = 10_000,
): Promise<{ known?: KnownBlock; said: Words }> {
  const rpc = connectRpc(url, { timeout });
  try {
    const other = `eip155:${await rpc.call('eth_chainId', [], quantity)}`;
    if (other !== chain) return { said: filled(LOOK_UP.otherChain, { other, chain }) };
    const found = await rpc.call('eth_getBlockByNumber', [`0x${block.toString(16)}`, false], blockName);
    if (!found) return { said: filled(LOOK_UP.unknown, { block }) };
    if (found.number !== block) return { said: filled(LOOK_UP.otherBlock, { block }) };
    return { known: found, said: filled(LOOK_UP[await finality(rpc, block)], { block }) };
  } catch (error) {
    if (!(error instanceof ChainTrouble)) throw error;
    return { said: filled(LOOK_UP.trouble, { why: error.message }) };
  }
}

/** Whether the node calls the block finalized; not every node or chain knows that word. */
async function finality(rpc: Rpc, block: number): Promise<'final' | 'notFinal' | 'finalUnknown'> {
  try {
    const last = await rpc.call('eth_getBlockByNumber', ['finalized', false], blockName);
    return !last ? 'finalUnknown' : last.number >= block ? 'final' : 'notFinal';
  } catch (error) {
    if (!(error instanceof ChainTrouble)) throw error;
    return 'finalUnknown';
  }
}
