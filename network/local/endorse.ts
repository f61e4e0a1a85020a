import { status } from '@grpc/grpc-js';
import { common, gateway, msp, peer } from '@hyperledger/fabric-protos';

import type { Endorsed, Endorser } from './endorser.ts';
import type { GatewayParts } from './gateway-parts.ts';
import type { Ledger } from './ledger.ts';
import { CHAINCODE, CHANNEL, QSCC } from './names.ts';
import { readProposal, Refused, type Proposal } from './proposal.ts';
import { messageOf, rpcError, type Detail } from './rpc.ts';

/** Asks one organisation's peer, the client's own unless named (internal/pkg/gateway/evaluate.go). */
export async function evaluate(
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
  const [endorser] = endorsersFor(parts, proposal, request.getTargetOrganizationsList());
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

/** Asks as many peers as the policy demands and packs what they agree on (internal/pkg/gateway/endorse.go). */
export async function endorse(
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
  const endorsers = endorsersFor(parts, proposal, named);
  const needed = named.length > 0 ? endorsers.length : parts.endorsements;
  const answered = await atOneHeight(parts.ledger, (height) => collect(endorsers, needed, proposal, height));
  const { agreed, details } = compare(answered);
  if (named.length === 0 && answered[0]?.answer.status === 'rejected') {
    throw rpcError(
      isAway(answered[0].answer.reason) ? status.UNAVAILABLE : status.ABORTED,
      'failed to endorse transaction, see attached details for more info',
      details.slice(0, 1),
    );
  }
  if (agreed.length < needed) {
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

interface Answered {
  readonly mspId: string;
  readonly answer: PromiseSettledResult<Endorsed>;
}

/**
 * The answers of as many endorsers as are needed and, for each that failed or differed from the first, of the next one that
 * was not asked yet. Only the first cannot be replaced: the client's own organisation, when it named none.
 */
async function collect(
  endorsers: readonly Endorser[],
  needed: number,
  proposal: Proposal,
  height: number,
): Promise<Answered[]> {
  const answered: Answered[] = [];
  for (let missing = needed; missing > 0;) {
    const next = endorsers.slice(answered.length, answered.length + missing);
    if (next.length === 0) break;
    const answers = await Promise.allSettled(next.map((endorser) => endorser.endorse(proposal, height)));
    answered.push(...next.map(({ mspId }, index) => ({ mspId, answer: answers[index]! })));
    if (answered[0]?.answer.status === 'rejected') break;
    missing = needed - compare(answered).agreed.length;
  }
  return answered;
}

function isAway(reason: unknown): boolean {
  return reason instanceof Refused && reason.refuser === 'nobody';
}

function evaluateError(mspId: string, error: unknown): Error {
  const message = messageOf(error);
  const details = [{ mspId, message }];
  const returned = `evaluate call to endorser returned error: ${message}`;
  if (!(error instanceof Refused)) return rpcError(status.UNKNOWN, returned, details);
  if (error.refuser === 'check') return rpcError(status.FAILED_PRECONDITION, returned, details);
  const code = error.refuser === 'peer' ? status.ABORTED : status.UNAVAILABLE;
  return rpcError(code, 'failed to evaluate transaction, see attached details for more info', details);
}

/** The answers that agree with the first good one, and what is to be said about the others. */
function compare(answered: readonly Answered[]) {
  const agreed: Endorsed[] = [];
  const details: Detail[] = [];
  for (const { mspId, answer } of answered) {
    if (answer.status === 'rejected') details.push({ mspId, message: messageOf(answer.reason) });
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

/** The named organisations; none named, then all of them, the client's own first. */
function endorsersFor({ endorsers }: GatewayParts, { creator }: Proposal, named: string[]): Endorser[] {
  if (named.length === 0) {
    const own = msp.SerializedIdentity.deserializeBinary(creator).getMspid();
    return endorsers.toSorted((a, b) => Number(b.mspId === own) - Number(a.mspId === own));
  }
  const missing = named.filter(
    (mspId) => !endorsers.some((endorser) => endorser.mspId === mspId && !endorser.isAway),
  );
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
