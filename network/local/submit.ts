import { status } from '@grpc/grpc-js';
import { gateway, type common } from '@hyperledger/fabric-protos';

import type { Membership } from '../identities/membership.ts';
import { quorum } from './block.ts';
import { readEnvelope } from './envelope.ts';
import type { GatewayParts } from './gateway-parts.ts';
import { messageOf, rpcError } from './rpc.ts';

// Fabric's BatchSize.AbsoluteMaxBytes.
const LARGEST_ENVELOPE_BYTES = 10 * 1024 * 1024;

/** Hands an endorsed transaction to the orderers (internal/pkg/gateway/submit.go). Says nothing about its validity. */
export function submit(parts: GatewayParts, request: gateway.SubmitRequest): gateway.SubmitResponse {
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
