import type { handleServerStreamingCall } from '@grpc/grpc-js';
import type { gateway } from '@hyperledger/fabric-protos';

import { endorse, evaluate } from './endorse.ts';
import type { GatewayParts } from './gateway-parts.ts';
import { commitStatus, streamEvents } from './outcome.ts';
import { toServiceError, unary } from './rpc.ts';
import { submit } from './submit.ts';

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
    submit: unary((request: gateway.SubmitRequest, signal) => submit(parts, request, signal)),
    commitStatus: unary((request: gateway.SignedCommitStatusRequest, signal) =>
      commitStatus(parts, request, signal),
    ),
    chaincodeEvents,
  };
}
