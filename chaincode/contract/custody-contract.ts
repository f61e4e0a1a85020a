import {
  canonical,
  keysOf,
  MAX_BATCH,
  MAX_ENTRY,
  parseCanonical,
  readLines,
  refereeBatch,
  type Json,
} from '@yaoji/chaincode/core';
// The decorators exist on the default import only, and Context must be imported as a value: its type is read at run time.
import fabric, { Context } from 'fabric-contract-api';
import { nodeSuite } from './node-suite.ts';
import * as registry from './registry.ts';
import type { Caller, Read, Writes } from './registry.ts';

const { Contract, Info, Transaction, Returns } = fabric;

const MAX_VIEW = 256;

/** The referee: every endorsing organisation runs this on its own copy of the state. */
@Info({ title: 'Custody', description: 'Judges custody entries and keeps every organisation’s log' })
export class CustodyContract extends Contract {
  constructor() {
    super('Custody');
  }

  /**
   * Judges one organisation's batch: `lines` is newline-joined canonical entries, `after` the batch number it follows, in
   * decimal. Answers an `Answer` of core as canonical JSON; when `after` is not the last batch, {stale} and writes nothing.
   */
  @Transaction()
  @Returns('string')
  async RecordBatch(ctx: Context, after: string, lines: string): Promise<string> {
    const caller = callerOf(ctx);
    registry.requireRole(caller, 'service');
    if (!/^(0|[1-9][0-9]{0,15})$/.test(after))
      throw new registry.Refused('ARGUMENT_BAD', 'after is a batch number');
    if (lines.length > MAX_BATCH * (MAX_ENTRY + 1))
      throw new registry.Refused('ARGUMENT_BAD', 'the batch is too large');
    const all = lines.split('\n');
    if (all.length > MAX_BATCH)
      throw new registry.Refused('ARGUMENT_BAD', `a batch has at most ${MAX_BATCH} entries`);
    const batch = { channel: ctx.stub.getChannelID(), org: caller.org, after: Number(after), lines: all };
    const entries = readLines(all);
    const read = reader(ctx);
    const values = new Map<string, string | undefined>();
    for (const key of keysOf(entries, [caller.org])) values.set(key, await read(key));
    const { answer, writes } = await refereeBatch(batch, entries, values, minuteOf(ctx), nodeSuite);
    await put(ctx, writes);
    return canonical(answer);
  }

  /** The values under some keys (a canonical JSON array), as canonical JSON {key: value}; keys without a value are left out. */
  @Transaction(false)
  @Returns('string')
  async View(ctx: Context, keys: string): Promise<string> {
    const names = parseCanonical(keys);
    if (!Array.isArray(names) || names.length > MAX_VIEW || !names.every((name) => typeof name === 'string'))
      throw new registry.Refused('ARGUMENT_BAD', `keys are up to ${MAX_VIEW} strings`);
    const read = reader(ctx);
    const found: Record<string, Json> = {};
    for (const name of names) {
      const value = await read(name);
      if (value !== undefined) found[name] = parseCanonical(value);
    }
    return canonical(found);
  }

  @Transaction()
  async Found(ctx: Context, members: string): Promise<void> {
    await put(ctx, await registry.found(members, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async AddMember(ctx: Context, member: string): Promise<void> {
    await put(ctx, await registry.addMember(member, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async PutSite(ctx: Context, site: string): Promise<void> {
    await put(ctx, await registry.putSite(site, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async RegisterDevice(ctx: Context, device: string): Promise<void> {
    await put(ctx, await registry.registerDevice(device, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async EnrolStation(ctx: Context, station: string): Promise<void> {
    await put(ctx, await registry.enrolStation(station, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async RevokeStation(ctx: Context, station: string): Promise<void> {
    await put(ctx, await registry.revokeStation(station, callerOf(ctx), reader(ctx)));
  }
}

function callerOf(ctx: Context): Caller {
  return { org: ctx.clientIdentity.getMSPID(), role: ctx.clientIdentity.getAttributeValue('role') };
}

/** The transaction's minute: the client names it and peers hold it to their clocks (peer.authentication.timewindow). */
function minuteOf(ctx: Context): number {
  return Math.floor(ctx.stub.getDateTimestamp().getTime() / 60_000);
}

const reader =
  (ctx: Context): Read =>
  async (key) => {
    const bytes = await ctx.stub.getState(key);
    // A missing key and an empty value are both an empty buffer; no empty value is ever written.
    return bytes.length ? Buffer.from(bytes).toString('utf8') : undefined;
  };

async function put(ctx: Context, writes: Writes): Promise<void> {
  for (const [key, value] of writes) await ctx.stub.putState(key, Buffer.from(value));
}
