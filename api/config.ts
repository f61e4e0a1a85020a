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
}

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
  if (problems.length) throw new Error(problems.join('; '));
  return config;
}

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
