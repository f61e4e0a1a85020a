import { credentials, type ClientDuplexStream } from '@grpc/grpc-js';
import { peer } from '@hyperledger/fabric-protos';

import { CHAINCODE, CHANNEL } from './names.ts';
import { messageOf } from './rpc.ts';
import type { Simulation } from './simulation.ts';
import { answerStateCall, nameOf, type MessageType } from './state-calls.ts';

/** One call of the contract. */
export interface Invocation {
  readonly txId: string;
  readonly input: peer.ChaincodeInput;
  readonly proposal: peer.SignedProposal;
  readonly simulation: Simulation;
}

export interface InvocationResult {
  readonly response: peer.Response;
  readonly event: peer.ChaincodeEvent | undefined;
}

type Message = peer.ChaincodeMessage;
type Stream = ClientDuplexStream<Message, Message>;

interface Running extends Invocation {
  resolve(result: InvocationResult): void;
  reject(error: Error): void;
}

interface Connection {
  readonly client: peer.ChaincodeClient;
  readonly stream: Stream;
}

const { Type } = peer.ChaincodeMessage;
const CONNECT_LIMIT_MS = 15_000;
// Fabric's CORE_CHAINCODE_EXECUTETIMEOUT.
const EXECUTE_LIMIT_MS = 30_000;
const CHANNEL_OPTIONS = {
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 500,
};

/**
 * One peer's side of the chaincode protocol: dials the contract's server, as peers do (core/chaincode/handler.go), and dials
 * again with the next call after the stream was lost.
 */
export class ChaincodeStream {
  readonly #address: string;
  readonly #running = new Map<string, Running>();
  #connection: Promise<Connection> | undefined;

  /** @param address host:port of the contract's server. */
  constructor(address: string) {
    this.#address = address;
  }

  /** Answers when the contract is registered. */
  async connect(): Promise<void> {
    await this.#connected();
  }

  /** Runs the contract. Throws when it gives no answer: when its process ends, or after 30 s. */
  async invoke(invocation: Invocation): Promise<InvocationResult> {
    const { txId } = invocation;
    if (this.#running.has(txId)) throw new Error(`failed to execute transaction ${txId}: txid exists`);
    try {
      return await this.#run(invocation);
    } catch (error) {
      throw new Error(`failed to execute transaction ${txId}: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#running.delete(txId);
    }
  }

  async close(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    const open = await connection?.catch(() => undefined);
    open?.stream.end();
    open?.client.close();
  }

  async #run(invocation: Invocation): Promise<InvocationResult> {
    const { stream } = await this.#connected();
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        timer = setTimeout(
          () => reject(new Error('timeout expired while executing transaction')),
          EXECUTE_LIMIT_MS,
        );
        this.#running.set(invocation.txId, { ...invocation, resolve, reject });
        const message = newMessage(Type.TRANSACTION, invocation.txId, invocation.input.serializeBinary());
        message.setProposal(invocation.proposal);
        stream.write(message);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #connected(): Promise<Connection> {
    this.#connection ??= this.#dial();
    return this.#connection;
  }

  async #dial(): Promise<Connection> {
    const client = new peer.ChaincodeClient(this.#address, credentials.createInsecure(), CHANNEL_OPTIONS);
    try {
      await ready(client);
      const stream = client.connect();
      await this.#register(client, stream);
      return { client, stream };
    } catch (error) {
      client.close();
      this.#connection = undefined;
      throw error;
    }
  }

  #register(client: peer.ChaincodeClient, stream: Stream): Promise<void> {
    return new Promise((resolve, reject) => {
      let isLost = false;
      const lost = (error: Error): void => {
        // A stream may end and then fail as well, when another has taken its place already.
        if (isLost) return;
        isLost = true;
        client.close();
        this.#lose(error);
        reject(error);
      };
      stream.on('error', lost);
      stream.on('end', () => lost(new Error('chaincode stream terminated')));
      stream.on('data', (message: Message) => {
        if (message.getType() !== Type.REGISTER) return this.#receive(stream, message);
        stream.write(newMessage(Type.REGISTERED));
        stream.write(newMessage(Type.READY));
        return resolve();
      });
    });
  }

  #lose(error: Error): void {
    this.#connection = undefined;
    for (const running of this.#running.values()) running.reject(error);
    this.#running.clear();
  }

  #receive(stream: Stream, message: Message): void {
    const running = this.#running.get(message.getTxid());
    if (!running) return;
    const payload = message.getPayload_asU8();
    switch (message.getType()) {
      case Type.COMPLETED:
        return running.resolve(readResult(running.txId, message));
      case Type.ERROR:
        return running.reject(
          new Error(`transaction returned with failure: ${Buffer.from(payload).toString()}`),
        );
      default:
        stream.write(answer(running, message.getType(), payload));
    }
  }
}

function ready(client: peer.ChaincodeClient): Promise<void> {
  return new Promise((resolve, reject) => {
    client.waitForReady(Date.now() + CONNECT_LIMIT_MS, (error) => (error ? reject(error) : resolve()));
  });
}

function answer({ txId, simulation }: Running, type: MessageType, payload: Uint8Array): Message {
  try {
    return newMessage(Type.RESPONSE, txId, answerStateCall(simulation, type, payload));
  } catch (error) {
    const reason = `${nameOf(type)} failed: transaction ID: ${txId}: ${messageOf(error)}`;
    return newMessage(Type.ERROR, txId, Buffer.from(reason));
  }
}

function readResult(txId: string, message: Message): InvocationResult {
  const event = message.getChaincodeEvent();
  event?.setChaincodeId(CHAINCODE);
  event?.setTxId(txId);
  return { response: peer.Response.deserializeBinary(message.getPayload_asU8()), event };
}

function newMessage(type: MessageType, txId?: string, payload?: Uint8Array): Message {
  const message = new peer.ChaincodeMessage();
  message.setType(type);
  if (txId !== undefined) {
    message.setChannelId(CHANNEL);
    message.setTxid(txId);
  }
  if (payload) message.setPayload(payload);
  return message;
}
