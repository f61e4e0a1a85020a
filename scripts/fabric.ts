import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { runInstance } from './run-instance.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: '.yaoji-fabric' },
      organisations: { type: 'string' },
      ordering: { type: 'string' },
    },
  });
  const { data, organisations, ordering } = values;
  await runInstance({ folder: resolve(data), ledger: 'fabric', organisations, ordering });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
