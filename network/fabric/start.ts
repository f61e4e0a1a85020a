import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import { resolve } from 'node:path';

import { DEFAULT_ORGANISATIONS, type Organisation } from '../organisations.ts';
import { writeProfile } from '../profile.ts';
import { admitMember } from './admit.ts';
import { findBinaries, type Binaries } from './binaries.ts';
import { makeGenesis } from './channel.ts';
import { Deployment } from './deployment.ts';
import { dismissMember } from './dismiss.ts';
import { joinChannel, nodesAreHealthy } from './join.ts';
import {
  CHAINCODE,
  CHANNEL,
  gatewayOf,
  majorityOf,
  newLayout,
  placesIn,
  readLayout,
  writeLayout,
  type NetworkLayout,
  type Ordering,
  type Places,
} from './layout.ts';
import { openMembers, type Member } from './members.ts';
import { newOrderer, newPeer, prepareNodes } from './nodes.ts';
import { HOST, isFree } from './ports.ts';
import { networkIsReady } from './ready.ts';
import { Supervisor } from './supervisor.ts';
import { Tools } from './tools.ts';

export interface FabricOptions {
  /** Holds everything: keys, ledgers, the profile. The same folder gives the same network again. */
  readonly folder: string;
  /** The contract's package: its package.json's `main` exports `contracts`. */
  readonly chaincode: string;
  /** The members of a new network; four of them if not said. A network that is there keeps its own. */
  readonly organisations?: readonly Organisation[] | undefined;
  /** How a new network orders; bft if not said. A network that is there keeps its own. */
  readonly ordering?: Ordering | undefined;
  /** Told what happens, a line at a time. */
  readonly log: (line: string) => void;
  /** Ends a start that takes too long for whoever asked for it. */
  readonly signal?: AbortSignal;
}

export interface RunningNetwork {
  /** Path of network.json, for `readProfile`. */
  readonly profile: string;
  /** Answers when the network's processes are supervised no more: it must be stopped. */
  readonly failed: Promise<Error>;
  /**
   * Has the organisations agree upon the contract as it is compiled now, unless they have, and answers with the sequence
   * of its definition. The contract goes on answering meanwhile.
   */
  deploy(chaincode: string): Promise<number>;
  /** Takes another member in; answers when its orderer orders and its peer endorses with the others'. */
  add(organisation: Organisation): Promise<void>;
  /** Takes a member out; answers when those that stay endorse. */
  remove(mspId: string): Promise<void>;
  /** Leaves nothing running and the data where they are. */
  stop(): Promise<void>;
}

/**
 * Starts a real Hyperledger Fabric network on this machine: for each member an orderer, a peer and a process of the
 * contract, on 127.0.0.1, with mutual TLS. Answers when the peers of all members have endorsed a call of the contract. When
 * it fails it leaves nothing running.
 */
export async function startFabric(options: FabricOptions): Promise<RunningNetwork> {
  const { log } = options;
  const binaries = await findBinaries();
  log(`Hyperledger Fabric: peer ${binaries.versions.peer}, orderer ${binaries.versions.orderer}`);
  const places = placesIn(resolve(options.folder));
  const layout = await openLayout(places, options);
  const members = await openMembers(places, layout.members, log);
  const tools = new Tools(binaries, places);
  await prepare(tools, binaries, places, layout, members);
  const supervisor = await Supervisor.takeCharge(places, log);
  const deployment = new Deployment({ tools, places, members }, supervisor, log);
  const parts = { tools, binaries, places, supervisor, deployment, members, log };
  const bringUp = async (): Promise<void> => {
    await startNodes(supervisor, binaries, places, layout, members);
    await nodesAreHealthy(members);
    log('orderers and peers run');
    await joinChannel(tools, places, layout, members);
    log('all have joined the channel');
    await deployment.deploy(resolve(options.chaincode));
    await networkIsReady(members);
    saveProfile(places, members);
    log('all members endorse');
  };
  try {
    await unlessAborted(bringUp(), options.signal);
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  return {
    profile: places.profile,
    failed: supervisor.failed,
    deploy: (chaincode) => deployment.deploy(resolve(chaincode)),
    async add(organisation) {
      members.push(await admitMember(parts, organisation));
      await networkIsReady(members);
      saveProfile(places, members);
    },
    async remove(mspId) {
      await dismissMember(parts, mspId);
      const staying = members.filter((member) => member.layout.mspId !== mspId);
      members.splice(0, members.length, ...staying);
      await networkIsReady(members);
      saveProfile(places, members);
    },
    stop: () => supervisor.stop(),
  };
}

/** Waits for work, but not after the signal: then it throws the signal's reason, and nobody hears how the work ended. */
async function unlessAborted(work: Promise<void>, signal?: AbortSignal): Promise<void> {
  if (!signal) return work;
  signal.throwIfAborted();
  const aborted = once(signal, 'abort').then(() => signal.throwIfAborted());
  work.catch(() => {});
  await Promise.race([work, aborted]);
}

async function openLayout(places: Places, options: FabricOptions): Promise<NetworkLayout> {
  const { organisations, ordering } = options;
  const found = readLayout(places);
  if (!found) {
    const layout = await newLayout(organisations ?? DEFAULT_ORGANISATIONS, ordering ?? 'bft');
    writeLayout(places, layout);
    return layout;
  }
  const say = (list: readonly Organisation[]): string =>
    list.map(({ mspId, kind }) => `${mspId}:${kind}`).join(',');
  if (organisations && say(organisations) !== say(found.members)) {
    throw new Error(
      `${places.folder} holds a network of ${say(found.members)}; take another folder for other members`,
    );
  }
  if (ordering && ordering !== found.ordering) {
    throw new Error(
      `${places.folder} holds a network with ${found.ordering} ordering; take another folder for ${ordering}`,
    );
  }
  return found;
}

async function prepare(
  tools: Tools,
  binaries: Binaries,
  places: Places,
  layout: NetworkLayout,
  members: readonly Member[],
): Promise<void> {
  prepareNodes(binaries, places);
  if (!existsSync(places.genesis)) await makeGenesis(tools, places, layout, members);
}

async function startNodes(
  supervisor: Supervisor,
  binaries: Binaries,
  places: Places,
  layout: NetworkLayout,
  members: readonly Member[],
): Promise<void> {
  await checkPorts(layout);
  for (const member of members) {
    supervisor.run(newOrderer(binaries, places, member));
    supervisor.run(newPeer(binaries, places, member));
  }
}

// The ports are written into the channel, so they cannot simply be others this time.
async function checkPorts({ members }: NetworkLayout): Promise<void> {
  for (const { mspId, orderer, peer } of members) {
    for (const port of [...Object.values(orderer), ...Object.values(peer)] as number[]) {
      if (!(await isFree(port))) {
        throw new Error(`port ${port} of ${HOST}, which is ${mspId}'s, is in use by another program`);
      }
    }
  }
}

/** Writes the profile that clients reach the network by. */
function saveProfile(places: Places, members: readonly Member[]): void {
  writeProfile(places.profile, {
    channel: CHANNEL,
    chaincode: CHAINCODE,
    development: false,
    endorsements: majorityOf(members.length),
    organisations: members.map(({ layout, identities }) => ({
      mspId: layout.mspId,
      kind: layout.kind,
      gateway: gatewayOf(layout),
      ca: readFileSync(identities.ca.certificate, 'utf8'),
      tls: identities.tlsCa.certificate,
      client: identities.clientTls,
      identities: { service: identities.service, admin: identities.admin },
    })),
  });
}
