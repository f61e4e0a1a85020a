import { status, type handleServerStreamingCall, type ServerWritableStream } from '@grpc/grpc-js';
import { common, gateway, msp, peer } from '@hyperledger/fabric-protos';

import type { Membership } from '../identities/membership.ts';
import { quorum } from './block.ts';
import type { Endorsed, Endorser } from './endorser.ts';
import { readEnvelope } from './envelope.ts';
import type { Ledger } from './ledger.ts';
import { CHAINCODE, CHANNEL, QSCC } from './names.ts';
import { readProposal, Refused, type Proposal } from './proposal.ts';
import { cancelled, rpcError, toServiceError, unary, writeTo, type Detail } from './rpc.ts';
import { startBlock } from './seek.ts';
import { Code } from './validation.ts';

// Fabric's BatchSize.AbsoluteMaxBytes.
const LARGEST_ENVELOPE_BYTES = 10 * 1024 * 1024;

/** What the gateway serves from. */
export interface GatewayParts {
  readonly ledger: Ledger;
  readonly members: Membership;
  readonly endorsers: readonly Endorser[];
  /** How many organisations endorse when the client names none. */
  readonly endorsements: number;
}

/** Fabric's gateway service (internal/pkg/gateway): what @hyperledger/fabric-gateway talks to. */
export function newGateway(parts: GatewayParts): gateway.IGatewayServer {
  const chaincodeEvents: handleServerStreamingCall<
    gateway.SignedChaincodeEventsRequest,
    gateway.ChaincodeEventsResponse
  > = (call) => {
    streamEvents(parts, call).then(
      () => call.end(),
      (error: unknown) => call.emit('error', toServiceError(error)),
    );
  };
  return {
    evaluate: unary((request: gateway.EvaluateRequest) => evaluate(parts, request)),
    endorse: unary((request: gateway.EndorseRequest) => endorse(parts, request)),
    submit: unary(async (request: gateway.SubmitRequest) => submit(parts, request)),
    commitStatus: unary((request: gateway.SignedCommitStatusRequest, signal) =>
      commitStatus(parts, request, signal),
    ),
    chaincodeEvents,
  };
}

async function evaluate(
  parts: GatewayParts,
  request: gateway.EvaluateRequest,
): Promise<gateway.EvaluateResponse> {
  const proposal = unpack(request.getProposedTransaction());
  if (proposal.channel !== CHANNEL) {
    throw rpcError(status.UNAVAILABLE, `failed to get config for channel [${proposal.channel}]`);
  }
  if (!isDeployed(proposal.chaincode)) {
    throw rpcError(
      status.FAILED_PRECONDITION,
      `no peers available to evaluate chaincode ${proposal.chaincode} in channel ${CHANNEL}`,
    );
  }
  const [endorser] = endorsersFor(parts, proposal, request.getTargetOrganizationsList(), 1);
  if (!endorser) throw rpcError(status.UNAVAILABLE, 'no endorsing peers');
  try {
    const { response } = await atOneHeight(parts.ledger, (height) => endorser.endorse(proposal, height));
    const result = new gateway.EvaluateResponse();
    result.setResult(response);
    return result;
  } catch (error) {
    throw evaluateError(endorser.mspId, error);
  }
}

function evaluateError(mspId: string, error: unknown): Error {
  const message = messageOf(error);
  const details = [{ mspId, message }];
  const returned = `evaluate call to endorser returned error: ${message}`;
  if (!(error instanceof Refused)) return rpcError(status.UNKNOWN, returned, details);
  if (error.refuser === 'check') return rpcError(status.FAILED_PRECONDITION, returned, details);
  const code = error.refuser === 'filter' ? status.UNAVAILABLE : status.ABORTED;
  return rpcError(code, 'failed to evaluate transaction, see attached details for more info', details);
}

async function endorse(
  parts: GatewayParts,
  request: gateway.EndorseRequest,
): Promise<gateway.EndorseResponse> {
  const proposal = unpack(request.getProposedTransaction());
  if (proposal.channel !== CHANNEL || !isDeployed(proposal.chaincode)) {
    throw rpcError(
      status.FAILED_PRECONDITION,
      `no combination of peers can be derived which satisfy the endorsement policy: No metadata was found for chaincode ${proposal.chaincode} in channel ${proposal.channel}`,
    );
  }
  const named = request.getEndorsingOrganizationsList();
  const endorsers = endorsersFor(parts, proposal, named, parts.endorsements);
  const answers = await atOneHeight(parts.ledger, (height) =>
    Promise.allSettled(endorsers.map((endorser) => endorser.endorse(proposal, height))),
  );
  const { agreed, details } = compare(endorsers, answers);
  if (named.length === 0 && answers[0]?.status === 'rejected') {
    throw rpcError(
      status.ABORTED,
      'failed to endorse transaction, see attached details for more info',
      details.slice(0, 1),
    );
  }
  if (details.length > 0) {
    throw rpcError(
      status.ABORTED,
      'failed to collect enough transaction endorsements, see attached details for more info',
      details,
    );
  }
  const response = new gateway.EndorseResponse();
  response.setPreparedTransaction(newTransaction(proposal, agreed));
  return response;
}

/** The answers that agree with the first good one, and what is to be said about the others. */
function compare(endorsers: readonly Endorser[], answers: readonly PromiseSettledResult<Endorsed>[]) {
  const agreed: Endorsed[] = [];
  const details: Detail[] = [];
  for (const [index, { mspId }] of endorsers.entries()) {
    const answer = answers[index];
    if (answer?.status !== 'fulfilled') details.push({ mspId, message: messageOf(answer?.reason) });
    else if (agreed[0] && Buffer.compare(agreed[0].payload, answer.value.payload) !== 0) {
      details.push({ mspId, message: 'ProposalResponsePayloads do not match' });
    } else agreed.push(answer.value);
  }
  return { agreed, details };
}

function newTransaction(proposal: Proposal, endorsed: readonly Endorsed[]): common.Envelope {
  const result = new peer.ChaincodeEndorsedAction();
  result.setProposalResponsePayload(endorsed[0]?.payload ?? '');
  result.setEndorsementsList(endorsed.map(({ endorsement }) => endorsement));
  const action = new peer.ChaincodeActionPayload();
  action.setChaincodeProposalPayload(proposal.payload);
  action.setAction(result);
  const only = new peer.TransactionAction();
  only.setHeader(proposal.header.getSignatureHeader_asU8());
  only.setPayload(action.serializeBinary());
  const transaction = new peer.Transaction();
  transaction.addActions(only);
  const payload = new common.Payload();
  payload.setHeader(proposal.header);
  payload.setData(transaction.serializeBinary());
  const envelope = new common.Envelope();
  envelope.setPayload(payload.serializeBinary());
  return envelope;
}

function submit(parts: GatewayParts, request: gateway.SubmitRequest): gateway.SubmitResponse {
  const envelope = request.getPreparedTransaction();
  if (!envelope) throw rpcError(status.INVALID_ARGUMENT, 'a prepared transaction is required');
  if (envelope.getSignature_asU8().length === 0) {
    throw rpcError(status.INVALID_ARGUMENT, 'prepared transaction must be signed');
  }
  try {
    const txId = checkBroadcast(parts.members, envelope);
    parts.ledger.order(txId, envelope.serializeBinary());
  } catch (error) {
    throw ordererError(parts, messageOf(error));
  }
  return new gateway.SubmitResponse();
}

/** An orderer's checks of an envelope (orderer/common/msgprocessor). Answers the transaction's id; throws its refusal. */
function checkBroadcast(members: Membership, envelope: common.Envelope): string {
  const payload = envelope.getPayload_asU8();
  if (payload.length > LARGEST_ENVELOPE_BYTES) {
    throw new Error(
      `message payload is ${payload.length} bytes and exceeds maximum allowed ${LARGEST_ENVELOPE_BYTES} bytes`,
    );
  }
  const { creator, txId } = readEnvelope(envelope.serializeBinary());
  const member = members.member(creator);
  if (member.isExpired(new Date())) throw new Error('broadcast client identity expired');
  if (!member.verify(payload, envelope.getSignature_asU8())) {
    throw new Error('implicit policy evaluation failed: permission denied');
  }
  return txId;
}

// A gateway before BFT orderers gives up when so many have refused that no quorum is left.
function ordererError({ endorsers }: GatewayParts, info: string): Error {
  const enough = endorsers.length - quorum(endorsers.length) + 1;
  const details = endorsers.slice(0, enough).map(({ mspId }) => ({
    mspId,
    message: `received unsuccessful response from orderer: ${info}`,
  }));
  return rpcError(
    status.UNAVAILABLE,
    'insufficient number of orderers could successfully process transaction to satisfy quorum requirement',
    details,
  );
}

async function commitStatus(
  { ledger, members }: GatewayParts,
  signed: gateway.SignedCommitStatusRequest,
  signal: AbortSignal,
): Promise<gateway.CommitStatusResponse> {
  const request = gateway.CommitStatusRequest.deserializeBinary(signed.getRequest_asU8());
  if (!request.getTransactionId())
    throw rpcError(status.INVALID_ARGUMENT, 'transaction ID should not be empty');
  checkReader(members, request, signed);
  const { block, code } = await ledger.waitFor(request.getTransactionId(), signal);
  const response = new gateway.CommitStatusResponse();
  response.setResult(code);
  response.setBlockNumber(block);
  return response;
}

async function streamEvents(
  { ledger, members }: GatewayParts,
  call: ServerWritableStream<gateway.SignedChaincodeEventsRequest, gateway.ChaincodeEventsResponse>,
): Promise<void> {
  const signal = cancelled(call);
  const request = gateway.ChaincodeEventsRequest.deserializeBinary(call.request.getRequest_asU8());
  checkReader(members, request, call.request);
  // A client that has read up to a transaction names it, and wants what came after it, also within its block.
  const read = ledger.place(request.getAfterTransactionId());
  const start = read?.block ?? startBlock(request.getStartPosition(), ledger.height);
  for await (const { number, transactions } of ledger.follow(start, signal)) {
    const events = transactions
      .filter(({ code }, index) => code === Code.VALID && !(read?.block === number && index <= read.index))
      .flatMap(({ event }) => event ?? [])
      .filter((event) => event.getChaincodeId() === request.getChaincodeId());
    if (events.length === 0) continue;
    const response = new gateway.ChaincodeEventsResponse();
    response.setBlockNumber(number);
    response.setEventsList(events);
    await writeTo(call, response, signal);
  }
}

interface ReaderRequest {
  getChannelId(): string;
  getIdentity_asU8(): Uint8Array;
}

interface SignedRequest {
  getRequest_asU8(): Uint8Array;
  getSignature_asU8(): Uint8Array;
}

// Like Fabric, does not look at expiry: only proposals and deliver requests are refused for it.
function checkReader(members: Membership, request: ReaderRequest, signed: SignedRequest): void {
  try {
    const member = members.member(request.getIdentity_asU8());
    const isGood = member.verify(signed.getRequest_asU8(), signed.getSignature_asU8());
    if (isGood && request.getChannelId() === CHANNEL) return;
  } catch {
    // Not a member.
  }
  throw rpcError(
    status.PERMISSION_DENIED,
    "implicit policy evaluation failed: the identity is none of the channel's Readers",
  );
}

function unpack(signed: peer.SignedProposal | undefined): Proposal {
  if (!signed?.getProposalBytes_asU8().length) {
    throw rpcError(status.INVALID_ARGUMENT, 'the proposed transaction must contain a signed proposal');
  }
  try {
    const proposal = readProposal(signed);
    if (!proposal.channel) throw new Error('no channel id provided');
    return proposal;
  } catch (error) {
    throw rpcError(status.INVALID_ARGUMENT, `failed to unpack transaction proposal: ${messageOf(error)}`);
  }
}

function isDeployed(chaincode: string): boolean {
  return chaincode === CHAINCODE || chaincode === QSCC;
}

/** The named organisations; none named, then the client's own and as many others as are needed. */
function endorsersFor(
  { endorsers }: GatewayParts,
  { creator }: Proposal,
  named: string[],
  count: number,
): Endorser[] {
  if (named.length === 0) {
    const own = msp.SerializedIdentity.deserializeBinary(creator).getMspid();
    return endorsers.toSorted((a, b) => Number(b.mspId === own) - Number(a.mspId === own)).slice(0, count);
  }
  const missing = named.filter((mspId) => !endorsers.some((endorser) => endorser.mspId === mspId));
  if (missing.length > 0) {
    throw rpcError(
      status.UNAVAILABLE,
      `failed to find any endorsing peers for org(s): ${missing.join(', ')}`,
    );
  }
  return endorsers.filter(({ mspId }) => named.includes(mspId));
}

/** Runs something against the newest state and keeps that state readable until it is done. */
async function atOneHeight<T>({ state, height }: Ledger, run: (height: number) => Promise<T>): Promise<T> {
  const release = state.hold(height);
  try {
    return await run(height);
  } finally {
    release();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
