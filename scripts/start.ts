import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { toChainKind } from './chain-settings.ts';
import { runInstance } from './run-instance.ts';

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string', default: '.yaoji' },
      chain: { type: 'string', default: 'development' },
    },
  });
  await runInstance({ folder: resolve(values.data), ledger: 'local', chain: toChainKind(values.chain) });
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
