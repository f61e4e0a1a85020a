// Context must be imported as a value: the shim counts a method's parameters by the types the decorators record.
import fabric, { Context } from 'fabric-contract-api';

// Under ESM, Node finds the decorators on the default import only.
const { Contract, Info, Returns, Transaction } = fabric;

/** What the behaviour suite makes a ledger do. It has no purpose of its own. */
@Info({ title: 'Probe', description: 'A contract that does what the behaviour suite asks of it' })
export class Probe extends Contract {
  constructor() {
    super('Probe');
  }

  /** Writes a new key and emits `created` with it. */
  @Transaction()
  @Returns('string')
  async create(ctx: Context, key: string, value: string): Promise<string> {
    const old = await ctx.stub.getState(key);
    if (old.length > 0) throw new Error(`EXISTS: ${key}`);
    await ctx.stub.putState(key, Buffer.from(value));
    ctx.stub.setEvent('created', Buffer.from(key));
    return ctx.stub.getTxID();
  }

  /** Adds to the number under a key: reads it and writes it. */
  @Transaction()
  @Returns('string')
  async add(ctx: Context, key: string, amount: string): Promise<string> {
    const old = await ctx.stub.getState(key);
    const sum = String(BigInt(Buffer.from(old).toString() || '0') + BigInt(amount));
    await ctx.stub.putState(key, Buffer.from(sum));
    return sum;
  }

  /** Writes without reading. */
  @Transaction()
  async put(ctx: Context, key: string, value: string): Promise<void> {
    await ctx.stub.putState(key, Buffer.from(value));
  }

  @Transaction()
  async delete(ctx: Context, key: string): Promise<void> {
    await ctx.stub.deleteState(key);
  }

  @Transaction(false)
  @Returns('string')
  async read(ctx: Context, key: string): Promise<string> {
    return Buffer.from(await ctx.stub.getState(key)).toString();
  }

  /** Writes a key and answers what it then reads there. */
  @Transaction()
  @Returns('string')
  async readOwnWrite(ctx: Context, key: string): Promise<string> {
    await ctx.stub.putState(key, Buffer.from('new'));
    return Buffer.from(await ctx.stub.getState(key)).toString() || 'nothing';
  }

  @Transaction()
  async fail(_ctx: Context, why: string): Promise<void> {
    throw new Error(why);
  }

  /** Writes something else wherever it is run. */
  @Transaction()
  async clock(ctx: Context, key: string): Promise<void> {
    await ctx.stub.putState(key, Buffer.from(process.hrtime.bigint().toString()));
  }

  @Transaction(false)
  @Returns('string')
  async whoAmI(ctx: Context): Promise<string> {
    const { clientIdentity } = ctx;
    return `${clientIdentity.getMSPID()} ${clientIdentity.getAttributeValue('role') ?? 'nobody'}`;
  }

  /** The transaction's time as the contract sees it, ISO 8601. */
  @Transaction(false)
  @Returns('string')
  async time(ctx: Context): Promise<string> {
    return ctx.stub.getDateTimestamp().toISOString();
  }

  /** The id of the contract's process. */
  @Transaction(false)
  @Returns('string')
  async processId(_ctx: Context): Promise<string> {
    return String(process.pid);
  }

  /** Ends the contract's process in the middle of a transaction. */
  @Transaction()
  async die(_ctx: Context): Promise<void> {
    process.kill(process.pid, 'SIGKILL');
  }

  @Transaction(false)
  async range(ctx: Context, start: string, end: string): Promise<void> {
    const rows = await ctx.stub.getStateByRange(start, end);
    await rows.close();
  }

  @Transaction(false)
  async history(ctx: Context, key: string): Promise<void> {
    const rows = await ctx.stub.getHistoryForKey(key);
    await rows.close();
  }

  @Transaction(false)
  async richQuery(ctx: Context): Promise<void> {
    const rows = await ctx.stub.getQueryResult('{"selector":{}}');
    await rows.close();
  }

  @Transaction()
  async putPrivate(ctx: Context, collection: string): Promise<void> {
    await ctx.stub.putPrivateData(collection, 'key', Buffer.from('value'));
  }

  @Transaction()
  async protectKey(ctx: Context, key: string): Promise<void> {
    await ctx.stub.setStateValidationParameter(key, Buffer.from('policy'));
  }

  @Transaction()
  async callOther(ctx: Context, chaincode: string): Promise<void> {
    await ctx.stub.invokeChaincode(chaincode, ['read', 'key'], '');
  }
}

export const contracts = [Probe];
