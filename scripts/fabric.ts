import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { findBinaries } from '@yaoji/network/fabric/binaries';
import { control, controlPath } from '@yaoji/network/fabric/control';
import { placesIn, readLayout } from '@yaoji/network/fabric/layout';
import {
  forgetProcess,
  isRunning,
  readProcess,
  recordProcess,
  type ProcessRecord,
} from '@yaoji/network/fabric/processes';
import { readStatus } from '@yaoji/network/fabric/status';
import { endLeftovers, SUPERVISOR } from '@yaoji/network/fabric/supervisor';
import { toChainKind } from './chain-settings.ts';
import { hostsCommand } from './fabric-hosts.ts';
import { contractFolder, ledgerFolder } from './instance.ts';
import { say } from './play-aloud.ts';
import { runInstance } from './run-instance.ts';

// A whole Yaoji on a real Hyperledger Fabric network on this machine. What runs is told from the folder, not from names.

const INSTANCE = 'yaoji';
const STOP_LIMIT_MS = 60_000;
const LOG_LINES = 200;

const program = new Command('npm run fabric --').description(
  '药迹 Yaoji on a real Hyperledger Fabric network on this machine',
);
const command = (name: string, description: string): Command =>
  program
    .command(name, { isDefault: name === 'up' })
    .description(description)
    .option('--data <folder>', 'where everything is kept', '.yaoji-fabric');

interface Data {
  data: string;
}

command('up', 'bring everything up; on a running one, replace the contract if it was compiled anew')
  .option('--organisations <list>', 'the members of a new network, NAME:KIND,…')
  .option('--ordering <how>', 'how a new network orders: bft (default) or raft')
  .option(
    '--chain <which>',
    'where it anchors: development (or what CHAIN_RPC names), or none',
    'development',
  )
  .action(up);
command('status', 'the nodes, their processes and their heights').action(status);
command('down', 'stop everything; the data stay').action(down);
command('clean', 'delete the data of a stopped network').action(clean);
command('add', 'take another member into a running network: its orderer, its peer and its contract')
  .argument('<NAME:KIND>', 'for example SecondDecoctionMSP:decoction')
  .action(add);
command('remove', 'take a member out of a running network; what it has written stays valid')
  .argument('<NAME>', 'for example SecondDecoctionMSP')
  .action(remove);
command('logs', "the end of a node's log").argument('[node]').action(logs);
program.addCommand(hostsCommand());

interface Up extends Data {
  organisations?: string;
  ordering?: string;
  chain: string;
}

async function up({ data, organisations, ordering, ...options }: Up): Promise<void> {
  const chain = toChainKind(options.chain);
  const folder = resolve(data);
  if (runningIn(folder)) return replaceContract(folder);
  // Before PostgreSQL is started for nothing.
  await findBinaries();
  recordProcess(runFolder(folder), INSTANCE, process.pid);
  try {
    await runInstance({ folder, ledger: 'fabric', organisations, ordering, chain });
  } finally {
    forgetProcess(runFolder(folder), INSTANCE);
  }
}

async function replaceContract(folder: string): Promise<void> {
  say(`a network is running from ${folder}: the members look at the contract`);
  const path = controlPath(ledgerFolder(folder));
  const { sequence } = await control(path, { deploy: contractFolder() });
  say(`all members have agreed upon the contract as it is compiled now: definition ${sequence}`);
}

async function status({ data }: Data): Promise<void> {
  const nodes = await readStatus(ledgerFolder(resolve(data)));
  const width = Math.max(...nodes.map(({ name }) => name.length));
  for (const { name, pid, blocks, isLeader } of nodes) {
    const facts = [
      pid === undefined ? 'stopped' : `process ${pid}`,
      ...(blocks === undefined ? [] : [`${blocks} blocks`]),
      ...(isLeader ? ['leads'] : []),
    ];
    say(`${name.padEnd(width)}  ${facts.join(', ')}`);
  }
  if (nodes.some(({ pid }) => pid === undefined)) process.exitCode = 1;
}

async function down({ data }: Data): Promise<void> {
  const folder = resolve(data);
  const places = placesIn(ledgerFolder(folder));
  if (!readLayout(places)) throw new Error(`there is no network in ${folder}`);
  const instance = runningIn(folder);
  if (instance) {
    process.kill(instance.pid, 'SIGTERM');
    for (const deadline = Date.now() + STOP_LIMIT_MS; isRunning(instance); await sleep(100)) {
      if (Date.now() > deadline) throw new Error(`process ${instance.pid} does not stop`);
    }
  }
  await endLeftovers(places);
  say(instance ? `stopped; the data stay in ${folder}` : 'nothing was running');
}

async function add(organisation: string, { data }: Data): Promise<void> {
  const folder = resolve(data);
  if (!runningIn(folder)) throw new Error(`nothing runs from ${folder}: npm run fabric first`);
  say(`a majority of the members takes in ${organisation}`);
  await control(controlPath(ledgerFolder(folder)), { add: organisation });
  say(`${organisation} is a member: its peer endorses, its orderer orders, it has approved the contract.`);
  say(
    'The API serves it, with keys of its own in access.json, after npm run fabric -- down and npm run fabric.',
  );
}

async function remove(mspId: string, { data }: Data): Promise<void> {
  const folder = resolve(data);
  if (!runningIn(folder)) throw new Error(`nothing runs from ${folder}: npm run fabric first`);
  say(`a majority of the members takes out ${mspId}`);
  await control(controlPath(ledgerFolder(folder)), { remove: mspId });
  say(`${mspId} is no member any more: it endorses nothing, orders nothing, and its processes have ended.`);
  say('The API stops acting for it after npm run fabric -- down and npm run fabric.');
}

function clean({ data }: Data): void {
  const folder = resolve(data);
  const instance = runningIn(folder);
  if (instance) throw new Error(`it is still running, as process ${instance.pid}: npm run fabric -- down`);
  // Nothing else than what we made is ever deleted.
  if (!readLayout(placesIn(ledgerFolder(folder)))) throw new Error(`there is no network in ${folder}`);
  rmSync(folder, { recursive: true });
  say(`deleted ${folder}`);
}

function logs(node: string | undefined, { data }: Data): void {
  const folder = resolve(data);
  const files = [join(folder, 'log'), join(ledgerFolder(folder), 'log')].flatMap((logFolder) =>
    existsSync(logFolder) ? readdirSync(logFolder).map((file) => join(logFolder, file)) : [],
  );
  const named = files.map((file) => ({ file, name: basename(file, '.log') }));
  // A contract's process is called after its build, which nobody wants to type.
  const found =
    named.find(({ name }) => name === node) ?? named.find(({ name }) => node && name.startsWith(node));
  if (!found)
    throw new Error(`usage: npm run fabric -- logs NODE, one of: ${named.map(({ name }) => name).join(' ')}`);
  const lines = readFileSync(found.file, 'utf8').trimEnd().split('\n');
  for (const line of lines.slice(-LOG_LINES)) say(line);
}

/** Who is in charge of a folder: the whole instance, or a network that was started alone. */
function runningIn(folder: string): ProcessRecord | undefined {
  const instance = readProcess(runFolder(folder), INSTANCE);
  if (instance && isRunning(instance)) return instance;
  const network = readProcess(placesIn(ledgerFolder(folder)).run, SUPERVISOR);
  return network && isRunning(network) ? network : undefined;
}

const runFolder = (folder: string): string => join(folder, 'run');

// Whoever reads the list may have seen enough of it.
process.stdout.on('error', () => process.exit());

program.parseAsync().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
