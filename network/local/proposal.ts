import { common, peer } from '@hyperledger/fabric-protos';

import type { Member, Membership } from '../identities/membership.ts';
import { sha256 } from '../identities/signature.ts';
import { hashProposal } from './envelope.ts';
import { CHANNEL } from './names.ts';

/** A proposal, unpacked. */
export interface Proposal {
  readonly signed: peer.SignedProposal;
  readonly header: common.Header;
  readonly channel: string;
  readonly chaincode: string;
  readonly txId: string;
  readonly time: Date;
  readonly creator: Uint8Array;
  readonly nonce: Uint8Array;
  readonly input: peer.ChaincodeInput;
  /** What goes into the transaction: the proposal without transient data. */
  readonly payload: Uint8Array;
  readonly hash: Buffer;
}

/**
 * Who refused a proposal, since the gateway answers each with another code: a peer's filter, before the peer looks at the
 * proposal; the check of the proposal; the peer itself; or nobody, because the peer is away.
 */
export type Refuser = 'filter' | 'check' | 'peer' | 'nobody';

/** A peer's refusal, in Fabric's words. */
export class Refused extends Error {
  readonly refuser: Refuser;

  constructor(refuser: Refuser, message: string, options?: ErrorOptions) {
    super(message, options);
    this.refuser = refuser;
  }
}

// peer.authentication.timewindow of the networks we configure.
const TIME_WINDOW_MS = 120_000;

/** Reads a signed proposal. Throws when it is malformed. */
export function readProposal(signed: peer.SignedProposal): Proposal {
  const proposal = peer.Proposal.deserializeBinary(signed.getProposalBytes_asU8());
  const header = common.Header.deserializeBinary(proposal.getHeader_asU8());
  const channel = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
  const signature = common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8());
  const body = peer.ChaincodeProposalPayload.deserializeBinary(proposal.getPayload_asU8());
  if (body.getTransientmapMap().getLength() > 0)
    throw new Error('the local ledger does not support transient data');
  const spec = peer.ChaincodeInvocationSpec.deserializeBinary(body.getInput_asU8()).getChaincodeSpec();
  const payload = new peer.ChaincodeProposalPayload();
  payload.setInput(body.getInput_asU8());
  return {
    signed,
    header,
    channel: channel.getChannelId(),
    chaincode: spec?.getChaincodeId()?.getName() ?? '',
    txId: channel.getTxId(),
    time: channel.getTimestamp()?.toDate() ?? new Date(0),
    creator: signature.getCreator_asU8(),
    nonce: signature.getNonce_asU8(),
    input: spec?.getInput() ?? new peer.ChaincodeInput(),
    payload: payload.serializeBinary(),
    hash: hashProposal(header, payload.serializeBinary()),
  };
}

/**
 * Makes a peer's checks of a proposal, in its order: the filters of core/handlers/auth, then those of core/endorser. Throws
 * Refused.
 */
export function checkProposal(
  proposal: Proposal,
  members: Membership,
  isKnown: (txId: string) => boolean,
): void {
  const now = new Date();
  const member = memberOf(members, proposal.creator);
  if (member?.isExpired(now)) throw new Refused('filter', 'proposal client identity expired');
  checkTime(proposal.time, now);
  if (proposal.channel !== CHANNEL) throw new Refused('peer', `channel '${proposal.channel}' not found`);
  checkTxId(proposal);
  checkSignature(proposal, member);
  if (isKnown(proposal.txId)) throw new Refused('check', `duplicate transaction found [${proposal.txId}]`);
  if (member?.ou !== 'client' && member?.ou !== 'admin') {
    throw new Refused(
      'check',
      "implicit policy evaluation failed: the identity is none of the channel's Writers",
    );
  }
}

function checkTime(time: Date, now: Date): void {
  if (Math.abs(now.getTime() - time.getTime()) <= TIME_WINDOW_MS) return;
  const window = `peer.authentication.timewindow ${TIME_WINDOW_MS / 1000}s`;
  throw new Refused(
    'filter',
    `request unauthorized due to incorrect timestamp ${time.toISOString()}, peer time ${now.toISOString()}, ${window}`,
  );
}

function checkTxId({ nonce, creator, txId }: Proposal): void {
  if (nonce.length === 0) throw invalid('nonce is empty');
  if (creator.length === 0) throw invalid('creator is empty');
  const expected = sha256(nonce, creator).toString('hex');
  if (txId !== expected) throw invalid(`incorrectly computed txid '${txId}' -- expected '${expected}'`);
}

function checkSignature({ signed }: Proposal, member: Member | undefined): void {
  if (!member) throw invalid(`access denied: channel [${CHANNEL}] creator org unknown, creator is malformed`);
  if (!member.verify(signed.getProposalBytes_asU8(), signed.getSignature_asU8())) {
    throw invalid(`access denied: channel [${CHANNEL}] creator org [${member.mspId}]`);
  }
}

function invalid(reason: string): Refused {
  return new Refused('check', `error validating proposal: ${reason}`);
}

function memberOf(members: Membership, identity: Uint8Array): Member | undefined {
  try {
    return members.member(identity);
  } catch {
    return undefined;
  }
}
