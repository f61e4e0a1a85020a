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

function evaluateError(mspId: string, error: unknown): Error {
  const message = messageOf(error);
  const details = [{ mspId, message }];
  const returned = `evaluate call to endorser returned error: ${message}`;
  if (!(error instanceof Refused)) return rpcError(status.UNKNOWN, returned, details);
  if (error.refuser === 'check') return rpcError(status.FAILED_PRECONDITION, returned, details);
  const code = error.refuser === 'filter' ? status.UNAVAILABLE : status.ABORTED;
  return rpcError(code, 'failed to evaluate transaction, see attached details for more info', details);
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
