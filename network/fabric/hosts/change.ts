import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import { common } from '@hyperledger/fabric-protos';

import { ordererMspOf } from '../../identities/member.ts';
import type { Binaries } from '../binaries.ts';
import { makeBlock } from '../channel.ts';
import {
  fetchConfig,
  sendUpdate,
  signUpdate,
  updateOf,
  withSignatures,
  writtenAnew,
} from '../channel-change.ts';
import {
  readConfig,
  sameOrganisations,
  sameUpdate,
  withConsenter,
  withOrganisations,
  withoutMember,
} from '../channel-config.ts';
import { checkEnough } from '../dismiss.ts';
import { placesIn } from '../layout.ts';
import { Tools } from '../tools.ts';
import { insist } from '../wait.ts';
import { memberOf, parseConsortium, type Consortium, type HostMember } from './consortium.ts';
import { saveFolder, type HostFolder } from './folder.ts';
import { newHandOver, parseHandOver, printHandOver, writePublicMember, type HandOver } from './hand-over.ts';
import type { Host } from './operate.ts';

// A member joins or leaves a network over several hosts by files that the members give one another; none holds a key.

const LIMIT_MS = 60_000;

/** The files of a proposed change. */
const filesOf = (folder: string) => ({
  description: join(folder, 'consortium.json'),
  members: join(folder, 'members'),
  genesis: join(folder, 'genesis.block'),
  /** The configuration that it was proposed on. */
  config: join(folder, 'config.block'),
  update: join(folder, 'update.tx'),
});

/** Whether a folder is a proposed change, which a new member can accept. */
export const isProposal = (folder: string): boolean => existsSync(filesOf(folder).config);

/** What a description changes: one member joins, or one leaves. */
interface Change {
  readonly consortium: Consortium;
  readonly member: HostMember;
  readonly joins: boolean;
  /** What each member of the new description is known by; of whoever joins it is what was handed over. */
  readonly handOvers: readonly HandOver[];
}

/**
 * Writes the next change of the channel that leads to a new description, for the members to sign: that takes a member's
 * organisations in, that makes its orderer one of those that order, or that takes a member out. Answers in words with what
 * it does; with nothing, and writes no update, when the channel is as described.
 */
export async function proposeChange(
  host: Host,
  description: string,
  handOvers: readonly string[],
  out: string,
): Promise<string | undefined> {
  if (existsSync(out)) throw new Error(`${out} is there already`);
  const { folder, deploying } = host;
  const change = compare(folder, description, handOvers);
  const files = filesOf(out);
  mkdirSync(files.members, { recursive: true });
  writeFileSync(files.description, description);
  for (const handOver of change.handOvers) {
    writeFileSync(join(files.members, `${handOver.member.mspId}.json`), printHandOver(handOver));
  }
  copyFileSync(folder.places.genesis, files.genesis);
  const original = await fetchConfig(deploying, host.member, files.config);
  const next = await nextConfig(deploying.tools, change, original);
  if (!next) return undefined;
  writeFileSync(files.update, await updateOf(deploying.tools, out, original, next.config));
  return next.says;
}

/**
 * Signs a proposed change with this member's administrators' keys, that of its organisation and that of its orderer's, and
 * answers in words with what it does. Throws when the update does anything else than description and hand-over say.
 */
export async function signChange(host: Host, proposal: string, out: string): Promise<string> {
  const { folder, deploying, member } = host;
  const { tools } = deploying;
  const change = readProposal(folder, proposal);
  const working = mkdtempSync(join(tmpdir(), 'yaoji-change-'));
  try {
    const original = await fetchConfig(deploying, member, join(working, 'config.block'));
    const next = await nextConfig(tools, change, original);
    if (!next) throw new Error('the channel is as the description says already');
    const expected = await updateOf(tools, working, original, next.config);
    const given = writtenAnew(tools.channel, readFileSync(filesOf(proposal).update));
    if (!sameUpdate(given, expected)) {
      throw new Error(`the update does something else than this: ${next.says}`);
    }
    writeFileSync(out, given);
    await signUpdate(tools, member, out);
    return next.says;
  } finally {
    rmSync(working, { recursive: true });
  }
}

/** Sends a change with the signatures that members gave, and resolves when the channel is changed. */
export async function sendChange(host: Host, proposal: string, signed: readonly string[]): Promise<string> {
  const { folder, deploying, member } = host;
  const change = readProposal(folder, proposal);
  const working = mkdtempSync(join(tmpdir(), 'yaoji-change-'));
  try {
    const update = join(working, 'update.tx');
    writeFileSync(
      update,
      withSignatures(
        deploying.tools.channel,
        signed.map((file) => readFileSync(file)),
      ),
    );
    const now = (): Promise<common.Config> => fetchConfig(deploying, member, join(working, 'config.block'));
    const before = await nextConfig(deploying.tools, change, await now());
    if (!before) throw new Error('the channel is as the description says already');
    await sendUpdate(deploying, member, update);
    await insist('the channel is changed', LIMIT_MS, async () => {
      const after = await nextConfig(deploying.tools, change, await now());
      if (after?.says === before.says) throw new Error('it has the old configuration');
    });
    return before.says;
  } finally {
    rmSync(working, { recursive: true });
  }
}

/** Takes a description that the channel follows already into a member's folder. Throws while it does not. */
export async function takeChange(host: Host, proposal: string): Promise<HostFolder> {
  const { folder, deploying, member } = host;
  const change = readProposal(folder, proposal);
  const working = mkdtempSync(join(tmpdir(), 'yaoji-change-'));
  try {
    const config = await fetchConfig(deploying, member, join(working, 'config.block'));
    const next = await nextConfig(deploying.tools, change, config);
    if (next) throw new Error(`the channel is not as described yet: ${next.says} comes first`);
  } finally {
    rmSync(working, { recursive: true });
  }
  const joining = change.handOvers.find(({ member: one }) => one.mspId === change.member.mspId);
  if (joining) writePublicMember(folder.places, joining);
  else rmSync(folder.places.member(change.member.mspId), { recursive: true, force: true });
  return saveFolder({
    ...folder,
    description: readFileSync(filesOf(proposal).description, 'utf8'),
    consortium: change.consortium,
    own: memberOf(change.consortium, folder.own.mspId),
  });
}

/**
 * Takes what a new member needs to join from a proposal that the others have sent: what the others are known by, block 0 and
 * a configuration that has this member. Throws when the configuration has other organisations than the description, or this
 * member with other certificates.
 */
export async function acceptInvitation(
  binaries: Binaries,
  { places, consortium, own, description }: HostFolder,
  from: string,
): Promise<void> {
  const files = filesOf(from);
  if (readFileSync(files.description, 'utf8') !== description) {
    throw new Error(`${files.description} is not the description that this folder was made for`);
  }
  const handOvers = readdirSync(files.members).map((name) =>
    parseHandOver(readFileSync(join(files.members, name), 'utf8'), consortium.members),
  );
  const ours = handOvers.find(({ member }) => member.mspId === own.mspId);
  if (!isDeepStrictEqual(ours, newHandOver(places, own))) {
    throw new Error(`${from} has other certificates of ${own.mspId} than this folder`);
  }
  const example = await exampleOf(new Tools(binaries, places, consortium.channel), consortium, handOvers);
  if (!sameOrganisations(readConfig(files.config), example)) {
    throw new Error(
      `${files.config} is not of the organisations that the description and the hand-overs name`,
    );
  }
  for (const handOver of handOvers) {
    if (handOver !== ours) writePublicMember(places, handOver);
  }
  mkdirSync(places.channel, { recursive: true });
  copyFileSync(files.genesis, places.genesis);
  copyFileSync(files.config, places.joining);
}

function readProposal(folder: HostFolder, proposal: string): Change {
  const files = filesOf(proposal);
  const description = readFileSync(files.description, 'utf8');
  const known = new Set(folder.consortium.members.map(({ mspId }) => mspId));
  const joining = parseConsortium(description).members.filter(({ mspId }) => !known.has(mspId));
  const handOvers = joining.map(({ mspId }) => readFileSync(join(files.members, `${mspId}.json`), 'utf8'));
  return compare(folder, description, handOvers);
}

/** What a new description changes. Throws a sentence when that is not one member more or one less. */
function compare(folder: HostFolder, description: string, handOvers: readonly string[]): Change {
  const { consortium: now, own, places } = folder;
  const consortium = parseConsortium(description);
  if (consortium.channel !== now.channel || consortium.ordering !== now.ordering) {
    throw new Error('the channel and how it orders stay as they are');
  }
  memberOf(consortium, own.mspId);
  const missingIn = (list: readonly HostMember[], other: readonly HostMember[]): HostMember[] =>
    other.filter(({ mspId }) => list.every((one) => one.mspId !== mspId));
  const joining = missingIn(now.members, consortium.members);
  const leaving = missingIn(consortium.members, now.members);
  const [member, ...more] = [...joining, ...leaving];
  const staying = consortium.members.filter((one) => one !== member);
  const isChanged = staying.some((one) => now.members.every((before) => !isDeepStrictEqual(one, before)));
  if (!member || more.length > 0 || isChanged) {
    throw new Error('a change is one member more, or one less, and nothing else');
  }
  if (leaving.length > 0) checkEnough(consortium.ordering, consortium.members.length);
  const given = handOvers.map((text) => parseHandOver(text, joining));
  if (given.length !== joining.length) {
    throw new Error(`as many hand-overs are needed as members join: ${joining.length}`);
  }
  const known = staying.map((one) => newHandOver(places, one));
  return { consortium, member, joins: joining.length > 0, handOvers: [...known, ...given] };
}

/** The next configuration towards a change, and what that does, in words; nothing when it is made. */
async function nextConfig(
  tools: Tools,
  { consortium, member: { mspId }, joins, handOvers }: Change,
  config: common.Config,
): Promise<{ config: common.Config; says: string } | undefined> {
  const organisations = { mspId, ordererMspId: ordererMspOf(mspId) };
  const say = (next: common.Config | undefined, says: string) => next && { config: next, says };
  if (!joins) return say(withoutMember(config, organisations), `takes ${mspId} out of the channel`);
  const example = await exampleOf(tools, consortium, handOvers);
  return (
    say(withOrganisations(config, example, organisations), `takes ${mspId} into the channel`) ??
    say(withConsenter(config, example, organisations), `lets the orderer of ${mspId} order`)
  );
}

/** The configuration of a channel that all members are in from the start. */
async function exampleOf(
  tools: Tools,
  { ordering }: Consortium,
  handOvers: readonly HandOver[],
): Promise<common.Config> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-example-'));
  try {
    const places = placesIn(folder);
    const members = handOvers.map((handOver) => writePublicMember(places, handOver));
    const block = join(folder, 'example.block');
    await makeBlock(tools, places.channel, block, ordering, members);
    return readConfig(block);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
