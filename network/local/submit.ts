import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { status } from '@grpc/grpc-js';
import { gateway, type common } from '@hyperledger/fabric-protos';

import type { Membership } from '../identities/membership.ts';
import { quorum } from './block.ts';
import { readEnvelope } from './envelope.ts';
import type { GatewayParts } from './gateway-parts.ts';
import { PROCESSED } from './ledger.ts';
import { messageOf, rpcError } from './rpc.ts';

// Fabric's BatchSize.AbsoluteMaxBytes.
const LARGEST_ENVELOPE_BYTES = 10 * 1024 * 1024;

/** Hands an endorsed transaction to the orderers (internal/pkg/gateway/submit.go). Says nothing about its validity. */
export async function submit(
  parts: GatewayParts,
  request: gateway.SubmitRequest,
  signal: AbortSignal,
): Promise<gateway.SubmitResponse> {
  const envelope = request.getPreparedTransaction();
  if (!envelope) throw rpcError(status.INVALID_ARGUMENT, 'a prepared transaction is required');
  if (envelope.getSignature_asU8().length === 0) {
    throw rpcError(status.INVALID_ARGUMENT, 'prepared transaction must be signed');
  }
  try {
    const txId = checkBroadcast(parts.members, envelope);
    checkQuorum(parts);
    order(parts, txId, envelope.serializeBinary());
    // Fabric's BFT orderers say so of one in a hundred ordinary submits.
    if (parts.faults.take('claimProcessed')) throw new Error(PROCESSED);
  } catch (error) {
    throw ordererError(parts, messageOf(error));
  }
  if (parts.faults.take('loseAnswers')) throw rpcError(status.UNAVAILABLE, 'Connection dropped');
  if (parts.faults.take('withholdAnswers')) await once(signal, 'abort');
  return new gateway.SubmitResponse();
}

function order({ ledger, faults }: GatewayParts, txId: string, envelope: Uint8Array): void {
  const { delayOrdering } = faults.settings;
  if (delayOrdering === 0 || ledger.place(txId)) return ledger.order(txId, envelope);
  // It was accepted, so nobody learns what becomes of it but by asking.
  void sleep(delayOrdering, undefined, { ref: false })
    .then(() => ledger.order(txId, envelope))
    .catch(() => undefined);
}

function checkQuorum({ endorsers, faults }: GatewayParts): void {
  const { refuseOrdering } = faults.settings;
  const there = endorsers.filter(({ mspId }) => !refuseOrdering.includes(mspId)).length;
  if (there < quorum(endorsers.length)) throw new Error('connection refused');
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
