import type { Words } from './page.ts';

// What the offline command says besides the page's words. `{name}` is filled in.

const words = (zh: string, en: string): Words => ({ zh, en });

export const COMMAND = {
  ok: words('要求的各项都通过，没有一项不通过', 'All that is required passed, and nothing failed.'),
  bad: words('不能算通过', 'This bundle does not pass.'),
} as const;

/** What a node of the reader's choice said of the anchor's block. */
export const LOOK_UP = {
  nothing: words(
    '没有问节点：存证包里没有可以查的区块',
    'The node was not asked: the bundle has no block to look up',
  ),
  final: words(
    '节点给出了第 {block} 块的哈希，并说这一块已经最终确定',
    'The node gave the hash of block {block}, and calls the block finalized',
  ),
  notFinal: words(
    '节点给出了第 {block} 块的哈希，但说这一块还没有最终确定，以后可能被换掉',
    'The node gave the hash of block {block}, but does not call it finalized yet: it may still be replaced',
  ),
  finalUnknown: words(
    '节点给出了第 {block} 块的哈希，但没有说它是否已经最终确定',
    'The node gave the hash of block {block}, but does not say whether it is finalized',
  ),
  otherChain: words(
    '没有比对：这个节点属于 {other}，不是 {chain}',
    'Not compared: the node is of {other}, not of {chain}',
  ),
  unknown: words('没有比对：节点不认识第 {block} 块', 'Not compared: the node knows no block {block}'),
  otherBlock: words(
    '没有比对：问的是第 {block} 块，节点答的是另一块',
    'Not compared: asked for block {block}, the node answered with another one',
  ),
  trouble: words('没有比对：节点没有给出可用的回答', 'Not compared: {why}'),
} as const;
