import { equal, toHex } from '../bytes.ts';
import { TraceError } from '../error.ts';
import { readMessage } from './protobuf.ts';

// The messages of a view, as fabric-protos names them. A field that is left out here is one that must be absent: the
// transient map (never in a transaction), the data model (KV is 0), what Fabric has retired.

const PAYLOAD = { header: [1, 'message'], data: [2, 'bytes'] } as const;
const HEADER = { channelHeader: [1, 'bytes'], signatureHeader: [2, 'bytes'] } as const;
const CHANNEL_HEADER = {
  type: [1, 'uint'],
  version: [2, 'uint'],
  timestamp: [3, 'message'],
  channel: [4, 'text'],
  txId: [5, 'text'],
  epoch: [6, 'uint'],
  extension: [7, 'bytes'],
  tlsCertHash: [8, 'bytes'],
} as const;
const TIMESTAMP = { seconds: [1, 'uint'], nanos: [2, 'uint'] } as const;
const SIGNATURE_HEADER = { creator: [1, 'bytes'], nonce: [2, 'bytes'] } as const;
const CHAINCODE_HEADER_EXTENSION = { chaincode: [2, 'message'] } as const;
const CHAINCODE_ID = { path: [1, 'text'], name: [2, 'text'], version: [3, 'text'] } as const;
const TRANSACTION = { actions: [1, 'repeated'] } as const;
const TRANSACTION_ACTION = { header: [1, 'bytes'], payload: [2, 'bytes'] } as const;
const CHAINCODE_ACTION_PAYLOAD = { proposalPayload: [1, 'bytes'], action: [2, 'message'] } as const;
const CHAINCODE_PROPOSAL_PAYLOAD = { input: [1, 'bytes'] } as const;
const CHAINCODE_INVOCATION_SPEC = { spec: [1, 'message'] } as const;
const CHAINCODE_SPEC = {
  type: [1, 'uint'],
  chaincode: [2, 'message'],
  input: [3, 'message'],
  timeout: [4, 'uint'],
} as const;
const CHAINCODE_INPUT = { args: [1, 'repeated'], decorations: [2, 'repeated'], isInit: [3, 'uint'] } as const;
const CHAINCODE_ENDORSED_ACTION = { responsePayload: [1, 'bytes'], endorsements: [2, 'repeated'] } as const;
const ENDORSEMENT = { endorser: [1, 'bytes'], signature: [2, 'bytes'] } as const;
const SERIALIZED_IDENTITY = { mspId: [1, 'text'], certificate: [2, 'text'] } as const;
const PROPOSAL_RESPONSE_PAYLOAD = { proposalHash: [1, 'bytes'], extension: [2, 'bytes'] } as const;
const CHAINCODE_ACTION = {
  results: [1, 'bytes'],
  events: [2, 'bytes'],
  response: [3, 'message'],
  chaincode: [4, 'message'],
} as const;
const RESPONSE = { status: [1, 'uint'], message: [2, 'text'], payload: [3, 'bytes'] } as const;
const TX_READ_WRITE_SET = { namespaces: [2, 'repeated'] } as const;
const NS_READ_WRITE_SET = {
  namespace: [1, 'text'],
  rwset: [2, 'bytes'],
  collections: [3, 'repeated'],
} as const;
const KV_RW_SET = {
  reads: [1, 'repeated'],
  ranges: [2, 'repeated'],
  writes: [3, 'repeated'],
  metadataWrites: [4, 'repeated'],
} as const;
const KV_READ = { key: [1, 'text'], version: [2, 'message'] } as const;
const VERSION = { block: [1, 'uint'], tx: [2, 'uint'] } as const;

/** common.HeaderType.ENDORSER_TRANSACTION */
const ENDORSER_TRANSACTION = 3;
/** Far above any view of a package's heads (four endorsements take 4 KB), far below what would stop a page. */
const MAX_VIEW = 1 << 20;
/** 9999-12-31T23:59:59Z, the last that protobuf's Timestamp allows. */
const MAX_SECONDS = 253_402_300_799;

/** Which transaction last wrote a key: its block and its place there. */
export interface Version {
  readonly block: number;
  readonly tx: number;
}

/** The versions of the keys that were read, by namespace and key; undefined for a key that did not exist. */
export type Reads = ReadonlyMap<string, ReadonlyMap<string, Version | undefined>>;

/** One peer's signature over the response. Not yet checked: checkView in endorsement.ts does. */
export interface Endorsement {
  readonly mspId: string;
  /** PEM */
  readonly certificate: string;
  /** The identity as it was signed: mspId and certificate, serialised. */
  readonly endorser: Uint8Array;
  /** DER */
  readonly signature: Uint8Array;
}

/** A read of ledger state that peers signed: what was asked, when, and what they answered. */
export interface View {
  readonly channel: string;
  /** Hex: SHA-256(nonce ‖ creator), which checkView recomputes. */
  readonly txId: string;
  /** When it was asked, in ms since the epoch: endorsers refuse a proposal whose time is off. */
  readonly timestamp: number;
  readonly nonce: Uint8Array;
  readonly chaincode: string;
  /** The function's name first. */
  readonly args: readonly Uint8Array[];
  readonly status: number;
  readonly message: string;
  /** What the function returned. */
  readonly payload: Uint8Array;
  readonly reads: Reads;
  /** Whether the simulation did more than read single keys: writes, ranges, metadata, private collections. */
  readonly writes: boolean;
  readonly endorsements: readonly Endorsement[];
  /** The bytes that the hashes and signatures cover. */
  readonly signed: {
    readonly creator: Uint8Array;
    readonly channelHeader: Uint8Array;
    readonly signatureHeader: Uint8Array;
    readonly proposalPayload: Uint8Array;
    readonly proposalHash: Uint8Array;
    readonly responsePayload: Uint8Array;
  };
}

function malformed(message: string): never {
  throw new TraceError('VIEW_MALFORMED', message);
}

function present(bytes: Uint8Array | undefined, name: string): Uint8Array {
  return bytes ?? malformed(`${name} is missing`);
}

/** Fabric's own checks of a proposal's header: core/endorser/msgvalidation.go, Validate. */
function readChannelHeader(bytes: Uint8Array) {
  const header = readMessage(bytes, CHANNEL_HEADER);
  if (header.type !== ENDORSER_TRANSACTION) malformed('the view is not an endorsed transaction');
  if (header.epoch !== 0) malformed('the epoch is not zero');
  const { seconds, nanos } = readMessage(present(header.timestamp, 'the timestamp'), TIMESTAMP);
  if (seconds > MAX_SECONDS || nanos >= 1e9) malformed('the timestamp does not exist');
  const { chaincode } = readMessage(header.extension, CHAINCODE_HEADER_EXTENSION);
  return {
    channel: header.channel,
    txId: header.txId,
    timestamp: seconds * 1000 + Math.floor(nanos / 1e6),
    chaincode: readChaincodeName(chaincode),
  };
}

function readChaincodeName(id: Uint8Array | undefined): string {
  return (
    readMessage(present(id, 'the chaincode'), CHAINCODE_ID).name || malformed('the chaincode has no name')
  );
}

function readAction(data: Uint8Array) {
  const { actions } = readMessage(data, TRANSACTION);
  const [only] = actions;
  if (only === undefined || actions.length > 1) malformed('the transaction has not exactly one action');
  const { header, payload } = readMessage(only, TRANSACTION_ACTION);
  const { proposalPayload, action } = readMessage(payload, CHAINCODE_ACTION_PAYLOAD);
  const { responsePayload, endorsements } = readMessage(
    present(action, 'the action'),
    CHAINCODE_ENDORSED_ACTION,
  );
  return { header, proposalPayload, responsePayload, endorsements: readEndorsements(endorsements) };
}

function readProposalPayload(bytes: Uint8Array) {
  const { input } = readMessage(bytes, CHAINCODE_PROPOSAL_PAYLOAD);
  const { spec } = readMessage(input, CHAINCODE_INVOCATION_SPEC);
  const { chaincode, input: call } = readMessage(present(spec, 'the chaincode spec'), CHAINCODE_SPEC);
  const { args } = readMessage(present(call, 'the chaincode input'), CHAINCODE_INPUT);
  return { chaincode: readChaincodeName(chaincode), args };
}

function readResponsePayload(bytes: Uint8Array) {
  const { proposalHash, extension } = readMessage(bytes, PROPOSAL_RESPONSE_PAYLOAD);
  const { results, response, chaincode } = readMessage(extension, CHAINCODE_ACTION);
  return {
    proposalHash,
    chaincode: readChaincodeName(chaincode),
    ...readMessage(present(response, 'the response'), RESPONSE),
    ...readResults(results),
  };
}

function readResults(bytes: Uint8Array): { reads: Reads; writes: boolean } {
  const reads = new Map<string, ReadonlyMap<string, Version | undefined>>();
  let writes = false;
  for (const set of readMessage(bytes, TX_READ_WRITE_SET).namespaces) {
    const { namespace, rwset, collections } = readMessage(set, NS_READ_WRITE_SET);
    const keys = readMessage(rwset, KV_RW_SET);
    if (reads.has(namespace)) malformed('a namespace is there twice');
    reads.set(namespace, readVersions(keys.reads));
    writes ||= [collections, keys.ranges, keys.writes, keys.metadataWrites].some((list) => list.length > 0);
  }
  return { reads, writes };
}

function readVersions(reads: readonly Uint8Array[]): ReadonlyMap<string, Version | undefined> {
  const versions = new Map<string, Version | undefined>();
  for (const read of reads) {
    const { key, version } = readMessage(read, KV_READ);
    if (versions.has(key)) malformed('a key is read twice');
    versions.set(key, version && readMessage(version, VERSION));
  }
  return versions;
}

function readEndorsements(list: readonly Uint8Array[]): Endorsement[] {
  const seen = new Set<string>();
  return list.map((bytes) => {
    const { endorser, signature } = readMessage(bytes, ENDORSEMENT);
    const identity = toHex(endorser);
    // Fabric's gateway keeps one endorsement of each peer, so a second one is nothing that a peer's answer led to.
    if (seen.has(identity)) malformed('a peer endorses twice');
    seen.add(identity);
    return { ...readMessage(endorser, SERIALIZED_IDENTITY), endorser, signature };
  });
}

/**
 * Reads a view from the bytes of a common.Payload: what `Envelope.payload` of the transaction holds that Fabric's gateway
 * prepared from the endorsements. Checks its form and that its parts name the same header and chaincode; nothing is
 * hashed or verified yet. Throws PROTOBUF_MALFORMED or VIEW_MALFORMED.
 */
export function readView(payload: Uint8Array, limit = MAX_VIEW): View {
  if (payload.length > limit) malformed('the view is too large');
  const { header, data } = readMessage(payload, PAYLOAD);
  const { channelHeader, signatureHeader } = readMessage(present(header, 'the header'), HEADER);
  const { chaincode, ...asked } = readChannelHeader(channelHeader);
  const { creator, nonce } = readMessage(signatureHeader, SIGNATURE_HEADER);
  const action = readAction(data);
  const proposal = readProposalPayload(action.proposalPayload);
  const response = readResponsePayload(action.responsePayload);

  // Without them, bytes could move between the signature header and its neighbours in the proposal's hash.
  if (creator.length === 0 || nonce.length === 0) malformed('the creator or the nonce is missing');
  if (!equal(action.header, signatureHeader)) malformed("the action's header is not the view's");
  if (proposal.chaincode !== chaincode || response.chaincode !== chaincode)
    malformed('the chaincodes differ');

  return {
    ...asked,
    nonce,
    chaincode,
    args: proposal.args,
    status: response.status,
    message: response.message,
    payload: response.payload,
    reads: response.reads,
    writes: response.writes,
    endorsements: action.endorsements,
    signed: {
      creator,
      channelHeader,
      signatureHeader,
      proposalPayload: action.proposalPayload,
      proposalHash: response.proposalHash,
      responsePayload: action.responsePayload,
    },
  };
}

/**
 * The version of a key that the view read: undefined when the key did not exist. Throws VIEW_MALFORMED when the view did
 * not read it: what was not read is not known to be absent.
 */
export function versionOf(view: View, namespace: string, key: string): Version | undefined {
  const reads = view.reads.get(namespace);
  if (!reads?.has(key)) malformed(`the view did not read ${key}`);
  return reads.get(key);
}
