import { common, gateway, ledger, peer } from '@hyperledger/fabric-protos';

/** A prepared transaction taken apart, down to what its endorsers signed. */
export interface OpenedTransaction {
  readonly envelope: common.Envelope;
  readonly payload: common.Payload;
  readonly transaction: peer.Transaction;
  readonly action: peer.ChaincodeActionPayload;
  readonly endorsed: peer.ChaincodeEndorsedAction;
  readonly response: peer.ProposalResponsePayload;
  readonly result: peer.ChaincodeAction;
}

/** Takes an envelope apart. */
export function openEnvelope(envelope: common.Envelope): OpenedTransaction {
  const payload = common.Payload.deserializeBinary(envelope.getPayload_asU8());
  const transaction = peer.Transaction.deserializeBinary(payload.getData_asU8());
  const [only] = transaction.getActionsList();
  const action = peer.ChaincodeActionPayload.deserializeBinary(present(only).getPayload_asU8());
  const endorsed = present(action.getAction());
  const response = peer.ProposalResponsePayload.deserializeBinary(endorsed.getProposalResponsePayload_asU8());
  const result = peer.ChaincodeAction.deserializeBinary(response.getExtension_asU8());
  return { envelope, payload, transaction, action, endorsed, response, result };
}

/** Takes an endorsed transaction apart: the bytes that `Transaction.getBytes()` answers. */
export function openPrepared(bytes: Uint8Array): OpenedTransaction {
  return openEnvelope(present(gateway.PreparedTransaction.deserializeBinary(bytes).getEnvelope()));
}

/** Changes an endorsed transaction and packs it again, unsigned. */
export function changePrepared(bytes: Uint8Array, change: (opened: OpenedTransaction) => void): Uint8Array {
  const prepared = gateway.PreparedTransaction.deserializeBinary(bytes);
  const opened = openEnvelope(present(prepared.getEnvelope()));
  const { envelope, payload, transaction, action, endorsed, response, result } = opened;
  change(opened);
  response.setExtension$(result.serializeBinary());
  endorsed.setProposalResponsePayload(response.serializeBinary());
  action.setAction(endorsed);
  transaction.getActionsList()[0]?.setPayload(action.serializeBinary());
  payload.setData(transaction.serializeBinary());
  envelope.setPayload(payload.serializeBinary());
  prepared.setEnvelope(envelope);
  return prepared.serializeBinary();
}

/** Changes a proposal's headers and packs it again, unsigned. */
export function changeProposal(
  bytes: Uint8Array,
  change: (channel: common.ChannelHeader, signature: common.SignatureHeader) => void,
): Uint8Array {
  const proposed = gateway.ProposedTransaction.deserializeBinary(bytes);
  const signed = present(proposed.getProposal());
  const proposal = peer.Proposal.deserializeBinary(signed.getProposalBytes_asU8());
  const header = common.Header.deserializeBinary(proposal.getHeader_asU8());
  const channel = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
  const signature = common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8());
  change(channel, signature);
  header.setChannelHeader(channel.serializeBinary());
  header.setSignatureHeader(signature.serializeBinary());
  proposal.setHeader(header.serializeBinary());
  signed.setProposalBytes(proposal.serializeBinary());
  signed.setSignature('');
  return proposed.serializeBinary();
}

/** What a transaction read and wrote in one namespace. */
export function readWriteSet(result: peer.ChaincodeAction, namespace: string): ledger.rwset.kvrwset.KVRWSet {
  const sets = ledger.rwset.TxReadWriteSet.deserializeBinary(result.getResults_asU8()).getNsRwsetList();
  const found = sets.find((set) => set.getNamespace() === namespace);
  return ledger.rwset.kvrwset.KVRWSet.deserializeBinary(present(found).getRwset_asU8());
}

/** The value, which a well-formed message has. */
export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the message lacks a part');
  return value;
}
