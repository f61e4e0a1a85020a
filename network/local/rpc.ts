import { Metadata, status, type handleUnaryCall, type sendUnaryData, type ServiceError } from '@grpc/grpc-js';
import { gateway, google } from '@hyperledger/fabric-protos';
// A CommonJS module whose exports Node cannot name: only its default import has them.
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';

/** What one organisation's peer had to say. */
export interface Detail {
  readonly mspId: string;
  readonly message: string;
}

const ADDRESS = 'local';

/** An error as Fabric's gateway sends it: the peers' own words travel in the details (internal/pkg/gateway/apiutils.go). */
export function rpcError(code: status, message: string, details: readonly Detail[] = []): ServiceError {
  const metadata = new Metadata();
  if (details.length > 0) {
    const list = new google.rpc.Status();
    list.setCode(code);
    list.setMessage(message);
    list.setDetailsList(details.map(packDetail));
    metadata.set('grpc-status-details-bin', Buffer.from(list.serializeBinary()));
  }
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** Turns an async function into a handler; what it throws and is no gRPC error becomes INTERNAL. */
export function unary<Request, Response>(
  handle: (request: Request, signal: AbortSignal) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    void answer(handle(call.request, cancelled(call)), callback);
  };
}

/** Aborted when the client goes away or gives up. */
export function cancelled(call: Cancellable): AbortSignal {
  const abort = new AbortController();
  call.on('cancelled', () => abort.abort());
  return abort.signal;
}

/** Writes to a stream and waits while the client is slow to read. */
export async function writeTo<T>(stream: Writable<T>, message: T, signal: AbortSignal): Promise<void> {
  if (stream.write(message)) return;
  await new Promise<void>((resolve) => {
    stream.once('drain', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** What was thrown, in words. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whatever was thrown, as an error that gRPC can send. */
export function toServiceError(error: unknown): ServiceError {
  if (isServiceError(error)) return error;
  return rpcError(status.INTERNAL, error instanceof Error ? (error.stack ?? error.message) : String(error));
}

interface Cancellable {
  on(event: 'cancelled', listener: () => void): unknown;
}

interface Writable<T> {
  write(message: T): boolean;
  once(event: 'drain', listener: () => void): unknown;
}

async function answer<Response>(
  response: Promise<Response>,
  callback: sendUnaryData<Response>,
): Promise<void> {
  try {
    callback(null, await response);
  } catch (error) {
    callback(toServiceError(error));
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'metadata' in error;
}

function packDetail({ mspId, message }: Detail): InstanceType<typeof anyPb.Any> {
  const detail = new gateway.ErrorDetail();
  detail.setAddress(ADDRESS);
  detail.setMspId(mspId);
  detail.setMessage(message);
  const packed = new anyPb.Any();
  packed.pack(detail.serializeBinary(), 'gateway.ErrorDetail');
  return packed;
}
