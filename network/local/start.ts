import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import { Server, ServerCredentials } from '@grpc/grpc-js';
import { gateway, peer } from '@hyperledger/fabric-protos';

import { startChaincodeServer, type ChaincodeServer } from '../chaincode-server.ts';
import { newMembership } from '../identities/membership.ts';
import { openOrganisation, type OrganisationIdentities } from '../identities/organisation.ts';
import { writeProfile } from '../profile.ts';
import { ChaincodeStream } from './chaincode-stream.ts';
import { newDeliver } from './deliver.ts';
import { Endorser } from './endorser.ts';
import { Faults } from './faults.ts';
import { newGateway } from './gateway.ts';
import { Ledger } from './ledger.ts';
import { CHAINCODE, CHANNEL } from './names.ts';
import { DEFAULT_ORGANISATIONS, type Organisation } from '../organisations.ts';
import { checkSingleProtos } from './single-protos.ts';

export interface LocalLedgerOptions {
  /** Holds everything: keys, blocks, the profile. The same folder gives the same ledger again. */
  readonly folder: string;
  /** The contract's package: its package.json's `main` exports `contracts`. */
  readonly chaincode: string;
  /** The gateway's port on 127.0.0.1; 0 or none: a free one. */
  readonly port?: number;
  readonly organisations?: readonly Organisation[];
}

export interface RunningLedger {
  /** Path of network.json, for `readProfile`. */
  readonly profile: string;
  readonly port: number;
  /** The number of blocks found at the start. */
  readonly height: number;
  /** Answers, with the reason, when the disk has refused a block: the ledger accepts nothing more and must be stopped. */
  readonly failed: Promise<Error>;
  /** What it is to do wrong; nothing, until somebody says so. */
  readonly faults: Faults;
  /** The contract's process as of now. */
  chaincodePid(): number | undefined;
  /** Commits what was accepted and leaves nothing running. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
// A message carries at most an envelope of 10 MB and what wraps it.
const LARGEST_MESSAGE_BYTES = 11 * 1024 * 1024;

/**
 * Starts the local ledger: one process that holds every organisation's keys and speaks Fabric's protocols on 127.0.0.1.
 * For development only; throws in production.
 */
export async function startLocalLedger(options: LocalLedgerOptions): Promise<RunningLedger> {
  if (process.env['NODE_ENV'] === 'production') {
    throw new Error(
      'the local ledger is for development: in production, connect to a Hyperledger Fabric network',
    );
  }
  checkSingleProtos();
  const folder = resolve(options.folder);
  const members = options.organisations ?? DEFAULT_ORGANISATIONS;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const organisations = await openOrganisations(folder, members);
  const rules = {
    members: newMembership(new Map(organisations.map(({ mspId, ca }) => [mspId, ca]))),
    // Fabric's default policy, MAJORITY Endorsement.
    endorsements: Math.floor(organisations.length / 2) + 1,
  };
  const faults = new Faults();
  const ledger = await Ledger.open(join(folder, 'blocks'), rules, organisations, faults);
  const { height } = ledger;
  const failed = new Promise<Error>((fail) => ledger.once('failed', fail));
  const chaincode = await startChaincode(resolve(options.chaincode), folder).catch(async (error: unknown) => {
    await ledger.close();
    throw error;
  });
  const streams = organisations.map(() => new ChaincodeStream(chaincode.address));
  const server = newServer(ledger, rules, organisations, streams, faults);
  const stop = async (): Promise<void> => {
    server.forceShutdown();
    await Promise.all(streams.map((stream) => stream.close()));
    await chaincode.stop();
    await ledger.close();
  };
  try {
    await Promise.all(streams.map((stream) => stream.connect()));
    const port = await listen(server, options.port ?? 0);
    const profile = join(folder, 'network.json');
    writeProfile(profile, {
      channel: CHANNEL,
      chaincode: CHAINCODE,
      development: true,
      endorsements: rules.endorsements,
      organisations: organisations.map(({ mspId, ca, clients, kind }) => ({
        mspId,
        kind,
        gateway: `${HOST}:${port}`,
        ca,
        identities: clients,
      })),
    });
    return { profile, port, height, failed, faults, chaincodePid: () => chaincode.pid(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

type OpenOrganisation = OrganisationIdentities & Organisation;

async function openOrganisations(
  folder: string,
  members: readonly Organisation[],
): Promise<OpenOrganisation[]> {
  return Promise.all(
    members.map(async (member) => ({
      ...(await openOrganisation(join(folder, 'organisations', member.mspId), member.mspId)),
      ...member,
    })),
  );
}

async function startChaincode(folder: string, dataFolder: string): Promise<ChaincodeServer> {
  if (!existsSync(join(folder, 'package.json'))) throw new Error(`${folder} holds no chaincode package`);
  return startChaincodeServer({ folder, id: `${CHAINCODE}:local`, log: join(dataFolder, 'chaincode.log') });
}

function newServer(
  ledger: Ledger,
  { members, endorsements }: { members: ReturnType<typeof newMembership>; endorsements: number },
  organisations: readonly OrganisationIdentities[],
  streams: readonly ChaincodeStream[],
  faults: Faults,
): Server {
  const endorsers = organisations.flatMap((organisation, index) => {
    const stream = streams[index];
    return stream ? [new Endorser(organisation, ledger, members, stream, faults)] : [];
  });
  const server = new Server({
    'grpc.max_receive_message_length': LARGEST_MESSAGE_BYTES,
    'grpc.max_send_message_length': -1,
  });
  server.addService(gateway.GatewayService, newGateway({ ledger, members, faults, endorsers, endorsements }));
  server.addService(peer.DeliverService, newDeliver(ledger, members, faults));
  return server;
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolvePort, reject) => {
    server.bindAsync(`${HOST}:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolvePort(bound);
    });
  });
}
