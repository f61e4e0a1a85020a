import { status, type handleBidiStreamingCall, type ServerDuplexStream } from '@grpc/grpc-js';
import { common, orderer, peer } from '@hyperledger/fabric-protos';

import type { Membership } from '../identities/membership.ts';
import { uncut } from './cut.ts';
import { readEnvelope, type Envelope } from './envelope.ts';
import type { Faults } from './faults.ts';
import type { Ledger } from './ledger.ts';
import { CHANNEL } from './names.ts';
import { cancelled, rpcError, toServiceError, writeTo } from './rpc.ts';
import { startBlock } from './seek.ts';

type Stream = ServerDuplexStream<common.Envelope, peer.DeliverResponse>;
type Handler = handleBidiStreamingCall<common.Envelope, peer.DeliverResponse>;
type Status = common.StatusMap[keyof common.StatusMap];

/** Fabric's deliver service (core/peer/deliverevents.go): whole blocks only, the other two forms are refused. */
export function newDeliver(ledger: Ledger, members: Membership, faults: Faults): peer.IDeliverServer {
  const deliver: Handler = (call) => {
    const signal = cancelled(call);
    call.on('data', (request: common.Envelope) => {
      uncut(faults, signal, (open) => serve(ledger, members, call, request, open)).catch((error: unknown) =>
        call.emit('error', toServiceError(error)),
      );
    });
  };
  return {
    deliver,
    deliverFiltered: refuse('filtered blocks'),
    deliverWithPrivateData: refuse('private data'),
  };
}

async function serve(
  ledger: Ledger,
  members: Membership,
  call: Stream,
  request: common.Envelope,
  signal: AbortSignal,
): Promise<void> {
  const code = await sendBlocks(ledger, members, call, request, signal);
  // The client has gone: nobody is there any more to be told.
  if (signal.aborted) return;
  const response = new peer.DeliverResponse();
  response.setStatus(code);
  call.write(response);
  call.end();
}

/** Sends what a request asks for and answers how it ended. */
async function sendBlocks(
  ledger: Ledger,
  members: Membership,
  call: Stream,
  request: common.Envelope,
  signal: AbortSignal,
): Promise<Status> {
  try {
    const envelope = readEnvelope(request.serializeBinary());
    if (envelope.channel !== CHANNEL) return common.Status.NOT_FOUND;
    if (!mayRead(members, envelope)) return common.Status.FORBIDDEN;
    const seek = orderer.SeekInfo.deserializeBinary(envelope.data);
    const last = lastBlock(seek.getStop(), ledger.height);
    for await (const { number, block } of ledger.follow(startBlock(seek.getStart(), ledger.height), signal)) {
      if (number > last) break;
      const response = new peer.DeliverResponse();
      response.setBlock(block);
      await writeTo(call, response, signal);
      if (number === last) break;
    }
    return common.Status.SUCCESS;
  } catch {
    return common.Status.BAD_REQUEST;
  }
}

function mayRead(members: Membership, { creator, payload, signature }: Envelope): boolean {
  try {
    const member = members.member(creator);
    return !member.isExpired(new Date()) && member.verify(payload, signature);
  } catch {
    return false;
  }
}

function lastBlock(stop: orderer.SeekPosition | undefined, height: number): number {
  return stop?.hasSpecified() || stop?.hasNewest() || stop?.hasOldest() ? startBlock(stop, height) : Infinity;
}

function refuse(what: string): Handler {
  return (call) => {
    call.emit('error', rpcError(status.UNIMPLEMENTED, `the local ledger does not deliver ${what}`));
  };
}
