import { common, ledger, peer } from '@hyperledger/fabric-protos';

import { sha256 } from '../identities/signature.ts';
import type { Version, Write } from './state.ts';

/** A submitted envelope's outside: who sent it, and under which id. */
export interface Envelope {
  readonly type: number;
  readonly channel: string;
  readonly txId: string;
  readonly epoch: number;
  readonly creator: Uint8Array;
  readonly nonce: Uint8Array;
  /** What the creator signed. */
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly header: common.Header;
  readonly data: Uint8Array;
}

/** What one contract read and wrote. */
export interface ReadWriteSet {
  readonly namespace: string;
  readonly reads: readonly { readonly key: string; readonly version: Version | undefined }[];
  readonly writes: readonly Write[];
}

/** An endorsed transaction: an envelope's inside. */
export interface EndorsedTransaction {
  /** The hash of the proposal that the envelope carries. */
  readonly proposalHash: Buffer;
  /** The hash of the proposal that the endorsers answered. */
  readonly endorsedHash: Uint8Array;
  readonly responsePayload: Uint8Array;
  readonly endorsements: readonly peer.Endorsement[];
  readonly chaincode: string;
  readonly sets: readonly ReadWriteSet[];
  readonly event: peer.ChaincodeEvent | undefined;
}

/** Reads an envelope's outside. Throws when it is malformed. */
export function readEnvelope(bytes: Uint8Array): Envelope {
  const envelope = common.Envelope.deserializeBinary(bytes);
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const header = payload.getHeader();
  if (!header) throw new Error('the envelope has no header');
  const channel = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
  const signature = common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8());
  return {
    type: channel.getType(),
    channel: channel.getChannelId(),
    txId: channel.getTxId(),
    epoch: channel.getEpoch(),
    creator: signature.getCreator_asU8(),
    nonce: signature.getNonce_asU8(),
    payload: envelope.getPayload_asU8(),
    signature: envelope.getSignature_asU8(),
    header,
    data: payload.getData_asU8(),
  };
}

/** Reads an envelope's inside. Throws when it is malformed or uses what the local ledger does not have. */
export function readEndorsed({ header, data }: Envelope): EndorsedTransaction {
  const [only, ...others] = peer.Transaction.deserializeBinary(data).getActionsList();
  if (!only || others.length > 0) throw new Error('a transaction has exactly one action');
  const action = peer.ChaincodeActionPayload.deserializeBinary(only.getPayload_asU8());
  const endorsed = action.getAction();
  if (!endorsed) throw new Error('the transaction was not endorsed');
  const responsePayload = endorsed.getProposalResponsePayload_asU8();
  const response = peer.ProposalResponsePayload.deserializeBinary(responsePayload);
  const result = peer.ChaincodeAction.deserializeBinary(response.getExtension_asU8());
  return {
    proposalHash: hashProposal(header, action.getChaincodeProposalPayload_asU8()),
    endorsedHash: response.getProposalHash_asU8(),
    responsePayload,
    endorsements: endorsed.getEndorsementsList(),
    chaincode: result.getChaincodeId()?.getName() ?? '',
    sets: readSets(result.getResults_asU8()),
    event: readEvent(result.getEvents_asU8()),
  };
}

/** What endorsers sign of a proposal (protoutil.GetProposalHash1): transient data is not in it. */
export function hashProposal(header: common.Header, payload: Uint8Array): Buffer {
  return sha256(header.getChannelHeader_asU8(), header.getSignatureHeader_asU8(), payload);
}

function readEvent(bytes: Uint8Array): peer.ChaincodeEvent | undefined {
  return bytes.length > 0 ? peer.ChaincodeEvent.deserializeBinary(bytes) : undefined;
}

function readSets(bytes: Uint8Array): ReadWriteSet[] {
  return ledger.rwset.TxReadWriteSet.deserializeBinary(bytes).getNsRwsetList().map(readSet);
}

function readSet(namespace: ledger.rwset.NsReadWriteSet): ReadWriteSet {
  const set = ledger.rwset.kvrwset.KVRWSet.deserializeBinary(namespace.getRwset_asU8());
  const unknown = [
    namespace.getCollectionHashedRwsetList(),
    set.getRangeQueriesInfoList(),
    set.getMetadataWritesList(),
  ];
  if (unknown.some((list) => list.length > 0))
    throw new Error('the local ledger has no collections, ranges or metadata');
  return {
    namespace: namespace.getNamespace(),
    reads: set
      .getReadsList()
      .map((read) => ({ key: read.getKey(), version: readVersion(read.getVersion()) })),
    writes: set.getWritesList().map((write) => ({
      key: write.getKey(),
      value: write.getIsDelete() || write.getValue_asU8().length === 0 ? undefined : write.getValue_asU8(),
    })),
  };
}

function readVersion(version: ledger.rwset.kvrwset.Version | undefined): Version | undefined {
  return version && { block: version.getBlockNum(), tx: version.getTxNum() };
}
