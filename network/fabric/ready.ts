import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv4 } from 'node:net';

import { credentials } from '@grpc/grpc-js';
import { common, gateway, peer } from '@hyperledger/fabric-protos';
// A CommonJS module whose exports Node cannot name: only its default import has them.
import timestampPb from 'google-protobuf/google/protobuf/timestamp_pb.js';

import { sha256 } from '../identities/signature.ts';
import { readSigner, type Signer } from '../identities/signer.ts';
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
  const signer = readSigner(layout.mspId, identities.service);
  const { txId, proposal } = propose(signer, channel);
  const request = new gateway.EndorseRequest();
  request.setTransactionId(txId);
  request.setChannelId(channel);
  request.setProposedTransaction(proposal);
  request.setEndorsingOrganizationsList(members.map((one) => one.layout.mspId));
  const { clientTls, tlsCa } = identities;
  const client = new gateway.GatewayClient(
    gatewayOf(layout),
    credentials.createSsl(
      ...[tlsCa.certificate, clientTls.key, clientTls.certificate].map((f) => readFileSync(f)),
    ),
    // An address cannot be asked for by TLS; every peer's certificate is for localhost too.
    isIPv4(hostOf(layout)) ? { 'grpc.ssl_target_name_override': 'localhost' } : {},
  );
  try {
    await new Promise<void>((resolve, reject) => {
      client.endorse(request, { deadline: Date.now() + CALL_LIMIT_MS }, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  } finally {
    client.close();
  }
}

/** A signed proposal to ask the contract for its metadata (fabric-protos, peer/proposal.proto). */
function propose(signer: Signer, channelId: string): { txId: string; proposal: peer.SignedProposal } {
  const nonce = randomBytes(24);
  const txId = sha256(nonce, signer.identity).toString('hex');
  const id = new peer.ChaincodeID();
  id.setName(CHAINCODE);

  const extension = new peer.ChaincodeHeaderExtension();
  extension.setChaincodeId(id);
  const channel = new common.ChannelHeader();
  channel.setType(common.HeaderType.ENDORSER_TRANSACTION);
  channel.setChannelId(channelId);
  channel.setTxId(txId);
  channel.setTimestamp(timestampPb.Timestamp.fromDate(new Date()));
  channel.setExtension$(extension.serializeBinary());
  const signature = new common.SignatureHeader();
  signature.setCreator(signer.identity);
  signature.setNonce(nonce);
  const header = new common.Header();
  header.setChannelHeader(channel.serializeBinary());
  header.setSignatureHeader(signature.serializeBinary());

  const input = new peer.ChaincodeInput();
  input.setArgsList([Buffer.from(QUESTION)]);
  const spec = new peer.ChaincodeSpec();
  spec.setType(peer.ChaincodeSpec.Type.NODE);
  spec.setChaincodeId(id);
  spec.setInput(input);
  const invocation = new peer.ChaincodeInvocationSpec();
  invocation.setChaincodeSpec(spec);
  const payload = new peer.ChaincodeProposalPayload();
  payload.setInput(invocation.serializeBinary());

  const proposal = new peer.Proposal();
  proposal.setHeader(header.serializeBinary());
  proposal.setPayload(payload.serializeBinary());
  const bytes = proposal.serializeBinary();
  const signed = new peer.SignedProposal();
  signed.setProposalBytes(bytes);
  signed.setSignature(signer.sign(bytes));
  return { txId, proposal: signed };
}
