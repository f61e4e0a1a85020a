import { spawn } from 'node:child_process';
import { mkdtempSync, chmodSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openPool } from '@yaoji/api/store/pool';
import { startInstance, type Instance } from '@yaoji/scripts/instance';
import { play } from '@yaoji/scripts/play';
import { progressOn } from '@yaoji/scripts/progress';

describe('yaoji audit', function () {
  this.timeout(300_000);

  const folder = mkdtempSync(join(tmpdir(), 'yaoji-audit-'));
  // PostgreSQL does not run as root: where we do, its user must be able to enter.
  chmodSync(folder, 0o755);
  let instance: Instance | undefined;
  const start = async (): Promise<Instance> => (instance = await startInstance({ folder, log: () => {} }));
  after(async () => {
    await instance?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function yaoji(
    args: readonly string[],
    env: Record<string, string> = {},
  ): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const command = fileURLToPath(import.meta.resolve('@yaoji/scripts/package.json')).replace(
      /package\.json$/,
      'yaoji.mjs',
    );
    const { DATABASE_URL: _, LEDGER_PROFILE: __, ...rest } = process.env;
    const child = spawn(process.execPath, [command, 'audit', ...args], {
      env: { ...rest, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
    return { code, stdout, stderr };
  }

  it('says what it needs, and exits 2, where nothing runs', async () => {
    const without = await yaoji([]);
    expect(without).to.include({ code: 2, stdout: '' });
    expect(without.stderr).to.match(/^DATABASE_URL and LEDGER_PROFILE are missing: .*--data\n$/);
    const nowhere = await yaoji(['--data', folder]);
    expect(nowhere).to.include({ code: 2, stderr: `${folder} is not the folder of an instance\n` });
  });

  it('finds no difference in a played story, before and after a restart, and names one that somebody makes', async () => {
    const { access } = await start();
    await play(access, { steps: 8 });
    const first = await yaoji(['--data', folder]);
    expect(first.stdout).to.match(
      /^\n8 events \(0 pending, 0 refused, 0 numbers skipped by their stations\)\n/,
    );
    expect(first.stdout).to.contain('The store and the ledger agree.');
    expect(first.code).to.equal(0);
    expect(first.stderr).to.match(/^blocks: \d+\nevents: 8\ntables: \d+\nstate: \d+\n$/);
    expect(statSync(join(folder, 'store.json')).mode & 0o777).to.equal(0o600);
    await instance!.stop();
    const stopped = await yaoji(['--data', folder]);
    expect(stopped).to.include({ code: 2, stdout: '' });

    const again = await start();
    await play(again.access, { steps: 2 });
    const grown = await yaoji(['--json'], {
      DATABASE_URL: again.databaseUrl,
      LEDGER_PROFILE: join(folder, 'ledger', 'network.json'),
    });
    expect(grown.code).to.equal(0);
    expect(summaryOf(grown.stdout)).to.include({ differences: 0, events: 10, records: 10 });

    const owner = openPool(again.databaseUrl, { max: 1, onError: () => {} });
    try {
      await owner.query('alter table record disable trigger user');
      const { rows } = await owner.query<{ key: string }>(
        `update record set body = replace(body, '"index":0', '"index":1')
         where index = 0 and org = 'HospitalMSP' returning station || ' ' || n as key`,
      );
      const { key } = rows[0]!;
      const what = 'HospitalMSP 0: body is not what the ledger made of the entry';
      const told = await yaoji(['--data', folder]);
      expect(told.code).to.equal(1);
      expect(told.stdout).to.contain(`≠ record  ${key}  ${what}\n`);
      expect(told.stdout).to.contain('1 differences between the store and the ledger.');
      const [line, summary] = (await yaoji(['--data', folder, '--json'])).stdout.trim().split('\n');
      expect(JSON.parse(line!)).to.deep.equal({ difference: { table: 'record', key, what } });
      expect(summaryOf(summary!)).to.include({ differences: 1 });
    } finally {
      await owner.end();
    }
  });

  function summaryOf(line: string): object {
    return (JSON.parse(line) as { summary: object }).summary;
  }
});

describe('the progress of a command', () => {
  const drawnOn = (isTTY: boolean, draw: (progress: ReturnType<typeof progressOn>) => void): string => {
    let drawn = '';
    draw(progressOn({ isTTY, write: (part: string) => (drawn += part) }));
    return drawn;
  };

  it('is one line per stage where no terminal is', () => {
    const drawn = drawnOn(false, (progress) => {
      for (let i = 1; i <= 3; i++) progress('blocks', i, 3);
      progress('events', 1, 2);
      progress('events', 2, 2);
    });
    expect(drawn).to.equal('blocks: 3\nevents: 2\n');
  });

  it('is a bar on a terminal that is gone when the stage is over', () => {
    const drawn = drawnOn(true, (progress) => {
      progress('blocks', 1, 2);
      progress('blocks', 2, 2);
    });
    expect(drawn).to.contain(`${'█'.repeat(15)}${'░'.repeat(15)} blocks 1/2`);
    expect(drawn.endsWith('blocks 2/2\r\x1b[2K')).to.equal(true);
  });
});
