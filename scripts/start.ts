import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startInstance } from './instance.ts';
import { playAloud, say } from './play-aloud.ts';

/** Starts everything, plays the reference prescription the first time, says where to look, and runs until Ctrl-C. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { data: { type: 'string', default: '.yaoji' } } });
  const folder = resolve(values.data);
  const asked = new Promise<undefined>((done) => {
    process.once('SIGINT', () => done(undefined));
    process.once('SIGTERM', () => done(undefined));
  });
  say('药迹 Yaoji: starting PostgreSQL, the local ledger, the API and the pages …');
  const instance = await startInstance({
    folder,
    port: Number(process.env['PORT'] || 8080),
    publicUrl: process.env['PUBLIC_URL'],
    databaseUrl: process.env['DATABASE_URL'],
    log: say,
  });
  try {
    const first = join(folder, 'first-box.txt');
    if (!existsSync(first)) {
      const { token } = await playAloud(instance.access);
      writeFileSync(first, `${token}\n`, { mode: 0o600 });
    }
    const { url } = instance.access;
    const token = readFileSync(first, 'utf8').trim();
    say(`
The box of the reference prescription   ${url}/p/${token}
Its QR label                            ${url}/v1/packages/${token}/label.svg
The API's documentation                 ${url}/docs
API keys of the four organisations      ${join(folder, 'access.json')}
Stop with Ctrl-C; the data stay in      ${folder}
`);
    const ended = await Promise.race([asked, instance.ended]);
    if (ended !== undefined)
      throw new Error(`${ended} has ended by itself; its log is in ${join(folder, 'log')}`);
    say('stopping');
  } finally {
    await instance.stop();
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
