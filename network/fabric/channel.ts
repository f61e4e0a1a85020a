import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { flags } from '../flags.ts';
import { hostOf, type NetworkLayout, type Ordering, type Places } from './layout.ts';
import type { PublicMember } from './members.ts';
import type { Tools } from './tools.ts';

const PROFILE = 'Yaoji';

/** Makes block 0 of the channel. Later members join by a change of its configuration. */
export async function makeGenesis(
  tools: Tools,
  places: Places,
  { ordering }: NetworkLayout,
  members: readonly PublicMember[],
): Promise<void> {
  const unfinished = `${places.genesis}.new`;
  await makeBlock(tools, places.channel, unfinished, ordering, members);
  renameSync(unfinished, places.genesis);
}

/** Makes block 0 of such a channel as a file. The folder takes what configtxgen reads. */
export async function makeBlock(
  tools: Tools,
  folder: string,
  file: string,
  ordering: Ordering,
  members: readonly PublicMember[],
): Promise<void> {
  mkdirSync(folder, { recursive: true });
  writeConfigtx(folder, configtx(ordering, members));
  await tools.configtxgen(
    folder,
    ...flags({ '-profile': PROFILE, '-channelID': tools.channel, '-outputBlock': file }),
  );
}

// configtxgen reads YAML, and JSON is YAML.
function writeConfigtx(folder: string, content: object): void {
  writeFileSync(join(folder, 'configtx.yaml'), `${JSON.stringify(content, undefined, 2)}\n`);
}

/** The content of configtx.yaml for a new channel. */
export function configtx(ordering: Ordering, members: readonly PublicMember[]): object {
  return {
    Profiles: {
      [PROFILE]: {
        Policies: CHANNEL_POLICIES,
        Capabilities: ordering === 'bft' ? { V3_0: true } : { V2_0: true },
        Orderer: {
          Policies: { ...CHANNEL_POLICIES, BlockValidation: implicit('ANY Writers') },
          Capabilities: { V2_0: true },
          // BFT cuts blocks by RequestBatchMaxInterval and has no use for this.
          BatchTimeout: '100ms',
          BatchSize: { MaxMessageCount: 200, AbsoluteMaxBytes: '10 MB', PreferredMaxBytes: '2 MB' },
          Organizations: members.map(ordererOrganisation),
          ...(ordering === 'bft' ? smartBft(members) : etcdRaft(members)),
        },
        Application: {
          Policies: {
            ...CHANNEL_POLICIES,
            LifecycleEndorsement: implicit('MAJORITY Endorsement'),
            Endorsement: implicit('MAJORITY Endorsement'),
          },
          Capabilities: { V2_5: true },
          Organizations: members.map(peerOrganisation),
        },
      },
    },
  };
}

function smartBft(members: readonly PublicMember[]): object {
  return {
    OrdererType: 'BFT',
    SmartBFT: {
      // A lone transaction waits this long for company.
      RequestBatchMaxInterval: '100ms',
      RequestForwardTimeout: '1s',
      RequestComplainTimeout: '3s',
      RequestAutoRemoveTimeout: '3m',
      ViewChangeResendInterval: '1s',
      ViewChangeTimeout: '5s',
      LeaderHeartbeatTimeout: '5s',
      LeaderHeartbeatCount: 10,
      CollectTimeout: '1s',
      IncomingMessageBufferSize: 200,
      RequestPoolSize: 100_000,
    },
    ConsenterMapping: members.map(({ layout, identities }, i) => ({
      ID: i + 1,
      Host: hostOf(layout),
      Port: layout.orderer.listen,
      MSPID: identities.ordererMspId,
      Identity: identities.orderer.certificate,
      ClientTLSCert: identities.ordererTls.certificate,
      ServerTLSCert: identities.ordererTls.certificate,
    })),
  };
}

function etcdRaft(members: readonly PublicMember[]): object {
  return {
    OrdererType: 'etcdraft',
    EtcdRaft: {
      Options: {
        // Across hosts an answer takes longer.
        TickInterval: members.some(({ layout }) => layout.host) ? '500ms' : '100ms',
        ElectionTick: 10,
        HeartbeatTick: 1,
        MaxInflightBlocks: 5,
        SnapshotIntervalSize: '16 MB',
      },
      Consenters: members.map(({ layout, identities }) => ({
        Host: hostOf(layout),
        Port: layout.orderer.listen,
        ClientTLSCert: identities.ordererTls.certificate,
        ServerTLSCert: identities.ordererTls.certificate,
      })),
    },
  };
}

function ordererOrganisation({ layout, identities, msp }: PublicMember): object {
  const id = identities.ordererMspId;
  return {
    Name: id,
    ID: id,
    MSPDir: msp.ordererOrganisation,
    OrdererEndpoints: [`${hostOf(layout)}:${layout.orderer.listen}`],
    Policies: {
      Readers: signedBy(id, 'member'),
      Writers: signedBy(id, 'member'),
      Admins: signedBy(id, 'admin'),
      Endorsement: signedBy(id, 'member'),
    },
  };
}

function peerOrganisation({ layout, msp }: PublicMember): object {
  const id = layout.mspId;
  return {
    Name: id,
    ID: id,
    MSPDir: msp.organisation,
    Policies: {
      Readers: signedBy(id, 'admin', 'peer', 'client'),
      Writers: signedBy(id, 'admin', 'client'),
      Admins: signedBy(id, 'admin'),
      Endorsement: signedBy(id, 'peer'),
    },
    AnchorPeers: [{ Host: hostOf(layout), Port: layout.peer.listen }],
  };
}

const implicit = (Rule: string): object => ({ Type: 'ImplicitMeta', Rule });
const CHANNEL_POLICIES = {
  Readers: implicit('ANY Readers'),
  Writers: implicit('ANY Writers'),
  Admins: implicit('MAJORITY Admins'),
};

function signedBy(mspId: string, ...roles: readonly string[]): object {
  return { Type: 'Signature', Rule: `OR(${roles.map((role) => `'${mspId}.${role}'`).join(', ')})` };
}
