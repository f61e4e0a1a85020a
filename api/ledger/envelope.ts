import type { Transaction } from '@hyperledger/fabric-gateway';
import { common, gateway, peer } from '@hyperledger/fabric-protos';

/** The bytes of the envelope that the gateway prepared from the endorsements. */
export function envelopeOf(transaction: Transaction): Uint8Array {
  const envelope = gateway.PreparedTransaction.deserializeBinary(transaction.getBytes()).getEnvelope();
  if (!envelope) throw new Error('the gateway prepared no envelope');
  return envelope.serializeBinary();
}

/** The layers of an envelope with an endorsed transaction (fabric-protos, peer/transaction.proto), each to be read or changed. */
export function unpack(envelope: Uint8Array): {
  payload: common.Payload;
  transaction: peer.Transaction;
  action: peer.ChaincodeActionPayload;
  endorsed: peer.ChaincodeEndorsedAction;
} {
  const payload = common.Payload.deserializeBinary(
    common.Envelope.deserializeBinary(envelope).getPayload_asU8(),
  );
  const transaction = peer.Transaction.deserializeBinary(payload.getData_asU8());
  const action = peer.ChaincodeActionPayload.deserializeBinary(
    transaction.getActionsList()[0]?.getPayload_asU8() ?? new Uint8Array(),
  );
  return { payload, transaction, action, endorsed: action.getAction() ?? new peer.ChaincodeEndorsedAction() };
}
