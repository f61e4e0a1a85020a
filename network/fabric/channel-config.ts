import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';

import { common, msp, orderer } from '@hyperledger/fabric-protos';

// Changes of a channel's configuration, as Fabric's messages. Each is a step that a majority signs at once, and answers with
// nothing where the configuration says so already.

/** The names of a member's two organisations. */
export interface Organisations {
  readonly mspId: string;
  readonly ordererMspId: string;
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

/**
 * Takes a member's organisations in, as the configuration of another channel has them: its peers may then follow the channel
 * and endorse, its orderer may follow.
 */
export function withOrganisations(
  config: common.Config,
  example: common.Config,
  { mspId, ordererMspId }: Organisations,
): common.Config | undefined {
  const changed = config.clone();
  const missing = (
    [
      ['Application', mspId],
      ['Orderer', ordererMspId],
    ] as const
  ).filter(([section, name]) => !sectionOf(changed, section).getGroupsMap().has(name));
  if (missing.length === 0) return undefined;
  for (const [section, name] of missing) {
    sectionOf(changed, section)
      .getGroupsMap()
      .set(name, organisationIn(example, section, name));
  }
  return changed;
}

/** Makes a member's orderer one of those that order, as the configuration of another channel has it. */
export function withConsenter(
  config: common.Config,
  example: common.Config,
  { ordererMspId }: Organisations,
): common.Config | undefined {
  const addresses = addressesOf(example, ordererMspId);
  return changeConsenters(config, {
    bft: (consenters) => {
      if (consenters.some(isAt(addresses))) return undefined;
      const joining = bftConsenters.read(example).filter(isAt(addresses));
      const last = Math.max(...consenters.map((one) => one.getId()));
      joining.forEach((one, i) => one.setId(last + 1 + i));
      return [...consenters, ...joining];
    },
    raft: (consenters) =>
      consenters.some(isAt(addresses))
        ? undefined
        : [...consenters, ...raftConsenters.read(example).filter(isAt(addresses))],
  });
}

/** Takes a member's organisations and its orderer out. */
export function withoutMember(
  config: common.Config,
  { mspId, ordererMspId }: Organisations,
): common.Config | undefined {
  const isIn = (name: string, section: Section): boolean =>
    sectionOf(config, section).getGroupsMap().has(name);
  if (!isIn(mspId, 'Application') && !isIn(ordererMspId, 'Orderer')) return undefined;
  const addresses = isIn(ordererMspId, 'Orderer') ? addressesOf(config, ordererMspId) : [];
  const isLeft = (one: Consenter): boolean => !isAt(addresses)(one);
  const changed =
    changeConsenters(config, {
      bft: (consenters) => consenters.filter(isLeft),
      raft: (consenters) => consenters.filter(isLeft),
    }) ?? config.clone();
  sectionOf(changed, 'Application').getGroupsMap().del(mspId);
  sectionOf(changed, 'Orderer').getGroupsMap().del(ordererMspId);
  return changed;
}

/** Whether two configurations have the same organisations, however often they were changed. */
export function sameOrganisations(one: common.Config, other: common.Config): boolean {
  const plain = (config: common.Config): unknown =>
    (['Application', 'Orderer'] as const).map((section) =>
      withoutVersions(sorted(sectionOf(config, section).toObject().groupsMap)),
    );
  return isDeepStrictEqual(plain(one), plain(other));
}

/** Whether two transactions that change a channel do the same, whoever has signed them. */
export function sameUpdate(one: Uint8Array, other: Uint8Array): boolean {
  const plain = (envelope: Uint8Array): unknown =>
    sorted(common.ConfigUpdate.deserializeBinary(updateIn(envelope).getConfigUpdate_asU8()).toObject());
  return isDeepStrictEqual(plain(one), plain(other));
}

/** The update in a transaction that changes a channel. */
export function updateIn(envelope: Uint8Array): common.ConfigUpdateEnvelope {
  const payload = common.Payload.deserializeBinary(
    common.Envelope.deserializeBinary(envelope).getPayload_asU8(),
  );
  return common.ConfigUpdateEnvelope.deserializeBinary(payload.getData_asU8());
}

// A map's entries have no order.
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) {
    const entries = value.map(sorted);
    const isMap = entries.every((one) => Array.isArray(one) && typeof one[0] === 'string');
    return isMap ? (entries as [string][]).sort(([a], [b]) => (a < b ? -1 : 1)) : entries;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, field]) => [name, sorted(field)]));
}

function withoutVersions(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutVersions);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.entries(value).filter(([name]) => name !== 'version');
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutVersions(field)]));
}

/** How many members a channel has: of so many Fabric's policies want a majority. */
export function organisationCount(config: common.Config): number {
  return sectionOf(config, 'Application').getGroupsMap().getLength();
}

type Section = 'Application' | 'Orderer';

function sectionOf(config: common.Config, section: Section): common.ConfigGroup {
  const found = config.getChannelGroup()?.getGroupsMap().get(section);
  if (!found) throw new Error(`the channel has no ${section}`);
  return found;
}

function organisationIn(config: common.Config, section: Section, name: string): common.ConfigGroup {
  const found = sectionOf(config, section).getGroupsMap().get(name);
  if (!found) throw new Error(`the configuration says nothing of ${name}`);
  return found;
}

function valueIn(group: common.ConfigGroup, name: string): common.ConfigValue {
  const found = group.getValuesMap().get(name);
  if (!found) throw new Error(`the configuration has no ${name}`);
  return found;
}

/** Where an orderer organisation's orderers are reached, host:port. */
function addressesOf(config: common.Config, ordererMspId: string): string[] {
  const endpoints = valueIn(organisationIn(config, 'Orderer', ordererMspId), 'Endpoints');
  return common.OrdererAddresses.deserializeBinary(endpoints.getValue_asU8()).getAddressesList();
}

interface Consenter {
  getHost(): string;
  getPort(): number;
}

const isAt =
  (addresses: readonly string[]) =>
  (one: Consenter): boolean =>
    addresses.includes(`${one.getHost()}:${one.getPort()}`);

/** Where a configuration keeps the list of those that order. */
interface ConsenterList<C extends Consenter> {
  read(config: common.Config): C[];
  write(config: common.Config, consenters: C[]): void;
}

const bftConsenters: ConsenterList<common.Consenter> = {
  read: (config) =>
    common.Orderers.deserializeBinary(
      valueIn(sectionOf(config, 'Orderer'), 'Orderers').getValue_asU8(),
    ).getConsenterMappingList(),
  write(config, consenters) {
    const section = sectionOf(config, 'Orderer');
    const orderers = new common.Orderers();
    orderers.setConsenterMappingList(consenters);
    valueIn(section, 'Orderers').setValue(orderers.serializeBinary());
    section.getPoliciesMap().get('BlockValidation')?.setPolicy(quorumOf(consenters));
  },
};

const raftConsenters: ConsenterList<orderer.etcdraft.Consenter> = {
  read: (config) => raftMetadata(config).getConsentersList(),
  write(config, consenters) {
    const type = consensusOf(config);
    const metadata = raftMetadata(config);
    metadata.setConsentersList(consenters);
    type.setMetadata(metadata.serializeBinary());
    valueIn(sectionOf(config, 'Orderer'), 'ConsensusType').setValue(type.serializeBinary());
  },
};

const consensusOf = (config: common.Config): orderer.ConsensusType =>
  orderer.ConsensusType.deserializeBinary(
    valueIn(sectionOf(config, 'Orderer'), 'ConsensusType').getValue_asU8(),
  );

const raftMetadata = (config: common.Config): orderer.etcdraft.ConfigMetadata =>
  orderer.etcdraft.ConfigMetadata.deserializeBinary(consensusOf(config).getMetadata_asU8());

function changeConsenters(
  config: common.Config,
  change: {
    readonly bft: (now: common.Consenter[]) => common.Consenter[] | undefined;
    readonly raft: (now: orderer.etcdraft.Consenter[]) => orderer.etcdraft.Consenter[] | undefined;
  },
): common.Config | undefined {
  const write = <C extends Consenter>(
    list: ConsenterList<C>,
    decide: (now: C[]) => C[] | undefined,
  ): common.Config | undefined => {
    const next = decide(list.read(config));
    if (!next) return undefined;
    const changed = config.clone();
    list.write(changed, next);
    return changed;
  };
  return consensusOf(config).getType() === 'BFT'
    ? write(bftConsenters, change.bft)
    : write(raftConsenters, change.raft);
}

/** How many of so many BFT orderers must sign a block. */
export function bftQuorum(orderers: number): number {
  const faulty = Math.floor((orderers - 1) / 3);
  return Math.ceil((orderers + faulty + 1) / 2);
}

/**
 * The policy that BFT orderers' blocks are checked by: they refuse a list of themselves whose policy is another one, byte for
 * byte (Fabric's common/policies/bft.go).
 */
function quorumOf(consenters: readonly common.Consenter[]): common.Policy {
  const outOf = new common.SignaturePolicy.NOutOf();
  outOf.setN(bftQuorum(consenters.length));
  outOf.setRulesList(
    consenters.map((_, i) => {
      const signedBy = new common.SignaturePolicy();
      signedBy.setSignedBy(i);
      return signedBy;
    }),
  );
  const rule = new common.SignaturePolicy();
  rule.setNOutOf(outOf);
  const envelope = new common.SignaturePolicyEnvelope();
  envelope.setRule(rule);
  envelope.setIdentitiesList(consenters.map(principalOf));
  const policy = new common.Policy();
  policy.setType(common.Policy.PolicyType.SIGNATURE);
  policy.setValue(envelope.serializeBinary());
  return policy;
}

function principalOf(consenter: common.Consenter): msp.MSPPrincipal {
  const identity = new msp.SerializedIdentity();
  identity.setMspid(consenter.getMspId());
  identity.setIdBytes(consenter.getIdentity_asU8());
  const principal = new msp.MSPPrincipal();
  principal.setPrincipalClassification(msp.MSPPrincipal.Classification.IDENTITY);
  principal.setPrincipal(identity.serializeBinary());
  return principal;
}
