import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError, type Transaction } from '@hyperledger/fabric-gateway';
import { common, msp } from '@hyperledger/fabric-protos';
import { isDisagreement } from '@yaoji/api/ledger/errors';
import { CustodyContract } from '@yaoji/chaincode/contract/custody-contract';
import { canonical } from '@yaoji/chaincode/core';
import { contractFolder } from '@yaoji/scripts/instance';
import { expect } from 'chai';
import { contextOf, FakeStub, type Call } from '../support/fake-stub.ts';
import { openPrepared, present, readWriteSet } from '../support/fabric-messages.ts';
import {
  connectAs,
  PROVIDERS,
  servicePerson,
  type LedgerClient,
  type LedgerUnderTest,
  type Person,
} from '../support/ledger-under-test.ts';

// What the contract's tests run it on: on nothing but itself, on the local ledger, and on a real network. On each of them every
// transaction is simulated by more than one peer, and they must agree to the byte.

/** Who calls: an organisation, and the role that its certificate names, if it names one. */
export interface Caller {
  readonly org: string;
  readonly role: string | null;
}

/** What all peers agree upon that a transaction would do. */
export interface Simulated {
  readonly answer: string;
  /** the keys that it writes, in order */
  readonly writes: readonly string[];
  /** the transaction's own time, in minutes */
  readonly at: number;
}

/** A ledger with the contract on it and nothing else. */
export interface ContractLedger {
  readonly channel: string;
  /** Has every peer simulate a transaction; nothing is committed. Throws where they do not agree. */
  simulate(name: string, caller: Caller, ...args: string[]): Promise<Simulated>;
  /** The same, and it is committed everywhere when this resolves. */
  submit(name: string, caller: Caller, ...args: string[]): Promise<Simulated>;
  /** The code by which every peer refuses a transaction; 'accepted' where none does. Nothing is committed. */
  refused(name: string, caller: Caller, ...args: string[]): Promise<string>;
  /** What stands under a key, if anything. */
  find<T>(key: string): Promise<T | undefined>;
  stop(): Promise<void>;
}

/** A kind of ledger, by its name, whose members are these. */
export interface ContractProvider {
  readonly name: string;
  readonly needed: (test: Mocha.Context) => Promise<void>;
  readonly start: (organisations: Readonly<Record<string, string>>) => Promise<ContractLedger>;
}

export const CONTRACT_LEDGERS: readonly ContractProvider[] = [
  {
    name: 'By itself',
    needed: () => Promise.resolve(),
    start: () => Promise.resolve(new Peers()),
  },
  ...PROVIDERS.map(({ name, needed, start }): ContractProvider => ({
    name,
    needed,
    async start(members) {
      const organisations = Object.entries(members)
        .map(([org, kind]) => `${org}:${kind}`)
        .join(',');
      return new OnNetwork(await start({ chaincode: contractFolder(), organisations }));
    },
  })),
];

// ── By itself ──────────────────────────────────────────────────────────────────────────────────────────────────────

const custody = new CustodyContract();

/** A transaction as the contract's metadata describe it. */
export interface Described {
  readonly name: string;
  readonly tag: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly schema: { readonly type?: string } }[];
}

export function describedTransactions(): Described[] {
  const reflect = Reflect as unknown as { getMetadata(key: string, target: object): Described[] };
  return reflect.getMetadata('fabric:transactions', custody);
}

/** Calls one of the contract's transactions on a stub that keeps what is read and written. */
export function invoke(
  name: string,
  stub: FakeStub,
  call: Call,
  args: readonly string[],
): Promise<string | undefined> {
  const transaction = custody[name as 'View'] as unknown as (
    ...all: unknown[]
  ) => Promise<string | undefined>;
  return transaction.call(custody, contextOf(stub, call), ...args);
}

/** Peers that know nothing but the contract: two simulate each transaction, each in its own surroundings. */
export class Peers implements ContractLedger {
  readonly channel = 'test';
  readonly values = new Map<string, string>();

  async simulate(name: string, caller: Caller, ...args: string[]): Promise<Simulated> {
    const { answer, writes, at } = await this.run(name, caller, args);
    return { answer, writes: writes.map(([key]) => key), at };
  }

  async submit(name: string, caller: Caller, ...args: string[]): Promise<Simulated> {
    const { answer, writes, at } = await this.run(name, caller, args);
    for (const [key, value] of writes) this.values.set(key, value);
    return { answer, writes: writes.map(([key]) => key), at };
  }

  async refused(name: string, caller: Caller, ...args: string[]): Promise<string> {
    const stub = new FakeStub(this.values, caller);
    try {
      await invoke(name, stub, caller, args);
    } catch (error) {
      expect(stub.writes).to.deep.equal([]);
      return (error as Error).message.split(':')[0]!;
    }
    return 'accepted';
  }

  find<T>(key: string): Promise<T | undefined> {
    const text = this.values.get(key);
    return Promise.resolve(text === undefined ? undefined : (JSON.parse(text) as T));
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  private async run(name: string, caller: Caller, args: readonly string[]) {
    const call = { ...caller, time: Date.now() };
    const one = new FakeStub(this.values, call);
    const answer = await invoke(name, one, call, args);
    const shuffled = new Map([...this.values].toReversed().map(([key, value]) => [key, value]));
    const two = new FakeStub(shuffled, call);
    const again = await elsewhere(() => invoke(name, two, call, args));
    expect(again, name).to.deep.equal(answer);
    expect(two.reads, `what ${name} reads`).to.deep.equal(one.reads);
    expect(two.writes, `what ${name} writes`).to.deep.equal(one.writes);
    expect(new Set(one.writes.map(([key]) => key)).size, `${name} writes a key once`).to.equal(
      one.writes.length,
    );
    return { answer: answer ?? '', writes: one.writes, at: Math.floor(call.time / 60_000) };
  }
}

/** Another machine: another clock, other random numbers, another time zone. */
async function elsewhere<T>(run: () => Promise<T>): Promise<T> {
  const { now } = Date;
  const { random } = Math;
  const zone = process.env['TZ'];
  Date.now = () => now() + 86_400_000 * 400;
  Math.random = () => 0.123;
  process.env['TZ'] = 'Asia/Shanghai';
  try {
    return await run();
  } finally {
    Date.now = now;
    Math.random = random;
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
}

// ── On a ledger ────────────────────────────────────────────────────────────────────────────────────────────────────

const saidBy = (error: unknown): string[] =>
  error instanceof GatewayError ? error.details.map(({ message }) => message) : [];

/** How long peers may take until they stand at one height, ms. */
const CATCH_UP = 10_000;

/** A ledger on which the peers of every organisation endorse each transaction. */
class OnNetwork implements ContractLedger {
  readonly channel: string;
  private readonly ledger: LedgerUnderTest;
  private readonly organisations: readonly string[];
  private readonly clients = new Map<string, LedgerClient>();

  constructor(ledger: LedgerUnderTest) {
    const { channel, organisations } = ledger.profile();
    this.ledger = ledger;
    this.channel = channel;
    this.organisations = organisations.map(({ mspId }) => mspId).toSorted();
  }

  async simulate(name: string, caller: Caller, ...args: string[]): Promise<Simulated> {
    return this.opened(await this.endorsed(name, caller, args));
  }

  async submit(name: string, caller: Caller, ...args: string[]): Promise<Simulated> {
    const transaction = await this.endorsed(name, caller, args);
    const { successful, code, blockNumber } = await (await transaction.submit()).getStatus();
    if (!successful) throw new Error(`${name} was marked ${code}`);
    for (const org of this.organisations) await this.reach(org, blockNumber);
    return this.opened(transaction);
  }

  async refused(name: string, caller: Caller, ...args: string[]): Promise<string> {
    try {
      await this.endorsed(name, caller, args);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      const said = error.details.map(({ mspId, message }) => {
        const [, code = message] = /chaincode response 500, ([A-Z_]+):/.exec(message) ?? [];
        return [mspId, code] as const;
      });
      const codes = new Set(said.map(([, code]) => code));
      expect(said.map(([org]) => org).toSorted(), error.message).to.deep.equal(this.organisations);
      expect([...codes], 'what the organisations say').to.have.length(1);
      return said[0]![1];
    }
    return 'accepted';
  }

  async find<T>(key: string): Promise<T | undefined> {
    const { contract } = await this.client({ org: this.organisations[0]!, role: 'service' });
    const answer = Buffer.from(await contract.evaluateTransaction('View', canonical([key]))).toString();
    return (JSON.parse(answer) as Partial<Record<string, T>>)[key];
  }

  async stop(): Promise<void> {
    for (const client of this.clients.values()) client.close();
    await this.ledger.stop();
  }

  /** Endorses it by all, again while a peer lags. */
  private async endorsed(name: string, caller: Caller, args: readonly string[]): Promise<Transaction> {
    const { contract } = await this.client(caller);
    const endorsingOrganizations = [...this.organisations];
    for (const end = Date.now() + CATCH_UP; ; await sleep(50)) {
      try {
        return await contract.newProposal(name, { arguments: [...args], endorsingOrganizations }).endorse();
      } catch (error) {
        const lagging = isDisagreement(error) && !/chaincode response/.test(saidBy(error).join());
        if (!lagging || Date.now() > end) throw error;
      }
    }
  }

  private opened(transaction: Transaction): Simulated {
    const { payload, endorsed, result } = openPrepared(transaction.getBytes());
    const endorsers = endorsed
      .getEndorsementsList()
      .map((one) => msp.SerializedIdentity.deserializeBinary(one.getEndorser_asU8()).getMspid());
    expect(endorsers.toSorted(), 'who endorsed').to.deep.equal(this.organisations);
    const header = common.ChannelHeader.deserializeBinary(
      present(payload.getHeader()).getChannelHeader_asU8(),
    );
    const { chaincode } = this.ledger.profile();
    return {
      answer: Buffer.from(transaction.getResult()).toString(),
      writes: readWriteSet(result, chaincode)
        .getWritesList()
        .map((write) => write.getKey()),
      at: Math.floor(present(header.getTimestamp()).getSeconds() / 60),
    };
  }

  /** Resolves when an organisation's own peer has a block. */
  private async reach(org: string, block: bigint): Promise<void> {
    const { network } = await this.client({ org, role: 'service' });
    const qscc = network.getContract('qscc');
    for (const end = Date.now() + CATCH_UP; ; await sleep(20)) {
      const bytes = await qscc.evaluateTransaction('GetChainInfo', this.channel);
      if (BigInt(common.BlockchainInfo.deserializeBinary(bytes).getHeight()) > block) return;
      if (Date.now() > end) throw new Error(`the peer of ${org} has no block ${block}`);
    }
  }

  private async client(caller: Caller): Promise<LedgerClient> {
    const id = `${caller.org} ${caller.role}`;
    let client = this.clients.get(id);
    if (!client) {
      client = connectAs(await this.person(caller), this.ledger.profile());
      this.clients.set(id, client);
    }
    return client;
  }

  private async person({ org, role }: Caller): Promise<Person> {
    const found = this.ledger.profile().organisations.find(({ mspId }) => mspId === org)!;
    if (role === 'service') return servicePerson(found);
    if (role === 'admin')
      return servicePerson({
        ...found,
        identities: { ...found.identities, service: found.identities.admin },
      });
    const attributes = role === null ? {} : { role };
    return this.ledger.issue(org, { name: `somebody of role ${role}`, ou: 'client', attributes });
  }
}
