import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { connect, hash, type Contract, type Gateway, type Network } from '@hyperledger/fabric-gateway';
import type { NetworkProfile, ProfileOrganisation } from '@yaoji/network/profile';
import { signerOf } from './signer.ts';

/** One organisation's door to the ledger, as one of its identities. */
export interface Door {
  org: string;
  contract: Contract;
  network: Network;
  gateway: Gateway;
}

/** The ledger as this service reaches it: one gateway connection per organisation, made on first use. */
export interface Ledger {
  profile: NetworkProfile;
  /** Throws for an organisation that the profile does not name. */
  door(org: string, identity?: 'service' | 'admin'): Door;
  close(): void;
}

// How long each phase may take, ms. After any of them the fate of a transaction is asked for by its id.
const EVALUATE = 5_000;
const ENDORSE = 15_000;
const SUBMIT = 10_000;
const COMMIT = 15_000;

/** Connections are lazy: an unreachable ledger shows at the first call, never here. */
export function connectLedger(profile: NetworkProfile): Ledger {
  const clients = new Map<string, grpc.Client>();
  const doors = new Map<string, Door>();

  function clientOf(organisation: ProfileOrganisation): grpc.Client {
    let client = clients.get(organisation.mspId);
    if (!client) {
      const credentials = organisation.tls
        ? grpc.credentials.createSsl(readFileSync(organisation.tls))
        : grpc.credentials.createInsecure();
      client = new grpc.Client(organisation.gateway, credentials, {
        'grpc.max_receive_message_length': 64 << 20,
        'grpc.max_send_message_length': 64 << 20,
        // gRPC's own back-off would leave the client down for seconds after its peer is up again.
        'grpc.initial_reconnect_backoff_ms': 100,
        'grpc.max_reconnect_backoff_ms': 1000,
      });
      clients.set(organisation.mspId, client);
    }
    return client;
  }

  return {
    profile,
    door(org, identity = 'service') {
      const id = `${org} ${identity}`;
      let door = doors.get(id);
      if (!door) {
        const organisation = profile.organisations.find(({ mspId }) => mspId === org);
        if (!organisation) throw new Error(`the connection profile has no organisation ${org}`);
        const { certificate, key } = organisation.identities[identity];
        const within = (ms: number) => () => ({ deadline: Date.now() + ms });
        const gateway = connect({
          client: clientOf(organisation),
          identity: { mspId: org, credentials: readFileSync(certificate) },
          signer: signerOf(createPrivateKey(readFileSync(key))),
          // The signer takes whole messages.
          hash: hash.none,
          evaluateOptions: within(EVALUATE),
          endorseOptions: within(ENDORSE),
          submitOptions: within(SUBMIT),
          commitStatusOptions: within(COMMIT),
        });
        const network = gateway.getNetwork(profile.channel);
        door = { org, gateway, network, contract: network.getContract(profile.chaincode) };
        doors.set(id, door);
      }
      return door;
    },
    close() {
      for (const { gateway } of doors.values()) gateway.close();
      for (const client of clients.values()) client.close();
    },
  };
}
