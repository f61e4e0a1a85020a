import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';

import type { Binaries } from '../binaries.ts';
import { makeBlock } from '../channel.ts';
import { readConfig } from '../channel-config.ts';
import { placesIn } from '../layout.ts';
import { Tools } from '../tools.ts';
import { parseConsortium, type Consortium } from './consortium.ts';
import type { HostFolder } from './folder.ts';
import { newHandOver, parseHandOver, printHandOver, writePublicMember, type HandOver } from './hand-over.ts';

// What the members share: the description, everybody's hand-over and block 0. There is no key in it and nothing to hide.

const sharedIn = (folder: string) => ({
  description: join(folder, 'consortium.json'),
  members: join(folder, 'members'),
  genesis: join(folder, 'genesis.block'),
});

/**
 * Makes block 0 of the channel from what all members have handed over (the texts of their files), and writes it with all that
 * it was made of into a folder for every member. Answers with the block's SHA-256, hex. Throws, naming them, when members
 * are missing.
 */
export async function assemble(
  binaries: Binaries,
  description: string,
  files: readonly string[],
  out: string,
): Promise<string> {
  if (existsSync(out))
    throw new Error(`${out} is there already: a block 0 that members may have is not made again`);
  const consortium = parseConsortium(description);
  const handOvers = readHandOvers(consortium, files);
  const shared = sharedIn(`${out}.new`);
  rmSync(`${out}.new`, { recursive: true, force: true });
  mkdirSync(shared.members, { recursive: true });
  writeFileSync(shared.description, description);
  for (const handOver of handOvers) {
    writeFileSync(join(shared.members, `${handOver.member.mspId}.json`), printHandOver(handOver));
  }
  await makeGenesis(binaries, consortium, handOvers, shared.genesis);
  renameSync(`${out}.new`, out);
  return fingerprint(join(out, 'genesis.block'));
}

/**
 * Takes what was assembled into a member's folder, and answers with the SHA-256, hex, of block 0. Throws when it is not of
 * this member's description, when it has another hand-over of this member, or when block 0 says anything else than what
 * description and hand-overs give: nobody has to believe who assembled it.
 */
export async function accept(binaries: Binaries, host: HostFolder, from: string): Promise<string> {
  const { places, consortium, own, description } = host;
  const shared = sharedIn(from);
  if (readFileSync(shared.description, 'utf8') !== description) {
    throw new Error(`${shared.description} is not the description that this folder was made for`);
  }
  const files = readdirSync(shared.members).map((name) => readFileSync(join(shared.members, name), 'utf8'));
  const handOvers = readHandOvers(consortium, files);
  const ours = handOvers.find(({ member }) => member.mspId === own.mspId);
  if (!isDeepStrictEqual(ours, newHandOver(places, own))) {
    throw new Error(`${from} has other certificates of ${own.mspId} than this folder`);
  }
  await checkGenesis(binaries, consortium, handOvers, shared.genesis);
  for (const handOver of handOvers) {
    if (handOver !== ours) writePublicMember(places, handOver);
  }
  mkdirSync(places.channel, { recursive: true });
  copyFileSync(shared.genesis, places.genesis);
  return fingerprint(places.genesis);
}

function readHandOvers({ members }: Consortium, files: readonly string[]): HandOver[] {
  const given = files.map((file) => parseHandOver(file, members));
  const handOvers = members.map((member) => given.filter((one) => one.member === member));
  const missing = members.filter((_, i) => handOvers[i]?.length === 0);
  if (missing.length > 0) {
    throw new Error(`nothing was handed over by ${missing.map(({ mspId }) => mspId).join(', ')}`);
  }
  const twice = members.find((_, i) => (handOvers[i]?.length ?? 0) > 1);
  if (twice) throw new Error(`two hand-overs are of ${twice.mspId}`);
  return handOvers.flat();
}

async function makeGenesis(
  binaries: Binaries,
  { channel, ordering }: Consortium,
  handOvers: readonly HandOver[],
  file: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-genesis-'));
  try {
    const places = placesIn(folder);
    const members = handOvers.map((handOver) => writePublicMember(places, handOver));
    await makeBlock(new Tools(binaries, places, channel), places.channel, file, ordering, members);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// The bytes differ each time, by a nonce and the time; what they say must not.
async function checkGenesis(
  binaries: Binaries,
  consortium: Consortium,
  handOvers: readonly HandOver[],
  file: string,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-genesis-'));
  try {
    const own = join(folder, 'genesis.block');
    await makeGenesis(binaries, consortium, handOvers, own);
    const [expected, given] = [own, file].map((block) => readConfig(block).serializeBinary());
    if (!isDeepStrictEqual(given, expected)) {
      throw new Error(`${file} says something else than the description and the hand-overs beside it`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const fingerprint = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
