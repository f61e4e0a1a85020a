import { status, type ServerWritableStream } from '@grpc/grpc-js';
import { gateway } from '@hyperledger/fabric-protos';

import type { Membership } from '../identities/membership.ts';
import { uncut } from './cut.ts';
import type { GatewayParts } from './gateway-parts.ts';
import { CHANNEL } from './names.ts';
import { cancelled, rpcError, writeTo } from './rpc.ts';
import { startBlock } from './seek.ts';
import { Code } from './validation.ts';

/** What became of a transaction, once it is in a block; an unknown one is waited for (internal/pkg/gateway/commitstatus.go). */
export async function commitStatus(
  { ledger, members, endorsers, faults }: GatewayParts,
  signed: gateway.SignedCommitStatusRequest,
  signal: AbortSignal,
): Promise<gateway.CommitStatusResponse> {
  const request = gateway.CommitStatusRequest.deserializeBinary(signed.getRequest_asU8());
  if (!request.getTransactionId())
    throw rpcError(status.INVALID_ARGUMENT, 'transaction ID should not be empty');
  checkReader(members, request, signed);
  const { block, code } = await uncut(faults, signal, (open) =>
    ledger.waitFor(request.getTransactionId(), open),
  );
  // The client's own peer tells it, and so has that block.
  const { mspId: own } = members.member(request.getIdentity_asU8());
  endorsers.find(({ mspId }) => mspId === own)?.reached(block + 1);
  const response = new gateway.CommitStatusResponse();
  response.setResult(code);
  response.setBlockNumber(block);
  return response;
}

/** The contract's events of valid transactions, from a cursor on (internal/pkg/gateway/chaincodeevents.go). */
export async function streamEvents(
  parts: GatewayParts,
  call: ServerWritableStream<gateway.SignedChaincodeEventsRequest, gateway.ChaincodeEventsResponse>,
): Promise<void> {
  const request = gateway.ChaincodeEventsRequest.deserializeBinary(call.request.getRequest_asU8());
  checkReader(parts.members, request, call.request);
  await uncut(parts.faults, cancelled(call), (signal) => sendEvents(parts, call, request, signal));
}

async function sendEvents(
  { ledger }: GatewayParts,
  call: ServerWritableStream<gateway.SignedChaincodeEventsRequest, gateway.ChaincodeEventsResponse>,
  request: gateway.ChaincodeEventsRequest,
  signal: AbortSignal,
): Promise<void> {
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
