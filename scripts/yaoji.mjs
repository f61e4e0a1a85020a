#!/usr/bin/env node
// The command `yaoji`. It must run from a fresh checkout where no install script ran, so it builds on first use.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const cli = new URL('./dist/cli.js', import.meta.url);
if (!existsSync(cli)) {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  process.stderr.write('yaoji: building on first use …\n');
  const tsc = fileURLToPath(import.meta.resolve('typescript/package.json')).replace(
    /package\.json$/,
    'bin/tsc',
  );
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-b', 'scripts'], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) {
    process.stderr.write(stdout);
    process.exit(2);
  }
}
await import(cli.href);
