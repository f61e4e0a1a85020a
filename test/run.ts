import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Mocha from 'mocha';
import { rootHooks } from './support/database.ts';
import { REAL_FABRIC } from './support/fabric.ts';
import { leftOutReasons } from './support/left-out.ts';

// Runs every test, or those whose path contains one of the arguments, and says at the end what was left out and why.

const here = fileURLToPath(new URL('.', import.meta.url));
const wanted = process.argv.slice(2);
const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter(
    (file) =>
      file.endsWith('.test.js') && (wanted.length === 0 || wanted.some((part) => file.includes(part))),
  )
  .sort();

const mocha = new Mocha({
  timeout: 30_000,
  slow: 5_000,
  reporter: process.env['REPORTER'] ?? 'dot',
  rootHooks,
});
for (const file of files) mocha.addFile(join(here, file));
await mocha.loadFilesAsync();

const failures = await new Promise<number>((resolve) => {
  let passed = 0;
  let pending = 0;
  let onFabric = 0;
  mocha
    .run((failed) => {
      const reasons = leftOutReasons();
      for (const reason of reasons) process.stdout.write(`left out: ${reason}\n`);
      process.stdout.write(`${passed} passed, ${failed} failed${pending ? `, ${pending} skipped` : ''}\n`);
      process.stdout.write(`real Fabric: ${onFabric ? `${onFabric} tests` : 'none'}\n`);
      resolve(failed);
    })
    .on('pass', (test) => {
      passed++;
      if (test.fullTitle().startsWith(REAL_FABRIC)) onFabric++;
    })
    .on('pending', () => pending++);
});
// A handle that a test left open must not keep the run from ending; what it started ends with us.
process.exit(failures ? 1 : 0);
