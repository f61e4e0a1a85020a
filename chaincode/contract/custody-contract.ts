import {
  canonical,
  keysOf,
  MAX_BATCH,
  MAX_ENTRY,
  parseCanonical,
  readLines,
  refereeBatch,
} from '@yaoji/chaincode/core';
// The decorators exist on the default import only, and Context must be imported as a value: its type is read at run time.
import fabric, { Context } from 'fabric-contract-api';
import { nodeSuite } from './node-suite.ts';
import * as registry from './registry.ts';
import type { Caller, Read } from './registry.ts';
import { readMany, writeMany } from './state.ts';

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
    const keys = keysOf(entries, [caller.org]);
    const found = await readMany(ctx.stub, keys);
    const values = new Map(keys.map((key, i) => [key, found[i]]));
    const { answer, writes } = await refereeBatch(batch, entries, values, minuteOf(ctx), nodeSuite);
    await writeMany(ctx.stub, writes);
    return canonical(answer);
  }

  /** The values under some keys (a canonical JSON array), as canonical JSON {key: value}; keys without a value are left out. */
  @Transaction(false)
  @Returns('string')
  async View(ctx: Context, keys: string): Promise<string> {
    const names = parseCanonical(keys);
    if (!Array.isArray(names) || names.length > MAX_VIEW || !names.every((name) => typeof name === 'string'))
      throw new registry.Refused('ARGUMENT_BAD', `keys are up to ${MAX_VIEW} strings`);
    const values = await readMany(ctx.stub, names);
    const found = names.flatMap((name, i) =>
      values[i] === undefined ? [] : [[name, parseCanonical(values[i])]],
    );
    return canonical(Object.fromEntries(found));
  }

  @Transaction()
  async Found(ctx: Context, members: string): Promise<void> {
    await writeMany(ctx.stub, await registry.found(members, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async AddMember(ctx: Context, member: string): Promise<void> {
    await writeMany(ctx.stub, await registry.addMember(member, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async PutSite(ctx: Context, site: string): Promise<void> {
    await writeMany(ctx.stub, await registry.putSite(site, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async RegisterDevice(ctx: Context, device: string): Promise<void> {
    await writeMany(ctx.stub, await registry.registerDevice(device, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async EnrolStation(ctx: Context, station: string): Promise<void> {
    await writeMany(ctx.stub, await registry.enrolStation(station, callerOf(ctx), reader(ctx)));
  }

  @Transaction()
  async RevokeStation(ctx: Context, station: string): Promise<void> {
    await writeMany(ctx.stub, await registry.revokeStation(station, callerOf(ctx), reader(ctx)));
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
  async (key) =>
    (await readMany(ctx.stub, [key]))[0];
