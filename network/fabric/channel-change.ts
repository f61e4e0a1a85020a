import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { common } from '@hyperledger/fabric-protos';

import { flags } from '../flags.ts';
import { makeBlock } from './channel.ts';
import { CHANNEL, majorityOf, type NetworkLayout, type Places } from './layout.ts';
import type { Member } from './members.ts';
import { ordererOptions, type Tools } from './tools.ts';

/** A channel whose configuration is to be changed, and its members until then. */
export interface Changing {
  readonly tools: Tools;
  readonly places: Places;
  readonly layout: NetworkLayout;
  readonly members: readonly Member[];
}

/**
 * Has a majority of the members take another organisation into the channel, unless it is in it: its peers may then follow
 * the channel and endorse. It gets no part in ordering.
 */
export async function admitOrganisation(changing: Changing, joining: Member): Promise<void> {
  const { tools, places, layout, members } = changing;
  const [first] = members;
  if (!first) throw new Error('the network has no members');
  const { mspId } = joining.layout;
  const folder = join(places.channel, `admit-${mspId}`);
  mkdirSync(folder, { recursive: true });
  try {
    const current = join(folder, 'current.block');
    const fetch = ['channel', 'fetch', 'config', current, '-c', CHANNEL];
    await tools.peer(first, ...fetch, ...ordererOptions(layout, members, first));
    const original = readConfig(current);
    if (organisationsOf(original).has(mspId)) return;
    const updated = original.clone();
    organisationsOf(updated).set(mspId, await describe(changing, folder, joining));
    await agree(changing, folder, await difference(tools, folder, original, updated));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What a channel's configuration says of an organisation: taken from that of a channel which it is in from the start. */
async function describe(
  { tools, layout, members }: Changing,
  folder: string,
  joining: Member,
): Promise<common.ConfigGroup> {
  const block = join(folder, 'example.block');
  await makeBlock(tools, folder, block, layout.ordering, [...members, joining]);
  const group = organisationsOf(readConfig(block)).get(joining.layout.mspId);
  if (!group) throw new Error(`configtxgen says nothing of ${joining.layout.mspId}`);
  return group;
}

/** The update that leads from one configuration to another: a common.ConfigUpdate's bytes. */
async function difference(
  tools: Tools,
  folder: string,
  original: common.Config,
  updated: common.Config,
): Promise<Uint8Array> {
  const path = (name: string): string => join(folder, `${name}.pb`);
  writeFileSync(path('original'), original.serializeBinary());
  writeFileSync(path('updated'), updated.serializeBinary());
  const files = flags({
    '--channel_id': CHANNEL,
    '--original': path('original'),
    '--updated': path('updated'),
    // The command cannot write to the kind of pipe that Node gives it.
    '--output': path('update'),
  });
  await tools.configtxlator('compute_update', ...files);
  return readFileSync(path('update'));
}

/** Has the administrators of a majority of the members sign an update, and the last of them send it. */
async function agree(
  { tools, layout, members }: Changing,
  folder: string,
  update: Uint8Array,
): Promise<void> {
  const file = join(folder, 'update.tx');
  writeFileSync(file, envelopeOf(update).serializeBinary());
  const signers = members.slice(0, majorityOf(members.length));
  const sender = signers.pop();
  if (!sender) throw new Error('the network has no members');
  // Each adds its signature to the file.
  for (const signer of signers) await tools.peer(signer, 'channel', 'signconfigtx', '-f', file);
  const send = ['channel', 'update', '-f', file, '-c', CHANNEL];
  await tools.peer(sender, ...send, ...ordererOptions(layout, members, sender));
}

function envelopeOf(update: Uint8Array): common.Envelope {
  const body = new common.ConfigUpdateEnvelope();
  body.setConfigUpdate(update);
  const channel = new common.ChannelHeader();
  channel.setType(common.HeaderType.CONFIG_UPDATE);
  channel.setChannelId(CHANNEL);
  const header = new common.Header();
  header.setChannelHeader(channel.serializeBinary());
  const payload = new common.Payload();
  payload.setHeader(header);
  payload.setData(body.serializeBinary());
  const envelope = new common.Envelope();
  envelope.setPayload(payload.serializeBinary());
  return envelope;
}

/** The configuration in a configuration block's file. Throws when it is none. */
export function readConfig(file: string): common.Config {
  const [bytes] = common.Block.deserializeBinary(readFileSync(file)).getData()?.getDataList_asU8() ?? [];
  if (!bytes) throw new Error(`${file} is no configuration block`);
  const payload = common.Payload.deserializeBinary(
    common.Envelope.deserializeBinary(bytes).getPayload_asU8(),
  );
  const config = common.ConfigEnvelope.deserializeBinary(payload.getData_asU8()).getConfig();
  if (!config) throw new Error(`${file} is no configuration block`);
  return config;
}

function organisationsOf(config: common.Config) {
  const application = config.getChannelGroup()?.getGroupsMap().get('Application');
  if (!application) throw new Error('the channel has no application');
  return application.getGroupsMap();
}
