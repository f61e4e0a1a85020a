import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runInstance } from './run-instance.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { data: { type: 'string', default: '.yaoji' } } });
  await runInstance({ folder: resolve(values.data), ledger: 'local' });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
