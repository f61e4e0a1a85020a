import { peer } from '@hyperledger/fabric-protos';
import type { ChaincodeStub } from 'fabric-shim';

// How the contract reads and writes the ledger's state: many keys at once. Peers of Fabric 3.1 and later understand the
// grouped messages, but fabric-shim 2.5.8 has no function that sends them (hyperledger/fabric-chaincode-node#453), so they go
// through its private handler. The read-write set is the same to the byte either way; a key at a time costs a round trip each.

/** Reads these keys, in this order; undefined where there is nothing. */
type ReadMany = (stub: ChaincodeStub, keys: readonly string[]) => Promise<(string | undefined)[]>;
type WriteMany = (stub: ChaincodeStub, writes: readonly [key: string, value: string][]) => Promise<void>;

// A missing key and an empty value are both an empty buffer; no empty value is ever written.
const textOf = (bytes: Uint8Array): string | undefined =>
  bytes.length ? Buffer.from(bytes).toString('utf8') : undefined;

const readEach: ReadMany = async (stub, keys) => {
  const values: (string | undefined)[] = [];
  for (const key of keys) values.push(textOf(await stub.getState(key)));
  return values;
};

const writeEach: WriteMany = async (stub, writes) => {
  for (const [key, value] of writes) await stub.putState(key, Buffer.from(value));
};

/** A peer takes this many keys in one message (core.yaml, chaincode.runtimeParams). */
const MOST_KEYS = 1000;

interface Handler {
  _askPeerAndListen(message: peer.ChaincodeMessage, method: string): Promise<Uint8Array>;
}

function ask(
  stub: ChaincodeStub,
  type: peer.ChaincodeMessage.TypeMap[keyof peer.ChaincodeMessage.TypeMap],
  payload: Uint8Array,
): Promise<Uint8Array> {
  const message = new peer.ChaincodeMessage();
  message.setType(type);
  message.setPayload(payload);
  message.setTxid(stub.getTxID());
  message.setChannelId(stub.getChannelID());
  // oxlint-disable-next-line no-underscore-dangle -- the library's own name
  return (stub as unknown as { handler: Handler }).handler._askPeerAndListen(message, 'Grouped');
}

const readGrouped: ReadMany = async (stub, keys) => {
  const values: (string | undefined)[] = [];
  for (let from = 0; from < keys.length; from += MOST_KEYS) {
    const some = keys.slice(from, from + MOST_KEYS);
    const request = new peer.GetStateMultiple();
    request.setKeysList(some);
    const answer = await ask(stub, peer.ChaincodeMessage.Type.GET_STATE_MULTIPLE, request.serializeBinary());
    const found = peer.GetStateMultipleResult.deserializeBinary(answer).getValuesList_asU8();
    if (found.length !== some.length) throw new Error('the peer answered another number of values');
    values.push(...found.map(textOf));
  }
  return values;
};

const writeGrouped: WriteMany = async (stub, writes) => {
  for (let from = 0; from < writes.length; from += MOST_KEYS) {
    const batch = new peer.WriteBatchState();
    batch.setRecList(
      writes.slice(from, from + MOST_KEYS).map(([key, value]) => {
        const record = new peer.WriteRecord();
        record.setKey(key);
        record.setValue(Buffer.from(value));
        record.setType(peer.WriteRecord.Type.PUT_STATE);
        return record;
      }),
    );
    await ask(stub, peer.ChaincodeMessage.Type.WRITE_BATCH_STATE, batch.serializeBinary());
  }
};

/** Set for a chaincode process whose peers understand the grouped messages; otherwise a key at a time, as the shim does. */
const grouped = process.env['YAOJI_STATE_ACCESS'] === 'grouped';

export const readMany: ReadMany = grouped ? readGrouped : readEach;
export const writeMany: WriteMany = grouped ? writeGrouped : writeEach;
