import { once } from 'node:events';
import { parseArgs } from 'node:util';

import { DEFAULT_ORGANISATIONS, parseOrganisations } from './organisations.ts';
import { startLocalLedger, type LocalLedgerOptions } from './start.ts';

function readOptions(): LocalLedgerOptions {
  const { values } = parseArgs({
    options: {
      folder: { type: 'string' },
      port: { type: 'string', default: '0' },
      chaincode: { type: 'string' },
      organisations: { type: 'string' },
    },
  });
  if (!values.folder || !values.chaincode) {
    throw new Error(
      'usage: main.js --folder DIR --chaincode PACKAGE [--port N] [--organisations NAME:KIND,…]',
    );
  }
  if (!/^\d{1,5}$/.test(values.port)) throw new Error(`--port takes a number, not "${values.port}"`);
  return {
    folder: values.folder,
    chaincode: values.chaincode,
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
  const ledger = await startLocalLedger(readOptions());
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
