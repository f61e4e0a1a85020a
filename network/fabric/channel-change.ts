import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { common } from '@hyperledger/fabric-protos';

import { flags } from '../flags.ts';
import { makeBlock } from './channel.ts';
import {
  organisationCount,
  readConfig,
  updateIn,
  withConsenter,
  withOrganisations,
  withoutMember,
  type Organisations,
} from './channel-config.ts';
import { majorityOf, type NetworkLayout, type Places } from './layout.ts';
import type { Member, PublicMember } from './members.ts';
import { ordererOptions, type Tools } from './tools.ts';
import { insist } from './wait.ts';

const LIMIT_MS = 60_000;

/** A channel whose configuration is to be changed, and the members who are there to change it. */
export interface Changing {
  readonly tools: Tools;
  readonly places: Places;
  readonly layout: NetworkLayout;
  readonly members: readonly Member[];
}

/**
 * Has a majority of the members take another member's organisations into the channel, unless they are in it. Answers with
 * the configuration block that says so, which its orderer may join from.
 */
export async function admitOrganisations(changing: Changing, joining: Member): Promise<string> {
  const example = await exampleWith(changing, joining);
  return change(changing, (config) => withOrganisations(config, example, joining.identities));
}

/** Has a majority of the members let another member's orderer order, unless it does. */
export async function admitConsenter(changing: Changing, joining: Member): Promise<void> {
  const example = await exampleWith(changing, joining);
  await change(changing, (config) => withConsenter(config, example, joining.identities));
}

/** Has a majority of the members take a member out of the channel, unless it is out of it. */
export async function dismissOrganisations(changing: Changing, leaving: Organisations): Promise<void> {
  await change(changing, (config) => withoutMember(config, leaving));
}

/** The configuration of a channel that a member is in from the start, beside the others. */
async function exampleWith(
  { tools, places, layout, members }: Changing,
  joining: PublicMember,
): Promise<common.Config> {
  const folder = join(places.channel, 'example');
  const block = join(folder, 'example.block');
  try {
    await makeBlock(tools, folder, block, layout.ordering, [...members, joining]);
    return readConfig(block);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Changes the channel's configuration unless there is nothing to change. Answers with the block of the one in force. */
async function change(
  changing: Changing,
  edit: (config: common.Config) => common.Config | undefined,
): Promise<string> {
  const { tools, places, layout, members } = changing;
  const [first] = members;
  if (!first) throw new Error('the network has no members');
  mkdirSync(places.channel, { recursive: true });
  const current = join(places.channel, 'current.block');
  const fetch = (): Promise<common.Config> => fetchConfig({ tools, layout, members }, first, current);
  const original = await fetch();
  const updated = edit(original);
  if (!updated) return current;
  const update = join(places.channel, 'update.tx');
  writeFileSync(update, await updateOf(tools, places.channel, original, updated));
  await agree(changing, original, update);
  await insist('the channel has the new configuration', LIMIT_MS, async () => {
    if (edit(await fetch())) throw new Error('it has the old one');
  });
  return current;
}

/** A channel as a member asks about it. */
interface Asking {
  readonly tools: Tools;
  readonly layout: NetworkLayout;
  readonly members: readonly PublicMember[];
}

/** The configuration that a member's administrator is told to be in force; its block is written to the file. */
export async function fetchConfig(
  { tools, layout, members }: Asking,
  member: Member,
  file: string,
): Promise<common.Config> {
  const command = ['channel', 'fetch', 'config', file, '-c', tools.channel];
  await tools.peer(member, ...command, ...ordererOptions(layout, members, member));
  return readConfig(file);
}

/** Adds to an update's file the signatures of a member's two administrators. */
export async function signUpdate(tools: Tools, member: Member, file: string): Promise<void> {
  await tools.peer(member, 'channel', 'signconfigtx', '-f', file);
  await tools.peerAsOrderer(member, 'channel', 'signconfigtx', '-f', file);
}

/** Has a member's administrator send an update that majorities have signed. */
export async function sendUpdate(
  { tools, layout, members }: Asking,
  member: Member,
  file: string,
): Promise<void> {
  const send = ['channel', 'update', '-f', file, '-c', tools.channel];
  await tools.peer(member, ...send, ...ordererOptions(layout, members, member));
}

/**
 * The update in a transaction written anew, unsigned: Fabric might read more in the bytes that somebody has sent than we do, a
 * field that is there twice for instance, and in these it reads what we have read. All who write it get the same bytes.
 */
export function writtenAnew(channelId: string, envelope: Uint8Array): Uint8Array {
  const update = common.ConfigUpdate.deserializeBinary(updateIn(envelope).getConfigUpdate_asU8());
  return envelopeOf(channelId, update.serializeBinary(), []).serializeBinary();
}

/** One transaction with all signatures of several that are of the same update. Throws when they are not. */
export function withSignatures(channelId: string, envelopes: readonly Uint8Array[]): Uint8Array {
  const [first, ...others] = envelopes.map(updateIn);
  if (!first) throw new Error('nobody has signed');
  const bytes = Buffer.from(first.getConfigUpdate_asU8());
  if (others.some((other) => !bytes.equals(other.getConfigUpdate_asU8()))) {
    throw new Error('not all have signed the same update');
  }
  const signatures = [first, ...others].flatMap((one) => one.getSignaturesList());
  return envelopeOf(channelId, bytes, signatures).serializeBinary();
}

/** The unsigned transaction that leads from one configuration to another, as the bytes that Fabric's commands take. */
export async function updateOf(
  tools: Tools,
  folder: string,
  original: common.Config,
  updated: common.Config,
): Promise<Uint8Array> {
  const path = (name: string): string => join(folder, `${name}.pb`);
  writeFileSync(path('original'), original.serializeBinary());
  writeFileSync(path('updated'), updated.serializeBinary());
  const files = flags({
    '--channel_id': tools.channel,
    '--original': path('original'),
    '--updated': path('updated'),
    // The command cannot write to the kind of pipe that Node gives it.
    '--output': path('update'),
  });
  try {
    await tools.configtxlator('compute_update', ...files);
    return envelopeOf(tools.channel, readFileSync(path('update')), []).serializeBinary();
  } finally {
    for (const name of ['original', 'updated', 'update']) rmSync(path(name), { force: true });
  }
}

/** Has the administrators of majorities sign an update, those of the organisations and those of the orderers, and sends it. */
async function agree(
  { tools, layout, members }: Changing,
  config: common.Config,
  update: string,
): Promise<void> {
  // Each member has one organisation of either kind.
  const signers = members.slice(0, majorityOf(organisationCount(config)));
  for (const signer of signers) await signUpdate(tools, signer, update);
  await sendUpdate({ tools, layout, members }, members[0]!, update);
}

function envelopeOf(
  channelId: string,
  update: Uint8Array,
  signatures: common.ConfigSignature[],
): common.Envelope {
  const body = new common.ConfigUpdateEnvelope();
  body.setConfigUpdate(update);
  body.setSignaturesList(signatures);
  const channel = new common.ChannelHeader();
  channel.setType(common.HeaderType.CONFIG_UPDATE);
  channel.setChannelId(channelId);
  const header = new common.Header();
  header.setChannelHeader(channel.serializeBinary());
  const payload = new common.Payload();
  payload.setHeader(header);
  payload.setData(body.serializeBinary());
  const envelope = new common.Envelope();
  envelope.setPayload(payload.serializeBinary());
  return envelope;
}
