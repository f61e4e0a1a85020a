import { join } from 'node:path';
import { DEVELOPMENT_CHAIN } from '@yaoji/api/config';
import { startChain, type DevelopmentChain } from './chain.ts';

// What an instance's API is told about the chain.

/** Where an instance anchors: nowhere, or on a development chain unless the environment names another in CHAIN_RPC. */
export type ChainKind = 'development' | 'none';

/** Reads what `--chain` takes. Throws for anything else. */
export function toChainKind(text: string): ChainKind {
  if (text !== 'development' && text !== 'none') throw new Error('--chain takes development or none');
  return text;
}

const NAMES = [
  'CHAIN_RPC',
  'CHAIN_ID',
  'CHAIN_CONTRACT',
  'CHAIN_KEY',
  'CHAIN_SIGNER',
  'CHAIN_CONFIRMATIONS',
  'ANCHOR_EVERY',
];
/** Seconds from anchor to anchor: whoever watches an instance sees one soon. */
const ANCHOR_EVERY = '60';

/** The environment without what it says about a chain. */
export const withoutChain = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(env).filter(([name]) => !NAMES.includes(name)));

/** The settings of an instance in this folder, and the chain that was started for them, if one was. */
export async function chainSettings(
  kind: ChainKind,
  folder: string,
  log: (line: string) => void,
): Promise<{ env: NodeJS.ProcessEnv; chain?: DevelopmentChain }> {
  if (kind === 'none') return { env: {} };
  const { CHAIN_RPC, ANCHOR_EVERY: every = ANCHOR_EVERY } = process.env;
  if (CHAIN_RPC) {
    const named = NAMES.map((name) => [name, process.env[name]]);
    return { env: { ...Object.fromEntries(named), ANCHOR_EVERY: every } };
  }
  const chain = await startChain({
    folder: join(folder, 'chain'),
    logFile: join(folder, 'log', 'chain.log'),
    log,
  });
  if (!chain) return { env: {} };
  const env = {
    CHAIN_RPC: chain.rpc,
    CHAIN_ID: String(DEVELOPMENT_CHAIN),
    CHAIN_CONTRACT: chain.contract,
    CHAIN_KEY: chain.keyFile,
    ANCHOR_EVERY: every,
  };
  return { env, chain };
}

/** In words where anchors go. A node's URL may hold a key, so it is not said. */
export function describeChain({ CHAIN_ID: id, CHAIN_CONTRACT: contract }: NodeJS.ProcessEnv): string {
  if (id === undefined) return 'none: nothing is anchored';
  return `${id}, contract ${contract}${Number(id) === DEVELOPMENT_CHAIN ? ' (development)' : ''}`;
}
