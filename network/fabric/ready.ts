import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';

import { Client, credentials } from '@grpc/grpc-js';
import { connect, hash } from '@hyperledger/fabric-gateway';

import { readSigner } from '../identities/signer.ts';
import { CHAINCODE, CHANNEL, gatewayOf, hostOf } from './layout.ts';
import type { Member, PublicMember } from './members.ts';
import { insist } from './wait.ts';

// Every contract of fabric-contract-api answers it, from nothing but itself.
const QUESTION = 'org.hyperledger.fabric:GetMetadata';
const LIMIT_MS = 60_000;
const CALL_LIMIT_MS = 15_000;

/**
 * Resolves when, through every member's gateway, the peers of all members have endorsed a call of the contract: then clients
 * can work. Before that peers look healthy and yet do not know one another. Throws with what the gateway said last.
 */
export async function networkIsReady(members: readonly Member[]): Promise<void> {
  await Promise.all(members.map((member) => allEndorseThrough(member, members)));
}

/** Resolves when, through a member's gateway, the peers of all members have endorsed a call of the contract. */
export async function allEndorseThrough(
  member: Member,
  members: readonly PublicMember[],
  channel = CHANNEL,
): Promise<void> {
  await insist(`all members endorse through ${member.layout.mspId}`, LIMIT_MS, () =>
    endorse(member, members, channel),
  );
}

async function endorse(member: Member, members: readonly PublicMember[], channel: string): Promise<void> {
  const { identities, layout } = member;
  const { clientTls, tlsCa } = identities;
  const client = new Client(
    gatewayOf(layout),
    credentials.createSsl(
      ...[tlsCa.certificate, clientTls.key, clientTls.certificate].map((file) => readFileSync(file)),
    ),
    // An address cannot be asked for by TLS; every peer's certificate is for localhost too.
    isIPv4(hostOf(layout)) ? { 'grpc.ssl_target_name_override': 'localhost' } : {},
  );
  const signer = readSigner(layout.mspId, identities.service);
  const gateway = connect({
    client,
    identity: { mspId: signer.mspId, credentials: Buffer.from(signer.certificate) },
    // Our signer hashes what it signs.
    hash: hash.none,
    signer: (message) => Promise.resolve(signer.sign(message)),
  });
  try {
    const endorsingOrganizations = members.map((one) => one.layout.mspId);
    const contract = gateway.getNetwork(channel).getContract(CHAINCODE);
    await contract
      .newProposal(QUESTION, { endorsingOrganizations })
      .endorse({ deadline: Date.now() + CALL_LIMIT_MS });
  } finally {
    gateway.close();
    client.close();
  }
}
