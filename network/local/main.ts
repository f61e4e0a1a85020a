import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { controlPath, serveControl } from './control.ts';
import { DEFAULT_ORGANISATIONS, parseOrganisations } from '../organisations.ts';
import { startLocalLedger, type LocalLedgerOptions } from './start.ts';

interface MainOptions extends LocalLedgerOptions {
  /** Whether a socket in the folder takes fault switches. */
  readonly control: boolean;
}

function readOptions(): MainOptions {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string' },
      port: { type: 'string', default: '0' },
      chaincode: { type: 'string' },
      organisations: { type: 'string' },
      control: { type: 'boolean', default: false },
    },
  });
  if (!values.folder || !values.chaincode) {
    throw new Error(
      'usage: main.js --folder DIR --chaincode PACKAGE [--port N] [--organisations NAME:KIND,…] [--control]',
    );
  }
  if (!/^\d{1,5}$/.test(values.port)) throw new Error(`--port takes a number, not "${values.port}"`);
  return {
    folder: values.folder,
    chaincode: values.chaincode,
    control: values.control,
    port: Number(values.port),
    organisations: values.organisations ? parseOrganisations(values.organisations) : DEFAULT_ORGANISATIONS,
  };
}

async function main(): Promise<void> {
  const asked = Promise.race([
    once(process, 'SIGTERM'),
    once(process, 'SIGINT'),
    // Whoever started us is gone, however it went.
    once(process.stdin.resume(), 'end'),
  ]).then(() => undefined);
  const { control, ...options } = readOptions();
  const ledger = await startLocalLedger(options);
  if (control) await serveControl(controlPath(options.folder), ledger.faults, () => ledger.chaincodePid());
  const { profile, port, height } = ledger;
  process.stdout.write(`${JSON.stringify({ ready: true, profile, port, height })}\n`);
  const failure = await Promise.race([asked, ledger.failed]);
  if (failure) throw new Error('the ledger cannot write its blocks', { cause: failure });
  await ledger.stop();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
