import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { findBinaries } from '@yaoji/network/fabric/binaries';
import { writeAccess, writeAccessProfile } from '@yaoji/network/fabric/hosts/access';
import { writeApiService } from '@yaoji/network/fabric/hosts/api';
import { accept, assemble } from '@yaoji/network/fabric/hosts/assemble';
import {
  acceptInvitation,
  isProposal,
  proposeChange,
  sendChange,
  signChange,
  takeChange,
} from '@yaoji/network/fabric/hosts/change';
import { parseConsortium } from '@yaoji/network/fabric/hosts/consortium';
import { filesIn, openFolder } from '@yaoji/network/fabric/hosts/folder';
import {
  approveContract,
  commitContract,
  joinAsMember,
  openHost,
  readHostStatus,
  type Host,
} from '@yaoji/network/fabric/hosts/operate';
import { prepareMember, writeInstructions } from '@yaoji/network/fabric/hosts/prepare';
import { mustRestart } from '@yaoji/network/fabric/restart';
import { contractFolder } from './instance.ts';
import { say } from './play-aloud.ts';

// A network whose members each have a host of their own. Each member runs these commands on its host; only what is public
// goes from one to another.

interface Folder {
  folder: string;
}

/** The commands about a network over several hosts: `hosts …`. */
export function hostsCommand(): Command {
  const hosts = new Command('hosts').description('a network over several hosts, each run by its member');
  const ofMember = (name: string, description: string): Command =>
    hosts
      .command(name)
      .description(description)
      .requiredOption('--folder <folder>', "the member's folder, on the member's host");

  ofMember('init', "make a member's keys, settings, units and hand-over; again: renew what was deleted")
    .argument('<description>', 'consortium.json, the same at every member')
    .requiredOption('--member <MSP id>', 'which of the members')
    .action(init);
  hosts
    .command('assemble')
    .description('make block 0 from what all members have handed over')
    .argument('<description>', 'consortium.json')
    .argument('<hand-over...>', 'hand-over.json of every member')
    .requiredOption('--out <folder>', 'what goes back to every member')
    .action(assembleFiles);
  ofMember('accept', 'check what was assembled, and take it')
    .argument('<consortium>', 'the folder that `assemble` wrote')
    .action(acceptConsortium);
  ofMember('join', 'the running orderer and peer join the channel').action(joinChannel);
  ofMember('approve', 'approve the contract')
    .option('--chaincode <package>', "the contract's package; this installation's own if not said")
    .option(
      '--sequence <number>',
      'the number of the definition; for the agreed build if it is to be agreed anew',
      Number,
    )
    .action(approve);
  ofMember('commit', 'make the contract hold that every member has approved')
    .option('--sequence <number>', 'as every member gave it to approve', Number)
    .action(commit);
  ofMember('propose', 'the next change of the channel towards a new description: a member more, or one less')
    .argument('<description>', 'the new consortium.json')
    .argument('[hand-over...]', 'hand-over.json of whoever joins')
    .requiredOption('--out <folder>', 'what goes to every member')
    .action(propose);
  ofMember('sign', 'check a proposed change, and sign it for this member')
    .argument('<change>', 'the folder that `propose` wrote')
    .requiredOption('--out <file>', 'what goes back to whoever proposed')
    .action(sign);
  ofMember('send', 'send a change that majorities have signed')
    .argument('<change>', 'the folder that `propose` wrote')
    .argument('<signed...>', 'the files that `sign` wrote')
    .action(send);
  ofMember('take', 'take a change that holds into this folder')
    .argument('<change>', 'the folder that `propose` wrote')
    .action(take);
  ofMember('status', 'how the nodes of this host are; exit 1 when one is not well').action(status);
  ofMember('access', 'what whoever runs the API needs to act for this member; it holds keys')
    .argument('<out>', 'a new folder')
    .action(access);
  hosts
    .command('profile')
    .description("the API's LEDGER_PROFILE, from the access that every member gave, and a unit for it")
    .argument('<access...>', 'the folders that `access` wrote')
    .requiredOption('--out <folder>', 'where network.json and copies of the identities go')
    .action(profile);
  hosts
    .command('all')
    .description(
      'init, assemble and accept for every member on this machine: to try it, or where one operates for all',
    )
    .argument('<description>', 'consortium.json')
    .requiredOption('--out <folder>', 'takes a folder for each member, and `consortium`')
    .action(all);
  return hosts;
}

async function init(description: string, { folder, member }: Folder & { member: string }): Promise<void> {
  await prepare(resolve(folder), readFileSync(description, 'utf8'), member);
  const { handOver, join: instructions } = filesIn(resolve(folder));
  say(`${handOver} is for whoever assembles. ${instructions} says what comes next.`);
}

const ownCommand = (): string => `${process.execPath} ${resolve(process.argv[1] ?? '')} hosts`;

async function prepare(folder: string, description: string, mspId: string): Promise<void> {
  const preparing = { binaries: await findBinaries(), command: ownCommand(), warn: say };
  await prepareMember(preparing, folder, description, mspId);
}

async function assembleFiles(
  description: string,
  handOvers: string[],
  { out }: { out: string },
): Promise<void> {
  const [text = '', ...files] = [description, ...handOvers].map((file) => readFileSync(file, 'utf8'));
  const genesis = await assemble(await findBinaries(), text, files, resolve(out));
  say(`${resolve(out)} is for every member. SHA-256 of block 0: ${genesis}`);
}

async function acceptConsortium(consortium: string, { folder }: Folder): Promise<void> {
  if (isProposal(resolve(consortium))) {
    await acceptInvitation(await findBinaries(), openFolder(resolve(folder)), resolve(consortium));
    say('the channel has the organisations that description and hand-overs name, and no others');
    return;
  }
  const genesis = await accept(await findBinaries(), openFolder(resolve(folder)), resolve(consortium));
  say(`block 0 says what description and hand-overs say. Its SHA-256, the same at every member: ${genesis}`);
}

async function joinChannel({ folder }: Folder): Promise<void> {
  const host = await open(folder);
  await joinAsMember(host);
  say(`orderer and peer of ${host.folder.own.mspId} are in the channel ${host.folder.consortium.channel}`);
}

async function approve({
  folder,
  chaincode,
  sequence,
}: Folder & { chaincode?: string; sequence?: number }): Promise<void> {
  const host = await open(folder);
  const unit = await approveContract(host, resolve(chaincode ?? contractFolder()), sequence);
  say(`approved. Its process is started by this unit, before one member commits: ${unit}`);
}

async function commit({ folder, sequence: wanted }: Folder & { sequence?: number }): Promise<void> {
  const { version, sequence } = await commitContract(await open(folder), wanted);
  say(
    `build ${version.slice(0, 8)} holds, definition ${sequence}: all members endorse. Older processes can be stopped.`,
  );
}

async function propose(
  description: string,
  handOvers: string[],
  { folder, out }: Folder & { out: string },
): Promise<void> {
  const [text = '', ...files] = [description, ...handOvers].map((file) => readFileSync(file, 'utf8'));
  const does = await proposeChange(await open(folder), text, files, resolve(out));
  say(
    does === undefined
      ? 'the channel is as described: every member takes the change'
      : `${resolve(out)} ${does}; a majority of the members signs it`,
  );
}

async function sign(change: string, { folder, out }: Folder & { out: string }): Promise<void> {
  const host = await open(folder);
  const does = await signChange(host, resolve(change), resolve(out));
  say(`${resolve(out)} has the signatures of ${host.folder.own.mspId} to what ${does}`);
}

async function send(change: string, signed: string[], { folder }: Folder): Promise<void> {
  const files = signed.map((file) => resolve(file));
  say(`it holds: it ${await sendChange(await open(folder), resolve(change), files)}`);
}

async function take(change: string, { folder }: Folder): Promise<void> {
  const before = await open(folder);
  const host = await takeChange(before, resolve(change));
  writeInstructions(host, ownCommand());
  const { members, ordering } = host.consortium;
  say(
    `the members are ${members.map(({ mspId }) => mspId).join(', ')}; ${filesIn(resolve(folder)).firewall} is new`,
  );
  if (mustRestart(ordering, before.folder.consortium.members.length, members.length)) {
    say('every member starts its orderer again now, one after another, ten seconds between them');
  }
}

async function status({ folder }: Folder): Promise<void> {
  const nodes = await readHostStatus(await open(folder));
  for (const { name, health, blocks, isLeader } of nodes) {
    say(
      [
        `${name}  ${health}`,
        ...(blocks === undefined ? [] : [`${blocks} blocks`]),
        ...(isLeader ? ['leads'] : []),
      ].join(', '),
    );
  }
  if (nodes.some(({ health }) => health !== 'well')) process.exitCode = 1;
}

async function access(out: string, { folder }: Folder): Promise<void> {
  const host = await open(folder);
  await writeAccess(host, resolve(out));
  say(`${resolve(out)} lets the API act for ${host.folder.own.mspId}: it holds keys`);
}

function profile(accesses: string[], { out }: { out: string }): void {
  const folder = resolve(out);
  const path = writeAccessProfile(
    accesses.map((one) => resolve(one)),
    folder,
  );
  say(`LEDGER_PROFILE=${path}`);
  const main = fileURLToPath(import.meta.resolve('@yaoji/api/main'));
  const { unit, environment } = writeApiService(folder, main, path);
  say(`${unit} runs the API with the settings of ${environment}: DATABASE_URL is yours to say`);
}

async function all(description: string, { out }: { out: string }): Promise<void> {
  const text = readFileSync(description, 'utf8');
  const { members } = parseConsortium(text);
  const folderOf = (name: string): string => join(resolve(out), name);
  for (const { name, mspId } of members) await prepare(folderOf(name), text, mspId);
  const handOvers = members.map(({ name }) => filesIn(folderOf(name)).handOver);
  const consortium = folderOf('consortium');
  await assembleFiles(description, handOvers, { out: consortium });
  for (const { name } of members) await acceptConsortium(consortium, { folder: folderOf(name) });
}

async function open(folder: string): Promise<Host> {
  return openHost(await findBinaries(), openFolder(resolve(folder)), say);
}
