import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeChain, type ChainKind } from './chain-settings.ts';
import { startInstance, type LedgerKind } from './instance.ts';
import { playAloud, say } from './play-aloud.ts';

/** What is to be run, and where it keeps everything. */
export interface RunOptions {
  readonly folder: string;
  readonly ledger: LedgerKind;
  readonly organisations?: string | undefined;
  readonly ordering?: string | undefined;
  readonly chain: ChainKind;
}

/** Starts everything, plays the reference prescription the first time, says where to look, and runs until Ctrl-C. */
export async function runInstance({ folder, ...options }: RunOptions): Promise<void> {
  const asked = new Promise<undefined>((done) => {
    process.once('SIGINT', () => done(undefined));
    process.once('SIGTERM', () => done(undefined));
  });
  const ledger = options.ledger === 'fabric' ? 'a Hyperledger Fabric network' : 'the local ledger';
  say(
    `药迹 Yaoji: starting PostgreSQL, ${ledger}${options.chain === 'none' ? '' : ', a chain'}, the API and the pages …`,
  );
  const instance = await startInstance({
    ...options,
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
API keys of the organisations           ${join(folder, 'access.json')}
The chain                               ${describeChain(instance.chainEnv)}
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
