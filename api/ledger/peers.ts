import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import { google } from '@hyperledger/fabric-protos';
import type { ProfileOrganisation } from '@yaoji/network/profile';

// What the gateway client sends goes to one of several gateway peers. Whatever it sends is signed and has its transaction's
// id already, so the same bytes may go to another peer: a proposal is only judged again, a transaction is ordered once (a
// second time it is "already processed", or marked as a duplicate), and a commit status is a question.

/** Told when a peer is not asked first for a while, and why. */
export type Rests = (peer: { mspId: string; address: string }, why: string) => void;

/** A peer is not asked first for so long after it failed, ms. */
const REST = 1_000;
/** The same after it let a call run into its deadline: the next one to find out would wait as long. */
const LONG_REST = 15_000;

// A gateway refuses what is over 500 at once, of all its clients together; a peer is busy long before.
const MOST_IN_FLIGHT = 64;

const OPTIONS: grpc.ClientOptions = {
  'grpc.max_receive_message_length': 64 << 20,
  'grpc.max_send_message_length': 64 << 20,
  // gRPC's own back-off would leave the client down for seconds after its peer is up again.
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  // A host that is gone without a word. A peer hangs up on whoever asks more often than once a minute.
  'grpc.keepalive_time_ms': 75_000,
  'grpc.keepalive_timeout_ms': 10_000,
};

const {
  ABORTED,
  CANCELLED,
  DEADLINE_EXCEEDED,
  FAILED_PRECONDITION,
  INTERNAL,
  RESOURCE_EXHAUSTED,
  UNAVAILABLE,
} = grpc.status;

type Phase = 'Evaluate' | 'Endorse' | 'Submit' | 'CommitStatus';

/** The gateway peers of a network, each with what is known of its health. Connections are made on first use. */
export class GatewayPeers {
  private readonly peers: readonly Peer[];

  constructor(organisations: readonly ProfileOrganisation[], rests: Rests) {
    const known = new Map<string, Peer>();
    for (const organisation of organisations)
      if (!known.has(organisation.gateway)) known.set(organisation.gateway, new Peer(organisation, rests));
    this.peers = [...known.values()];
  }

  /** A client for an organisation: its own gateway peer first, and the others when that one cannot serve it. */
  clientOf(organisation: ProfileOrganisation): grpc.Client {
    const first = this.peers.findIndex((peer) => peer.address === organisation.gateway);
    // Not the same second for everybody.
    const mine = [...this.peers.slice(first), ...this.peers.slice(0, first)];
    const inOrder = (): Peer[] => {
      const now = performance.now();
      return mine.toSorted((a, b) => Number(a.restsUntil > now) - Number(b.restsUntil > now));
    };
    const client = {
      makeUnaryRequest<Request, Response>(
        path: string,
        serialize: (value: Request) => Buffer,
        deserialize: (bytes: Buffer) => Response,
        argument: Request,
        options: grpc.CallOptions,
        callback: grpc.requestCallback<Response>,
      ): void {
        const call = { organisation, path, serialize, deserialize, argument, options };
        void tell(ask(inOrder(), call), callback);
      },
      makeBidiStreamRequest<Request, Response>(
        path: string,
        serialize: (value: Request) => Buffer,
        deserialize: (bytes: Buffer) => Response,
        options: grpc.CallOptions,
      ): grpc.ClientDuplexStream<Request, Response> {
        return inOrder()[0]!.stream(organisation, path, serialize, deserialize, options);
      },
    };
    // The library calls these two for what this service asks of it, and none of the others.
    return client as unknown as grpc.Client;
  }

  close(): void {
    for (const peer of this.peers) peer.close();
  }
}

async function tell<Response>(
  asking: Promise<Response>,
  callback: grpc.requestCallback<Response>,
): Promise<void> {
  try {
    callback(null, await asking);
  } catch (error) {
    callback(error as grpc.ServiceError);
  }
}

interface Call<Request, Response> {
  /** whose call it is */
  organisation: ProfileOrganisation;
  path: string;
  serialize: (value: Request) => Buffer;
  deserialize: (bytes: Buffer) => Response;
  argument: Request;
  options: grpc.CallOptions;
}

/** Asks one peer after another until one serves the call. Throws the first one's error when none does. */
async function ask<Request, Response>(
  peers: readonly Peer[],
  call: Call<Request, Response>,
): Promise<Response> {
  const phase = call.path.split('/').at(-1) as Phase;
  let first: grpc.ServiceError | undefined;
  for (const peer of peers) {
    try {
      return await peer.call(call);
    } catch (thrown) {
      const error = thrown as grpc.ServiceError;
      // Of one in a hundred ordinary submits BFT orderers say that they have it already, and they have: the commit status
      // tells what becomes of it. So they do of what came to them through a peer that died before it could say so.
      if (phase === 'Submit' && wordsOf(error).some(isProcessed)) return call.deserialize(Buffer.alloc(0));
      const rest = restAfter(phase, error);
      if (rest > 0) peer.rest(rest, error);
      if (!isForAnother(phase, error)) throw error;
      first ??= error;
    }
  }
  throw first ?? newError(UNAVAILABLE, 'there is no gateway peer');
}

const isProcessed = (message: string): boolean => message.includes('request already processed');

/** Whether another peer may serve what this one did not. */
function isForAnother(phase: Phase, error: grpc.ServiceError): boolean {
  const words = wordsOf(error);
  switch (error.code) {
    case UNAVAILABLE:
      // The orderers' words: they are the same ones for every peer. And an organisation that is asked for by name is away for
      // every peer.
      if (phase === 'Submit') return words.length === 1;
      return !isAway(error);
    case CANCELLED: // not by us
      return true;
    case INTERNAL:
      return words[0]!.includes('RST_STREAM');
    case RESOURCE_EXHAUSTED:
      return words[0]!.includes('concurrency limit');
    case FAILED_PRECONDITION:
      // It has not heard of enough organisations' peers, others may have.
      return phase === 'Endorse';
    case ABORTED:
      return cannotEndorse(phase, error);
    default:
      return false;
  }
}

/** How long a peer is not to be asked first after this; 0: it is none of its fault. */
function restAfter(phase: Phase, error: grpc.ServiceError): number {
  if (error.code === DEADLINE_EXCEEDED) return phase === 'CommitStatus' ? 0 : LONG_REST;
  return isForAnother(phase, error) ? REST : 0;
}

const isAway = ({ details }: grpc.ServiceError): boolean =>
  details.includes('failed to find any endorsing peers');

/**
 * Whether the peer's own organisation cannot endorse: its chaincode process is down, say. A gateway replaces any endorser but
 * its own. What a contract refuses begins with its code, and what organisations disagree about has other words.
 */
function cannotEndorse(phase: Phase, error: grpc.ServiceError): boolean {
  if (phase !== 'Evaluate' && phase !== 'Endorse') return false;
  if (error.details.includes('failed to collect enough')) return false;
  return !wordsOf(error).some((message) => /chaincode response \d+, [A-Z_]+: /.test(message));
}

/** The error's own words and those of the peers or orderers behind it. */
function wordsOf({ details, metadata }: grpc.ServiceError): string[] {
  const packed = metadata.get('grpc-status-details-bin');
  return [
    details,
    ...packed.flatMap((bytes) =>
      google.rpc.Status.deserializeBinary(Buffer.from(bytes as Buffer))
        .getDetailsList()
        .map((detail) => Buffer.from(detail.getValue_asU8()).toString()),
    ),
  ];
}

/** One peer: its connections, how many calls are on their way, and whether it failed lately. */
class Peer {
  readonly address: string;
  restsUntil = 0;
  private readonly peer: ProfileOrganisation;
  private readonly rests: Rests;
  /** by organisation: each shows its own certificate in TLS */
  private readonly clients = new Map<string, grpc.Client>();
  private inFlight = 0;
  private readonly queue: (() => void)[] = [];

  constructor(peer: ProfileOrganisation, rests: Rests) {
    this.address = peer.gateway;
    this.peer = peer;
    this.rests = rests;
  }

  async call<Request, Response>({
    organisation,
    path,
    serialize,
    deserialize,
    argument,
    options,
  }: Call<Request, Response>): Promise<Response> {
    await this.slot();
    try {
      return await new Promise<Response>((resolve, reject) => {
        this.connected(organisation).makeUnaryRequest(
          path,
          serialize,
          deserialize,
          argument,
          options,
          (error, answer) => (error ? reject(error) : resolve(answer!)),
        );
      });
    } finally {
      // Whoever waits takes the slot over.
      const next = this.queue.shift();
      if (next) next();
      else this.inFlight--;
    }
  }

  /** Waits for one of the slots. The call's deadline runs meanwhile, so nobody waits for ever. */
  private async slot(): Promise<void> {
    if (this.inFlight < MOST_IN_FLIGHT) this.inFlight++;
    else await new Promise<void>((resolve) => this.queue.push(resolve));
  }

  stream<Request, Response>(
    organisation: ProfileOrganisation,
    path: string,
    serialize: (value: Request) => Buffer,
    deserialize: (bytes: Buffer) => Response,
    options: grpc.CallOptions,
  ): grpc.ClientDuplexStream<Request, Response> {
    const stream = this.connected(organisation).makeBidiStreamRequest(path, serialize, deserialize, options);
    stream.on('error', (error: grpc.ServiceError) => {
      // Otherwise we have ended it ourselves.
      if (error.code === UNAVAILABLE || error.code === INTERNAL) this.rest(REST, error);
    });
    return stream;
  }

  rest(ms: number, error: grpc.ServiceError): void {
    const now = performance.now();
    if (this.restsUntil <= now) this.rests({ mspId: this.peer.mspId, address: this.address }, error.message);
    this.restsUntil = now + ms;
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }

  private connected({ mspId, client: shown }: ProfileOrganisation): grpc.Client {
    let client = this.clients.get(mspId);
    if (!client) {
      const { tls } = this.peer;
      const own = shown ? [readFileSync(shown.key), readFileSync(shown.certificate)] : [];
      const credentials = tls
        ? grpc.credentials.createSsl(readFileSync(tls), ...own)
        : grpc.credentials.createInsecure();
      client = new grpc.Client(this.address, credentials, OPTIONS);
      this.clients.set(mspId, client);
    }
    return client;
  }
}

function newError(code: grpc.status, message: string): grpc.ServiceError {
  return Object.assign(new Error(message), { code, details: message, metadata: new grpc.Metadata() });
}
