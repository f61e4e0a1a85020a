import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseToken, type Trust } from '@yaoji/chaincode/core';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { Client } from 'pg';
import { connectChain } from './chain/chain.ts';
import { connectRpc } from './chain/rpc.ts';
import { endpointSigner, fileSigner } from './chain/signers.ts';
import { connectLedger } from './ledger/connect.ts';
import { paceOf, startAnchorer, type Anchorer } from './pipeline/anchor.ts';
import { Backlog } from './pipeline/backlog.ts';
import { Decisions, type Pipeline } from './pipeline/context.ts';
import { startFollower, type Follower } from './pipeline/follow.ts';
import { enrolStation, registerDevice, revokeStation } from './pipeline/enrol.ts';
import { hostedKeysIn } from './pipeline/hosted-keys.ts';
import { packagePage } from './pipeline/page.ts';
import { prove, recentViews } from './pipeline/prove.ts';
import { receiptsOf } from './pipeline/receipts.ts';
import { receive } from './pipeline/receive.ts';
import { ShortMemory } from './pipeline/short-memory.ts';
import { startWorker, type Worker } from './pipeline/worker.ts';
import { anchorState, type AnchorPlace } from './store/anchors.ts';
import { findApiKey } from './store/api-keys.ts';
import { stoppedLogs } from './store/batches.ts';
import { countPending } from './store/queue.ts';
import { migrate } from './store/migrate.ts';
import { openPool } from './store/pool.ts';
import { isStoreUnavailable } from './store/unavailable.ts';
import { DEVELOPMENT_CHAIN, type ChainConfig, type Config } from './config.ts';
import { ChainAbsent, QueueFull, StoreUnavailable, type Health, type Service } from './service.ts';

/** The service with everything it started. */
export interface RunningService {
  service: Service;
  stop: () => Promise<void>;
}

/** What the pipeline and the store tell: one structured line each. */
export type Log = Pipeline['log'];

/**
 * Migrates the store, connects the ledger and starts the workers: the one place that news things up. `publicUrl` is asked
 * for when it is needed, since a free port is known only after listening.
 */
export async function startService(
  config: Config,
  publicUrl: () => string,
  log: Log,
): Promise<RunningService> {
  const profile = readProfile(config.ledgerProfile);
  if (profile.development && config.production)
    throw new Error(
      'this is a development ledger, where one operator holds every key: production refuses it',
    );

  const { viewers = profile.endorsements } = config;
  if (viewers < profile.endorsements || viewers > profile.organisations.length)
    throw new Error(
      `VIEWERS must be from ${profile.endorsements}, which verifiers ask for, to ${profile.organisations.length}: ${viewers}`,
    );

  const { chain } = config;
  const ledger = connectLedger(profile, { viewers, log });
  await migrateStore(config.ownerUrl ?? config.databaseUrl, log);
  const onError = (error: Error): void =>
    log({ level: 'warn', what: 'store connection lost', why: error.message });
  const pool = openPool(config.databaseUrl, {
    ...(config.ownerUrl === undefined ? { role: 'yaoji_app' } : {}),
    max: 20,
    onError,
  });
  let worker: Worker | undefined;
  const pipeline: Pipeline = {
    pool,
    ledger,
    keys: hostedKeysIn(config.stationKeys),
    decisions: new Decisions(),
    now: Date.now,
    mirrored: new Set(),
    views: recentViews(Date.now),
    ...(chain ? { anchors: placeOf(chain) } : {}),
    nudge: (org) => worker?.nudge(org),
    failing: (org) => worker?.failing(org) ?? false,
    log,
  };
  worker = startWorker(pipeline);
  const follower = startFollower(pipeline);
  const anchorer = chain && anchor(pipeline, chain);
  return {
    service: newService({ pipeline, worker, follower, anchorer }, trustOf(profile, chain), config, publicUrl),
    async stop() {
      await Promise.all([worker.stop(), follower.stop(), anchorer?.stop()]);
      ledger.close();
      await pool.end();
    },
  };
}

const placeOf = ({ id, contract }: Pick<ChainConfig, 'id' | 'contract'>): AnchorPlace => ({
  chain: `eip155:${id}`,
  contract,
});

/** Starts the loop that anchors. Nothing is asked of the chain here: whether it is there is none of a start's business. */
function anchor(pipeline: Pipeline, { rpc, key, every, ...place }: ChainConfig): Anchorer {
  const connect: Parameters<typeof startAnchorer>[1] = (signal) => {
    const signer =
      'file' in key
        ? fileSigner(key.file)
        : endpointSigner(connectRpc(key.signer, { signal, who: 'signer' }));
    return connectChain(connectRpc(rpc, { signal }), signer, place);
  };
  return startAnchorer(pipeline, connect, paceOf(every, place.id === DEVELOPMENT_CHAIN));
}

/** How long a start waits for the store, ms: after a restart of everything it may be the last to be up. */
const PATIENCE = 60_000;

async function migrateStore(url: string, log: Log): Promise<void> {
  for (const end = Date.now() + PATIENCE; ; await sleep(500)) {
    try {
      await migrateNow(url, log);
      return;
    } catch (error) {
      if (!isStoreUnavailable(error) || Date.now() > end) throw error;
      log({ level: 'warn', what: 'the store is not there yet', why: (error as Error).message });
    }
  }
}

async function migrateNow(url: string, log: Log): Promise<void> {
  const owner = new Client({ connectionString: url });
  await owner.connect();
  try {
    for (const name of await migrate(owner)) log({ level: 'info', what: 'migrated', name });
  } finally {
    await owner.end();
  }
}

/** A verb that needs the store, with the service's own word for a store that is out. */
const storing =
  <Arguments extends unknown[], Answer>(
    verb: (...args: Arguments) => Promise<Answer>,
  ): ((...args: Arguments) => Promise<Answer>) =>
  async (...args) => {
    try {
      return await verb(...args);
    } catch (error) {
      if (!isStoreUnavailable(error)) throw error;
      throw new StoreUnavailable('the store cannot be used now', { cause: error });
    }
  };

/** A scanner uses its key many times a second. One that is revoked may be used this much longer, ms. */
const KEY_GOOD_FOR = 1_000;

/** What runs. */
interface Parts {
  pipeline: Pipeline;
  worker: Worker;
  follower: Follower;
  anchorer: Anchorer | undefined;
}

function newService(parts: Parts, trust: Trust, { mostPending }: Config, publicUrl: () => string): Service {
  const { pipeline, anchorer } = parts;
  const { pool, anchors } = pipeline;
  const backlog = new Backlog(pool, mostPending);
  const keys = new ShortMemory<Awaited<ReturnType<typeof findApiKey>>>(KEY_GOOD_FOR, 1_000, Date.now);
  return {
    receive: storing(async (principal, items) => {
      if (await backlog.full()) throw new QueueFull(`more than ${mostPending} events have no verdict`);
      return receive(pipeline, principal, items);
    }),
    receipt: storing(async ({ org }, station, n) => {
      const found = (await receiptsOf(pool, [{ station, n }])).get(`${station} ${n}`);
      return found?.org === org ? found.receipt : undefined;
    }),
    bundle: storing((token, reader, nonce) => prove(pipeline, parseToken(token), reader, nonce)),
    packagePage: storing((token) => packagePage(pipeline, parseToken(token))),
    enrolStation: storing((principal, request) => enrolStation(pipeline, principal, request)),
    revokeStation: storing((principal, station) => revokeStation(pipeline, principal, station)),
    registerDevice: storing((principal, device) => registerDevice(pipeline, principal, device)),
    principal: storing(async (key) => {
      const name = createHash('sha256').update(key).digest('base64');
      const found = await keys.get(name, () => findApiKey(pool, key));
      // Whoever guesses must not push out what is known.
      if (!found) keys.forget(name);
      const kind = pipeline.ledger.profile.organisations.find(({ mspId }) => mspId === found?.org)?.kind;
      return found && kind && { ...found, kind };
    }),
    demandAnchor: storing(async () => {
      if (!anchorer) throw new ChainAbsent('no chain is configured');
      return anchorer.demand();
    }),
    anchor: storing(async (seq) => anchors && anchorState(pool, anchors, seq)),
    trust: () => trust,
    health: () => health(parts),
    get publicUrl() {
      return publicUrl();
    },
  };
}

async function health({ pipeline, worker, follower, anchorer }: Parts): Promise<Health> {
  const { pool, anchors } = pipeline;
  const ledger = follower.following() && !worker.failing();
  const trouble = anchorer?.trouble();
  const anchoring = anchors && { ...anchors, ...(trouble === undefined ? {} : { trouble }) };
  try {
    const [pending, stopped, newest] = await Promise.all([
      countPending(pool),
      stoppedLogs(pool),
      anchors && anchorState(pool, anchors),
    ]);
    const last = newest && { seq: newest.seq, state: newest.state };
    return { store: true, ledger, pending, stopped, ...(anchoring && { anchor: { ...anchoring, ...last } }) };
  } catch {
    return {
      store: false,
      ledger,
      pending: 0,
      stopped: [],
      ...(anchoring && { anchor: anchoring }),
    };
  }
}

/**
 * What a verifier of this ledger's bundles is to trust; on a development ledger no signature vouches for anybody else, and on a
 * development chain no block.
 */
export function trustOf(
  { channel, chaincode, development, endorsements, organisations }: NetworkProfile,
  chain?: Pick<ChainConfig, 'id' | 'contract'>,
): Trust {
  const always = ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'] as const;
  return {
    mediaType: 'application/vnd.yaoji.trust.v1+json',
    channel,
    chaincode,
    organisations: organisations.map(({ mspId, ca }) => ({ mspId, ca })),
    threshold: endorsements,
    required: development ? [...always] : [...always, 'endorsement', 'fresh'],
    development,
    ...(chain && {
      anchor: {
        ...placeOf(chain),
        development: chain.id === DEVELOPMENT_CHAIN,
        blocks: [],
      },
    }),
  };
}
