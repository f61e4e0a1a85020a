import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, hash, type Contract, type Gateway, type Network } from '@hyperledger/fabric-gateway';
import { certificatesIn, checkExpiry } from '@yaoji/network/identities/expiry';
import type { NetworkProfile, ProfileOrganisation } from '@yaoji/network/profile';
import { GatewayPeers } from './peers.ts';
import { signerOf } from './signer.ts';

/** One organisation's door to the ledger, as one of its identities. */
export interface Door {
  org: string;
  contract: Contract;
  network: Network;
  gateway: Gateway;
}

/** The ledger as this service reaches it: through its organisations' gateway peers, connected to on first use. */
export interface Ledger {
  profile: NetworkProfile;
  /** how many organisations must sign a view */
  viewers: number;
  /**
   * What goes through an organisation's door goes to its own gateway peer, or to another's while that one cannot serve it.
   * Throws for an organisation that the profile does not name.
   */
  door(org: string, identity?: 'service' | 'admin'): Door;
  close(): void;
}

export interface LedgerOptions {
  /** how many organisations must sign a view; as many as endorse a transaction if not said */
  viewers?: number;
  /** told when a certificate will expire soon, and when a gateway peer is not asked first for a while */
  log?: (event: { level: 'info' | 'warn'; what: string; [detail: string]: unknown }) => void;
}

// How long each phase may take, ms. After any of them the fate of a transaction is asked for by its id.
const EVALUATE = 5_000;
const ENDORSE = 15_000;
const SUBMIT = 10_000;
const COMMIT = 15_000;

/**
 * Connections are lazy: an unreachable ledger shows at the first call, never here. Throws CertificateExpired when one of the
 * profile's certificates has expired, or will within a day: each call would fail later, and each with another error.
 */
export function connectLedger(
  profile: NetworkProfile,
  { viewers = profile.endorsements, log = () => {} }: LedgerOptions = {},
): Ledger {
  for (const why of checkExpiry(certificatesIn(profile), new Date()))
    log({ level: 'warn', what: 'certificate expires soon', why });
  const peers = new GatewayPeers(profile.organisations, ({ mspId, address }, why) =>
    log({ level: 'info', what: 'gateway passed over for now', of: mspId, address, why }),
  );
  const doors = new Map<string, Door>();

  return {
    profile,
    viewers,
    door(org, identity = 'service') {
      const id = `${org} ${identity}`;
      let door = doors.get(id);
      if (!door) {
        const organisation = profile.organisations.find(({ mspId }) => mspId === org);
        if (!organisation) throw new Error(`the connection profile has no organisation ${org}`);
        const { certificate, key } = organisation.identities[identity];
        const within = (ms: number) => () => ({ deadline: Date.now() + ms });
        const gateway = connect({
          client: peers.clientOf(organisation),
          ...tlsHash(organisation),
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
      peers.close();
    },
  };
}

/** A peer that wants to know its client in TLS gives blocks only to a request that names the same certificate. */
function tlsHash({ client }: ProfileOrganisation): { tlsClientCertificateHash?: Uint8Array } {
  if (!client) return {};
  const { raw } = new X509Certificate(readFileSync(client.certificate));
  return { tlsClientCertificateHash: createHash('sha256').update(raw).digest() };
}
