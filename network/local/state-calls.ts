import { peer } from '@hyperledger/fabric-protos';

import type { Simulation } from './simulation.ts';

export type MessageType = peer.ChaincodeMessage.TypeMap[keyof peer.ChaincodeMessage.TypeMap];

const { Type } = peer.ChaincodeMessage;
const NAMES = new Map(Object.entries(Type).map(([name, value]) => [value, name]));
const NOTHING = new Uint8Array();

/** A chaincode message's name, for people. */
export function nameOf(type: MessageType): string {
  return NAMES.get(type) ?? `message ${type}`;
}

/**
 * What a peer answers to a contract's call (core/chaincode/handler.go). Throws for everything the local ledger does not
 * have, so that a contract which needs it fails here and not first on a real network.
 */
export function answerStateCall(simulation: Simulation, type: MessageType, payload: Uint8Array): Uint8Array {
  switch (type) {
    case Type.GET_STATE:
      return getState(simulation, peer.GetState.deserializeBinary(payload));
    case Type.GET_STATE_MULTIPLE:
      return getStates(simulation, peer.GetStateMultiple.deserializeBinary(payload));
    case Type.PUT_STATE:
      return putState(simulation, peer.PutState.deserializeBinary(payload));
    case Type.DEL_STATE:
      return deleteState(simulation, peer.DelState.deserializeBinary(payload));
    case Type.WRITE_BATCH_STATE:
      return writeStates(simulation, peer.WriteBatchState.deserializeBinary(payload));
    default:
      throw new Error(`the local ledger does not support ${nameOf(type)}`);
  }
}

function getState(simulation: Simulation, call: peer.GetState): Uint8Array {
  refuseCollection(call.getCollection());
  return simulation.get(call.getKey()) ?? NOTHING;
}

function getStates(simulation: Simulation, call: peer.GetStateMultiple): Uint8Array {
  refuseCollection(call.getCollection());
  const result = new peer.GetStateMultipleResult();
  result.setValuesList(call.getKeysList().map((key) => simulation.get(key) ?? NOTHING));
  return result.serializeBinary();
}

function putState(simulation: Simulation, call: peer.PutState): Uint8Array {
  refuseCollection(call.getCollection());
  simulation.put(call.getKey(), call.getValue_asU8());
  return NOTHING;
}

function deleteState(simulation: Simulation, call: peer.DelState): Uint8Array {
  refuseCollection(call.getCollection());
  simulation.delete(call.getKey());
  return NOTHING;
}

function writeStates(simulation: Simulation, call: peer.WriteBatchState): Uint8Array {
  for (const record of call.getRecList()) {
    refuseCollection(record.getCollection());
    if (record.getType() === peer.WriteRecord.Type.PUT_STATE)
      simulation.put(record.getKey(), record.getValue_asU8());
    else if (record.getType() === peer.WriteRecord.Type.DEL_STATE) simulation.delete(record.getKey());
    else throw new Error('the local ledger does not support metadata or private data in a write batch');
  }
  return NOTHING;
}

function refuseCollection(name: string): void {
  if (name) throw new Error('the local ledger has no private data collections');
}
