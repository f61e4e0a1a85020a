import { common, msp } from '@hyperledger/fabric-protos';

import type { OrganisationIdentities } from '../identities/organisation.ts';
import { newBlock, signBlock, SIGNATURES, TRANSACTIONS_FILTER } from './block.ts';
import { CHANNEL } from './names.ts';
import { Code } from './validation.ts';

const WARNING =
  'DEVELOPMENT: one process holds every key of this channel. Nothing signed here proves anything.';

/**
 * Block 0: a configuration that names the organisations' CAs and the orderers where Fabric's does, so that a verifier finds
 * its trust root there, and says that this is the local ledger. Like Fabric's, it is signed by nobody.
 */
export function newGenesis(organisations: readonly OrganisationIdentities[]): common.Block {
  const members = organisations.map(({ mspId, ca }) => [mspId, newMspGroup(mspId, ca)] as const);
  const application = newGroup(members, []);
  const orderers = newGroup(members, [['Orderers', newConsenters(organisations)]]);
  const channel = newGroup(
    [
      ['Application', application],
      ['Orderer', orderers],
    ],
    [['LocalLedger', Buffer.from(WARNING)]],
  );
  const block = newBlock(0, new Uint8Array(), [newConfigEnvelope(channel)]);
  const { header, metadata } = { header: block.getHeader(), metadata: block.getMetadata() };
  if (!header || !metadata) throw new Error('a new block has a header and metadata');
  const list = metadata.getMetadataList_asU8();
  list[SIGNATURES] = signBlock(header, new Map());
  list[TRANSACTIONS_FILTER] = Uint8Array.of(Code.VALID);
  metadata.setMetadataList(list);
  return block;
}

type Named<T> = readonly (readonly [string, T])[];

function newGroup(groups: Named<common.ConfigGroup>, values: Named<Uint8Array>): common.ConfigGroup {
  const group = new common.ConfigGroup();
  for (const [name, child] of groups) group.getGroupsMap().set(name, child);
  for (const [name, bytes] of values) {
    const value = new common.ConfigValue();
    value.setValue(bytes);
    value.setModPolicy('Admins');
    group.getValuesMap().set(name, value);
  }
  return group;
}

function newMspGroup(mspId: string, ca: string): common.ConfigGroup {
  const fabric = new msp.FabricMSPConfig();
  fabric.setName(mspId);
  fabric.addRootCerts(Buffer.from(ca));
  const config = new msp.MSPConfig();
  config.setConfig(fabric.serializeBinary());
  return newGroup([], [['MSP', config.serializeBinary()]]);
}

function newConsenters(organisations: readonly OrganisationIdentities[]): Uint8Array {
  const orderers = new common.Orderers();
  for (const [index, { mspId, orderer }] of organisations.entries()) {
    const consenter = new common.Consenter();
    consenter.setId(index + 1);
    consenter.setHost('127.0.0.1');
    consenter.setMspId(mspId);
    consenter.setIdentity(Buffer.from(orderer.certificate));
    orderers.addConsenterMapping(consenter);
  }
  return orderers.serializeBinary();
}

function newConfigEnvelope(channelGroup: common.ConfigGroup): Uint8Array {
  const config = new common.Config();
  config.setChannelGroup(channelGroup);
  const body = new common.ConfigEnvelope();
  body.setConfig(config);
  const channelHeader = new common.ChannelHeader();
  channelHeader.setType(common.HeaderType.CONFIG);
  channelHeader.setChannelId(CHANNEL);
  const header = new common.Header();
  header.setChannelHeader(channelHeader.serializeBinary());
  header.setSignatureHeader(new common.SignatureHeader().serializeBinary());
  const payload = new common.Payload();
  payload.setHeader(header);
  payload.setData(body.serializeBinary());
  const envelope = new common.Envelope();
  envelope.setPayload(payload.serializeBinary());
  return envelope.serializeBinary();
}
