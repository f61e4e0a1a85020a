import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { parseOrganisation, parseOrganisations } from '../organisations.ts';
import { controlPath, serveControl, type Command, type Reply } from './control.ts';
import { ORDERINGS } from './layout.ts';
import { startFabric, type FabricOptions, type RunningNetwork } from './start.ts';

const USAGE =
  'usage: main.js --folder DIR --chaincode PACKAGE [--organisations NAME:KIND,…] [--ordering bft|raft]';

function readOptions(): FabricOptions {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string' },
      chaincode: { type: 'string' },
      organisations: { type: 'string' },
      ordering: { type: 'string' },
    },
  });
  if (!values.folder || !values.chaincode) throw new Error(USAGE);
  const ordering = ORDERINGS.find((known) => known === values.ordering);
  if (values.ordering !== undefined && !ordering) throw new Error(USAGE);
  const began = Date.now();
  return {
    folder: values.folder,
    chaincode: values.chaincode,
    organisations: values.organisations === undefined ? undefined : parseOrganisations(values.organisations),
    ordering,
    log: (line) => process.stderr.write(`${((Date.now() - began) / 1000).toFixed(1)} s  ${line}\n`),
  };
}

async function main(): Promise<void> {
  const asked = new AbortController();
  const over = Promise.race([
    once(process, 'SIGTERM'),
    once(process, 'SIGINT'),
    // Whoever started us is gone, however it went.
    once(process.stdin.resume(), 'end'),
  ]).then(() => asked.abort());
  try {
    const options = readOptions();
    const network = await startFabric({ ...options, signal: asked.signal });
    await serveControl(controlPath(options.folder), (command) => obey(network, command));
    process.stdout.write(`${JSON.stringify({ ready: true, profile: network.profile })}\n`);
    const failure = await Promise.race([over, network.failed]);
    await network.stop();
    if (failure) throw failure;
  } catch (error) {
    if (!asked.signal.aborted) throw error;
  }
}

async function obey(network: RunningNetwork, command: Command): Promise<Reply> {
  if ('deploy' in command) return { sequence: await network.deploy(command.deploy) };
  if ('add' in command) await network.add(parseOrganisation(command.add));
  else await network.remove(command.remove);
  return {};
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
