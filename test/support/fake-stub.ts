import type { Context } from 'fabric-contract-api';

/** Who calls, and when. */
export interface Call {
  readonly org: string;
  readonly role?: string | null;
  /** ms since the epoch: the transaction's own time */
  readonly time?: number;
  readonly txId?: string;
}

/** What Fabric's shim gives a contract, on a Map; it keeps what was read and written, and in which order. */
export class FakeStub {
  readonly reads: string[] = [];
  readonly writes: [key: string, value: string][] = [];
  private readonly values: ReadonlyMap<string, string>;
  private readonly call: Call;

  constructor(values: ReadonlyMap<string, string>, call: Call) {
    this.values = values;
    this.call = call;
  }

  // eslint-disable-next-line typescript/require-await -- the shim's is asynchronous
  async getState(key: string): Promise<Uint8Array> {
    if (key === '') throw new Error('getState: an empty key');
    this.reads.push(key);
    // As Fabric does: what this transaction has put cannot be read.
    return Buffer.from(this.values.get(key) ?? '');
  }

  // eslint-disable-next-line typescript/require-await -- the shim's is asynchronous
  async putState(key: string, value: Uint8Array): Promise<void> {
    this.writes.push([key, Buffer.from(value).toString('utf8')]);
  }

  getChannelID = (): string => 'test';
  getTxID = (): string => this.call.txId ?? 'tx';
  getDateTimestamp = (): Date => new Date(this.call.time ?? Date.UTC(2026, 2, 10, 1, 0));
}

export function contextOf(stub: FakeStub, { org, role = 'service' }: Call): Context {
  const clientIdentity = {
    getMSPID: () => org,
    getAttributeValue: (name: string) => (name === 'role' ? role : null),
  };
  return { stub, clientIdentity } as unknown as Context;
}
