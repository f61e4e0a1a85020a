import { readFileSync } from 'node:fs';
import { readMessage } from '@yaoji/chaincode/core/fabric/protobuf';

// What a real Fabric v3.1.5 network of four organisations answered: test/vectors/fabric-3.1.5.
const FOLDER = new URL('../../../vectors/fabric-3.1.5/', import.meta.url);

function file(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(name, FOLDER)));
}

function payloadOf(envelope: Uint8Array): Uint8Array {
  return readMessage(envelope, { payload: [1, 'bytes'], signature: [2, 'bytes'] }).payload;
}

function transactionOf(block: Uint8Array): Uint8Array {
  const { data } = readMessage(block, {
    header: [1, 'message'],
    data: [2, 'message'],
    metadata: [3, 'message'],
  });
  const [envelope] = readMessage(data ?? new Uint8Array(), { data: [1, 'repeated'] }).data;
  return payloadOf(envelope ?? new Uint8Array());
}

export const envelope = file('view.envelope');
export const payload = payloadOf(envelope);
/** The payload of the one transaction of block 10, an AppendBatch that was committed. */
export const written = transactionOf(file('10.block'));

export function ca(mspId: string): string {
  return readFileSync(new URL(`ca/${mspId}.ca.pem`, FOLDER), 'utf8');
}

export const MSP_IDS = ['HospitalMSP', 'DecoctionMSP', 'CourierMSP', 'RegulatorMSP'];
export const cas: ReadonlyMap<string, string> = new Map(MSP_IDS.map((mspId) => [mspId, ca(mspId)]));

/** What the network's recorder computed with other libraries (@hyperledger/fabric-protos, node:crypto). */
interface Facts {
  readonly sha256: string;
  readonly bytes: number;
  readonly channel: string;
  readonly txId: string;
  readonly timestamp: string;
  readonly proposalHash: string;
  readonly endorsers: readonly string[];
  readonly chaincode: string;
  readonly function: string;
  readonly argumentBytes: readonly number[];
  readonly response: { readonly status: number; readonly payload: string };
  readonly reads: readonly (readonly [namespace: string, key: string, version: string | null])[];
  readonly writes: readonly (readonly [namespace: string, key: string, size: number])[];
}

interface Index {
  readonly files: {
    readonly 'view.envelope': Facts;
    readonly '10.block': { readonly transactions: readonly [Facts] };
  };
}

const index: Index = JSON.parse(readFileSync(new URL('index.json', FOLDER), 'utf8'));
export const viewFacts = index.files['view.envelope'];
export const writtenFacts = index.files['10.block'].transactions[0];
