import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

import type { Command } from '../chaincode-server.ts';
import type { Binaries } from './binaries.ts';
import { hostOf, ordererNode, peerNode, type Places } from './layout.ts';
import type { Member } from './members.ts';
import { writeBuilder } from './package.ts';
import { HOST } from './ports.ts';

/** A process of the network: what it is called, and how it is started. */
export interface Node extends Command {
  readonly name: string;
}

// Every setting that matters is given here; core.yaml and orderer.yaml only have to be there.
const LOGGING = 'info:gossip=warning:comm.grpc.server=warning';

/** Writes what every node of a folder reads, whoever's it is. */
export function prepareNodes(binaries: Binaries, places: Places): void {
  mkdirSync(places.config, { recursive: true });
  for (const file of ['core.yaml', 'orderer.yaml']) {
    copyFileSync(join(binaries.config, file), join(places.config, file));
  }
  writeBuilder(places.builder);
}

/** A member's orderer. */
export function newOrderer(binaries: Binaries, places: Places, member: Member): Node {
  const { layout, identities, msp } = member;
  const { listen, operations, admin } = layout.orderer;
  const { ordererTls: tls, tlsCa } = identities;
  const name = ordererNode(layout);
  const data = places.data(name);
  const server = (prefix: string): NodeJS.ProcessEnv => ({
    [`${prefix}_TLS_ENABLED`]: 'true',
    [`${prefix}_TLS_PRIVATEKEY`]: tls.key,
    [`${prefix}_TLS_CERTIFICATE`]: tls.certificate,
    [`${prefix}_TLS_CLIENTAUTHREQUIRED`]: 'true',
    [`${prefix}_TLS_CLIENTROOTCAS`]: list(tlsCa.certificate),
  });
  return {
    name,
    command: binaries.path('orderer'),
    args: [],
    cwd: places.folder,
    env: {
      ...surroundings(places),
      ORDERER_GENERAL_LISTENADDRESS: layout.host?.listen ?? HOST,
      ORDERER_GENERAL_LISTENPORT: String(listen),
      ORDERER_GENERAL_LOCALMSPID: identities.ordererMspId,
      ORDERER_GENERAL_LOCALMSPDIR: msp.orderer,
      ...server('ORDERER_GENERAL'),
      // Where clients must show a certificate, the other policy's requests for missed blocks are refused ("client didn't
      // include its TLS cert hash", 3.1.5): an orderer that was away would never catch up. A quorum has signed each block.
      ORDERER_GENERAL_CLUSTER_REPLICATIONPOLICY: 'simple',
      ORDERER_GENERAL_TLS_ROOTCAS: list(tlsCa.certificate),
      ORDERER_GENERAL_BOOTSTRAPMETHOD: 'none',
      ORDERER_CHANNELPARTICIPATION_ENABLED: 'true',
      ORDERER_FILELEDGER_LOCATION: data,
      ORDERER_CONSENSUS_WALDIR: join(data, 'wal'),
      ORDERER_CONSENSUS_SNAPDIR: join(data, 'snapshots'),
      ORDERER_METRICS_PROVIDER: 'prometheus',
      ORDERER_OPERATIONS_LISTENADDRESS: `${HOST}:${operations}`,
      ...server('ORDERER_OPERATIONS'),
      ORDERER_ADMIN_LISTENADDRESS: `${HOST}:${admin}`,
      ...server('ORDERER_ADMIN'),
    },
  };
}

/** A member's peer. */
export function newPeer(binaries: Binaries, places: Places, member: Member): Node {
  const { layout, identities, msp } = member;
  const { listen, chaincode, operations } = layout.peer;
  const name = peerNode(layout);
  const data = places.data(name);
  const address = `${hostOf(layout)}:${listen}`;
  return {
    name,
    command: binaries.path('peer'),
    args: ['node', 'start'],
    cwd: places.folder,
    env: {
      ...surroundings(places),
      ...peerTls(member, identities.peerTls),
      CORE_PEER_ID: `${name}.${layout.mspId}`,
      CORE_PEER_LOCALMSPID: layout.mspId,
      CORE_PEER_MSPCONFIGPATH: msp.peer,
      CORE_PEER_ADDRESS: address,
      CORE_PEER_LISTENADDRESS: `${layout.host?.listen ?? HOST}:${listen}`,
      CORE_PEER_CHAINCODEADDRESS: `${HOST}:${chaincode}`,
      CORE_PEER_CHAINCODELISTENADDRESS: `${HOST}:${chaincode}`,
      CORE_PEER_GOSSIP_BOOTSTRAP: address,
      CORE_PEER_GOSSIP_EXTERNALENDPOINT: address,
      // Peers that start together find one another only when they try again: with the defaults, after 25 seconds.
      CORE_PEER_GOSSIP_RECONNECTINTERVAL: '2s',
      CORE_PEER_GOSSIP_ALIVETIMEINTERVAL: '2s',
      CORE_PEER_GOSSIP_PUBLISHSTATEINFOINTERVAL: '1s',
      CORE_PEER_GOSSIP_REQUESTSTATEINFOINTERVAL: '1s',
      // Whoever is cut off is not asked for an endorsement for long, and not waited for longer than a client waits.
      CORE_PEER_GOSSIP_ALIVEEXPIRATIONTIMEOUT: '10s',
      CORE_PEER_GATEWAY_ENDORSEMENTTIMEOUT: '10s',
      // A peer has its blocks from one orderer. If that one is cut off, it learns from the others' headers that it misses some;
      // by default after 30 seconds. Nor does it wait an hour to try again, as by default it may after a long time alone.
      CORE_PEER_DELIVERYCLIENT_BLOCKCENSORSHIPTIMEOUTKEY: '5s',
      CORE_PEER_DELIVERYCLIENT_RECONNECTBACKOFFTHRESHOLD: '10s',
      // What only an organisation's own peer had, an approval's private part, no other peer has: one that begins again from
      // nothing would ask for it a minute long for each.
      CORE_PEER_GOSSIP_PVTDATA_PULLRETRYTHRESHOLD: '1s',
      // A client's time is the transaction's, and with it the time of what was done.
      CORE_PEER_AUTHENTICATION_TIMEWINDOW: '2m',
      CORE_PEER_FILESYSTEMPATH: data,
      // A key's past is asked for in the logs, which commit to it.
      CORE_LEDGER_HISTORY_ENABLEHISTORYDATABASE: 'false',
      CORE_LEDGER_SNAPSHOTS_ROOTDIR: join(data, 'snapshots'),
      CORE_LEDGER_STATE_STATEDATABASE: 'goleveldb',
      // CORE_CHAINCODE_KEEPALIVE stays 0: a keep-alive message ends a Node chaincode (fabric-shim 2.5.8).
      CORE_CHAINCODE_EXTERNALBUILDERS: JSON.stringify([{ name: 'ccaas', path: places.builder }]),
      // Empty: no Docker, and no health check of it.
      CORE_VM_ENDPOINT: '',
      CORE_METRICS_PROVIDER: 'prometheus',
      CORE_OPERATIONS_LISTENADDRESS: `${HOST}:${operations}`,
      CORE_OPERATIONS_TLS_ENABLED: 'true',
      CORE_OPERATIONS_TLS_CERT_FILE: identities.peerTls.certificate,
      CORE_OPERATIONS_TLS_KEY_FILE: identities.peerTls.key,
      CORE_OPERATIONS_TLS_CLIENTAUTHREQUIRED: 'true',
      CORE_OPERATIONS_TLS_CLIENTROOTCAS_FILES: fromConfig(layout.mspId, 'tls-ca.pem'),
    },
  };
}

/** The environment of Fabric's `peer` command when a member's administrator calls the member's own peer. */
export function administrator(places: Places, member: Member): NodeJS.ProcessEnv {
  const { layout, identities, msp } = member;
  return {
    ...surroundings(places),
    ...peerTls(member, identities.clientTls),
    FABRIC_LOGGING_SPEC: 'warning',
    CORE_PEER_LOCALMSPID: layout.mspId,
    CORE_PEER_MSPCONFIGPATH: msp.admin,
    CORE_PEER_ADDRESS: `${hostOf(layout)}:${layout.peer.listen}`,
  };
}

function surroundings(places: Places): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env;
  return { PATH, HOME, TMPDIR, FABRIC_CFG_PATH: places.config, FABRIC_LOGGING_SPEC: LOGGING };
}

function peerTls(
  { layout, identities }: Member,
  tls: { readonly certificate: string; readonly key: string },
): NodeJS.ProcessEnv {
  return {
    CORE_PEER_TLS_ENABLED: 'true',
    CORE_PEER_TLS_CERT_FILE: tls.certificate,
    CORE_PEER_TLS_KEY_FILE: tls.key,
    CORE_PEER_TLS_ROOTCERT_FILE: identities.tlsCa.certificate,
    CORE_PEER_TLS_CLIENTAUTHREQUIRED: 'true',
    CORE_PEER_TLS_CLIENTROOTCAS_FILES: fromConfig(layout.mspId, 'tls-ca.pem'),
    CORE_PEER_TLS_CLIENTCERT_FILE: tls.certificate,
    CORE_PEER_TLS_CLIENTKEY_FILE: tls.key,
  };
}

const list = (file: string): string => `[${file}]`;

// The peer splits this list at spaces, which the folder's own path may have; so it is named from the config folder.
const fromConfig = (mspId: string, file: string): string => join('..', 'organisations', mspId, file);
