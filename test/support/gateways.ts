import {
  credentials,
  Client,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import { google, gateway } from '@hyperledger/fabric-protos';
import type { NetworkProfile } from '@yaoji/network/profile';
// A CommonJS module whose exports Node cannot name: only its default import has them.
import anyPb from 'google-protobuf/google/protobuf/any_pb.js';

// The local ledger is one process with one address. Here every organisation gets a gateway of its own in front of it, which
// passes everything on, and can be dead, deaf, or unable to endorse, as peers are.

export type Method = 'Evaluate' | 'Endorse' | 'Submit' | 'CommitStatus' | 'Deliver';
/** What a gateway does with a call instead of passing it on: fails it, or never answers. */
export type Trouble = ServiceError | 'deaf' | undefined;

export class TestGateway {
  readonly mspId: string;
  /** how many calls of each method came */
  readonly calls: Record<Method, number> = {
    Evaluate: 0,
    Endorse: 0,
    Submit: 0,
    CommitStatus: 0,
    Deliver: 0,
  };
  /** how many unary calls were on their way together, at most */
  most = 0;
  /** asked before a call is passed on */
  before: (method: Method) => Trouble = () => undefined;
  /** asked when a call was passed on and answered, before its answer goes back */
  after: (method: Method) => Trouble = () => undefined;
  private readonly behind: Client;
  private server: Server | undefined;
  private port = 0;
  private now = 0;

  constructor(mspId: string, behind: string) {
    this.mspId = mspId;
    this.behind = new Client(behind, credentials.createInsecure());
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Listens, at the same port as before. */
  async start(): Promise<void> {
    const server = new Server({ 'grpc.max_receive_message_length': -1 });
    const raw = (path: string, stream: boolean) => ({
      path,
      requestStream: stream,
      responseStream: stream,
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    });
    for (const method of ['Evaluate', 'Endorse', 'Submit', 'CommitStatus'] as const) {
      const path = `/gateway.Gateway/${method}`;
      server.addService({ [method]: raw(path, false) }, { [method]: this.unary(method, path) });
    }
    server.addService(
      { Deliver: raw('/protos.Deliver/Deliver', true) },
      { Deliver: this.stream('/protos.Deliver/Deliver') },
    );
    this.port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
    this.server = server;
  }

  /** Is gone at once, with everything that was under way. */
  kill(): void {
    this.server?.forceShutdown();
    this.server = undefined;
  }

  /** Is as at the beginning. */
  async heal(): Promise<void> {
    this.before = () => undefined;
    this.after = () => undefined;
    for (const method of Object.keys(this.calls) as Method[]) this.calls[method] = 0;
    this.most = this.now = 0;
    if (!this.server) await this.start();
  }

  close(): void {
    this.kill();
    this.behind.close();
  }

  private unary(method: Method, path: string): handleUnaryCall<Buffer, Buffer> {
    return (call, callback) => {
      this.calls[method]++;
      this.most = Math.max(this.most, ++this.now);
      const answer = (error: ServiceError | null, value?: Buffer): void => {
        this.now--;
        callback(error, value);
      };
      const trouble = this.before(method);
      if (trouble === 'deaf') return;
      if (trouble) return answer(trouble);
      this.behind.makeUnaryRequest(
        path,
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
        call.request,
        { deadline: call.getDeadline() },
        (error, value) => {
          const later = this.after(method);
          if (later !== 'deaf') answer(later ?? error, value);
        },
      );
    };
  }

  private stream(path: string): handleBidiStreamingCall<Buffer, Buffer> {
    return (call) => {
      this.calls.Deliver++;
      const behind = this.behind.makeBidiStreamRequest(
        path,
        (bytes: Buffer) => bytes,
        (bytes) => bytes,
      );
      behind.on('error', (error) => call.emit('error', error));
      call.on('cancelled', () => behind.cancel());
      call.on('data', (request: Buffer) => behind.write(request));
      behind.on('data', (block: Buffer) => call.write(block));
      behind.on('end', () => call.end());
    };
  }
}

/** A gateway of its own for every organisation of a profile, and the profile with them in it. */
export async function startGateways(profile: NetworkProfile): Promise<{
  profile: NetworkProfile;
  gateways: ReadonlyMap<string, TestGateway>;
  close: () => void;
}> {
  const gateways = new Map(
    profile.organisations.map((organisation) => [
      organisation.mspId,
      new TestGateway(organisation.mspId, organisation.gateway),
    ]),
  );
  await Promise.all([...gateways.values()].map((one) => one.start()));
  return {
    gateways,
    profile: {
      ...profile,
      organisations: profile.organisations.map((organisation) => ({
        ...organisation,
        gateway: gateways.get(organisation.mspId)!.address,
      })),
    },
    close: () => gateways.forEach((one) => one.close()),
  };
}

/** An error as Fabric's gateway gives it, with what one organisation's peer said. */
export function gatewayError(code: status, message: string, mspId?: string, said = ''): ServiceError {
  const metadata = new Metadata();
  if (mspId !== undefined) {
    const detail = new gateway.ErrorDetail();
    detail.setMspId(mspId);
    detail.setMessage(said);
    const packed = new anyPb.Any();
    packed.pack(detail.serializeBinary(), 'gateway.ErrorDetail');
    const list = new google.rpc.Status();
    list.setCode(code);
    list.setDetailsList([packed]);
    metadata.set('grpc-status-details-bin', Buffer.from(list.serializeBinary()));
  }
  return Object.assign(new Error(message), { code, details: message, metadata });
}
