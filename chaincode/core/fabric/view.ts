import { concat, equal, toHex } from '../bytes.ts';
import { TraceError } from '../error.ts';
import type { Suite } from '../suite.ts';
import { isIssuedBy, readCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { readMessage } from './protobuf.ts';
import { lowSSignature } from './signature.ts';

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

/** One peer's signature over the response. Not yet checked: checkView does. */
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
export function readView(payload: Uint8Array): View {
  if (payload.length > MAX_VIEW) malformed('the view is too large');
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

function readCa(mspId: string, pem: string): Certificate {
  try {
    return readCertificate(pem);
  } catch (cause) {
    const why = cause instanceof TraceError ? cause.message : 'it cannot be read';
    throw new TraceError('CERTIFICATE_MALFORMED', `the CA certificate of ${mspId}: ${why}`, {
      place: mspId,
      cause,
    });
  }
}

/** Fabric's node OUs: an identity has exactly one (msp/mspimplvalidate.go, validateIdentityOUsV142). */
const NODE_OUS = ['peer', 'client', 'admin', 'orderer'];

function isPeer(certificate: Certificate): boolean {
  const roles = certificate.organisationalUnits.filter((unit) => NODE_OUS.includes(unit));
  return roles.length === 1 && roles[0] === 'peer' && !certificate.isCa;
}

function isValidAt(certificate: Certificate, time: number): boolean {
  return certificate.notBefore <= time && time <= certificate.notAfter;
}

async function checkEndorsement(
  endorsement: Endorsement,
  ca: Certificate,
  view: View,
  suite: Suite,
): Promise<void> {
  const certificate = readCertificate(endorsement.certificate);
  if (!isPeer(certificate)) malformed('the endorser is not a peer');
  // Fabric's MSP leaves dates out (FAB-3678, getValidityOptsForCert); an old key must not sign for ever.
  if (!isValidAt(certificate, view.timestamp) || !isValidAt(ca, view.timestamp))
    malformed('a certificate was not valid when the view was taken');
  if (!(await isIssuedBy(certificate, ca, suite)))
    malformed("the organisation's CA did not issue the certificate");
  const message = concat(view.signed.responsePayload, endorsement.endorser);
  if (!(await suite.verify(certificate.publicKey, message, lowSSignature(endorsement.signature))))
    malformed('the signature does not hold');
}

/** Runs the check of one endorsement so that its refusal names organisation and place. */
async function named(mspId: string, index: number, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (cause) {
    if (!(cause instanceof TraceError)) throw cause;
    const place = `/endorsements/${index}`;
    throw new TraceError('VIEW_MALFORMED', `the endorsement of ${mspId}: ${cause.message}`, { place, cause });
  }
}

/** Who signed a view. */
export interface Endorsers {
  /** The known organisations of which a peer validly signed, each once, in the order of the endorsements. */
  readonly organisations: readonly string[];
  /** Endorsements that name an organisation which is not known count for nobody; the names they give. */
  readonly unknown: readonly string[];
}

/**
 * Says which organisations' peers signed a view (`organisations`: MSP id → PEM certificate of the CA that issues its
 * peers'). Recomputes the transaction id (protoutil, ComputeTxID) and the proposal hash (msgvalidation.go,
 * UnpackProposal), so that the answer belongs to this question, time and nonce. How many are enough is the caller's to
 * say, and whether status, channel, chaincode and arguments are the ones it wanted.
 *
 * Throws VIEW_MALFORMED when the hashes differ or a known organisation's endorsement is bad: its place is then
 * /endorsements/‹index› and its message names the organisation. Throws CERTIFICATE_MALFORMED (place: the MSP id) for a CA
 * certificate that cannot be read.
 */
export async function checkView(
  view: View,
  organisations: ReadonlyMap<string, string>,
  suite: Suite,
): Promise<Endorsers> {
  const { creator, channelHeader, signatureHeader, proposalPayload, proposalHash } = view.signed;
  if (view.txId !== toHex(suite.sha256(concat(view.nonce, creator))))
    malformed("the transaction id is not the nonce's");
  if (!equal(proposalHash, suite.sha256(concat(channelHeader, signatureHeader, proposalPayload))))
    malformed('the endorsers signed the answer to another proposal');

  const cas = new Map([...organisations].map(([mspId, pem]) => [mspId, readCa(mspId, pem)]));
  const signed = new Set<string>();
  const unknown = new Set<string>();
  for (const [index, endorsement] of view.endorsements.entries()) {
    const ca = cas.get(endorsement.mspId);
    if (ca === undefined) unknown.add(endorsement.mspId);
    else {
      await named(endorsement.mspId, index, () => checkEndorsement(endorsement, ca, view, suite));
      signed.add(endorsement.mspId);
    }
  }
  return { organisations: [...signed], unknown: [...unknown] };
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
