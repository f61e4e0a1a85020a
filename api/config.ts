import { isIP } from 'node:net';

/** What the process is told by its environment. */
export interface Config {
  databaseUrl: string;
  /**
   * The owner's connection string, for migrations only: then databaseUrl is of a login that is a member of yaoji_app and of
   * nothing else. undefined: databaseUrl is the owner's, and everything but migrations takes on the role yaoji_app.
   */
  ownerUrl: string | undefined;
  /** path of the ledger's connection profile */
  ledgerProfile: string;
  /** folder of the hosted stations' keys */
  stationKeys: string;
  host: string;
  /** 0: a free one */
  port: number;
  /** what the QR says before /p/; undefined: this server's own address */
  publicUrl: string | undefined;
  production: boolean;
  /** whether /docs is served in production too */
  docs: boolean;
  /** the addresses or networks of the proxies in front of us, whose X-Forwarded-For is believed */
  trustProxy: string[];
  /** how many events may wait for their verdicts before no more are taken */
  mostPending: number;
  /** how many organisations must sign a view; not said: as many as endorse a transaction */
  viewers?: number;
  /** where the logs' checkpoints are published; not said: nowhere */
  chain?: ChainConfig;
}

/** The chain, the contract on it, and who signs. */
export interface ChainConfig {
  /** URL of a node's JSON-RPC; it may hold a key, so it is never quoted */
  rpc: string;
  /** the chain's id (EIP-155) */
  id: number;
  /** the contract's address, 0x and lower hex */
  contract: string;
  /** path of the file with the operator's key, or the URL of a signer that holds it */
  key: { file: string } | { signer: string };
  /** ms from one anchor to the next */
  every: number;
  /** after how many further blocks a block is final; not said: what the node calls `finalized` */
  confirmations?: number;
}

/** The id of development chains: one operator runs them. */
export const DEVELOPMENT_CHAIN = 31_337;

/** Reads the environment once. Throws one sentence that names every setting that is missing or unusable. */
export function readConfig(env: NodeJS.ProcessEnv): Config {
  const problems: string[] = [];
  const needed = (name: string, what: string): string => {
    const value = env[name];
    if (!value) problems.push(`${name} is missing: ${what}`);
    return value ?? '';
  };
  const config: Config = {
    databaseUrl: needed('DATABASE_URL', 'a PostgreSQL connection string, version 15 or later'),
    ownerUrl: env['DATABASE_OWNER_URL'] || undefined,
    ledgerProfile: needed('LEDGER_PROFILE', "the path of the ledger's connection profile (network.json)"),
    stationKeys: needed('STATION_KEYS', "a folder for the hosted stations' keys"),
    host: env['HOST'] || '127.0.0.1',
    port: Number(env['PORT'] || 0),
    publicUrl: env['PUBLIC_URL']?.replace(/\/+$/, '') || undefined,
    production: env['NODE_ENV'] === 'production',
    docs: env['DOCS'] === 'on',
    trustProxy: (env['TRUST_PROXY'] ?? '').split(',').flatMap((name) => name.trim() || []),
    mostPending: Number(env['MOST_PENDING'] || 100_000),
    ...(env['VIEWERS'] ? { viewers: Number(env['VIEWERS']) } : {}),
  };
  if (!Number.isInteger(config.port) || config.port < 0 || config.port > 65_535)
    problems.push(`PORT is not a port: ${env['PORT']}`);
  if (config.publicUrl !== undefined && !/^https?:\/\/[^\s?#]+$/.test(config.publicUrl))
    problems.push(`PUBLIC_URL is not an http(s) URL: ${config.publicUrl}`);
  for (const proxy of config.trustProxy)
    if (!isNetwork(proxy)) problems.push(`TRUST_PROXY is not a list of addresses: ${proxy}`);
  if (!Number.isSafeInteger(config.mostPending) || config.mostPending < 1)
    problems.push(`MOST_PENDING is not a number of events: ${env['MOST_PENDING']}`);
  if (config.viewers !== undefined && (!Number.isSafeInteger(config.viewers) || config.viewers < 1))
    problems.push(`VIEWERS is not a number of organisations: ${env['VIEWERS']}`);
  const chain = readChain(env, config.production, problems);
  if (chain) config.chain = chain;
  if (problems.length) throw new Error(problems.join('; '));
  return config;
}

const CHAIN = {
  CHAIN_RPC: "the URL of a node's JSON-RPC",
  CHAIN_ID: "the chain's id, decimal",
  CHAIN_CONTRACT: "the contract's address, 0x and 40 hex digits",
};
const URL_FORM = /^https?:\/\/\S+$/;

/** undefined: no chain is wanted, or `problems` says what is missing or unusable. */
function readChain(env: NodeJS.ProcessEnv, production: boolean, problems: string[]): ChainConfig | undefined {
  const names = [...Object.keys(CHAIN), 'CHAIN_KEY', 'CHAIN_SIGNER'];
  if (!names.some((name) => env[name])) return undefined;
  const before = problems.length;
  for (const [name, what] of Object.entries(CHAIN))
    if (!env[name]) problems.push(`${name} is missing: ${what}`);
  const { CHAIN_RPC: rpc = '', CHAIN_KEY: file, CHAIN_SIGNER: signer } = env;
  const contract = env['CHAIN_CONTRACT']?.toLowerCase() ?? '';
  const id = Number(env['CHAIN_ID']);
  const seconds = Number(env['ANCHOR_EVERY'] || 300);
  const confirmations = env['CHAIN_CONFIRMATIONS'] ? Number(env['CHAIN_CONFIRMATIONS']) : undefined;
  if (!file && !signer)
    problems.push("CHAIN_KEY is missing: the path of a file with the operator's key, or CHAIN_SIGNER");
  if (file && signer) problems.push('CHAIN_KEY and CHAIN_SIGNER are both set: one holds the key');
  if (rpc && !URL_FORM.test(rpc)) problems.push('CHAIN_RPC is not an http(s) URL');
  if (signer && !URL_FORM.test(signer)) problems.push('CHAIN_SIGNER is not an http(s) URL');
  if (env['CHAIN_ID'] && !isCount(id, 1)) problems.push(`CHAIN_ID is not a chain's id: ${env['CHAIN_ID']}`);
  if (contract && !/^0x[0-9a-f]{40}$/.test(contract))
    problems.push(`CHAIN_CONTRACT is not an address: ${contract}`);
  if (!isCount(seconds, 1)) problems.push(`ANCHOR_EVERY is not a number of seconds: ${env['ANCHOR_EVERY']}`);
  if (confirmations !== undefined && !isCount(confirmations, 0))
    problems.push(`CHAIN_CONFIRMATIONS is not a number of blocks: ${env['CHAIN_CONFIRMATIONS']}`);
  if (production && id === DEVELOPMENT_CHAIN)
    problems.push(`CHAIN_ID ${id} is a development chain, which one operator runs: production refuses it`);
  if (problems.length > before) return undefined;
  return {
    rpc,
    id,
    contract,
    key: signer ? { signer } : { file: file! },
    every: seconds * 1000,
    ...(confirmations === undefined ? {} : { confirmations }),
  };
}

const isCount = (value: number, least: number): boolean => Number.isSafeInteger(value) && value >= least;

/** Whether it is an IP address, or one with the length of its network. */
function isNetwork(text: string): boolean {
  const [address = '', length, ...more] = text.split('/');
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(address)] ?? -1;
  return (
    bits > 0 &&
    more.length === 0 &&
    (length === undefined || (/^[0-9]{1,3}$/.test(length) && Number(length) <= bits))
  );
}
