import { expect } from 'chai';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startKept, type KeptOptions } from '@yaoji/scripts/kept';

describe('the keeper', function () {
  this.timeout(60_000);

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function keep(shell: string, options: Partial<KeptOptions> = {}) {
    const output = openSync(join(folder, 'log'), 'a');
    const keeper = startKept('sh', ['-c', shell], { cwd: folder, env: process.env, output, ...options });
    closeSync(output);
    return { keeper, exited: once(keeper, 'exit') };
  }

  async function logSays(text: string): Promise<void> {
    while (!readFileSync(join(folder, 'log'), 'utf8').includes(text)) await sleep(20);
  }

  const counting = 'echo started; while true; do sleep 0.05; done';

  it("exits with the program's code", async () => {
    expect(await keep('exit 7').exited).to.deep.equal([7, null]);
  });

  it('asks with SIGTERM when its life line ends, with SIGINT where that is wished', async () => {
    for (const [options, name] of [
      [{}, 'TERM'],
      [{ interrupt: true }, 'INT'],
    ] as const) {
      const { keeper, exited } = keep(`trap 'exit 3' ${name}; ${counting}`, options);
      await logSays('started');
      keeper.stdin!.end();
      expect(await exited).to.deep.equal([3, null]);
      rmSync(join(folder, 'log'));
    }
  });

  it('kills a program that does not stop within the deadline', async () => {
    const { keeper, exited } = keep(`trap '' TERM; ${counting}`, { deadline: 300 });
    await logSays('started');
    keeper.kill('SIGTERM');
    expect(await exited).to.deep.equal([137, null]);
  });

  it('deletes what it was told to after a stop, not after an end by itself', async () => {
    const scratch = join(folder, 'scratch');
    mkdirSync(scratch);
    await keep('exit 0', { remove: [scratch] }).exited;
    expect(existsSync(scratch)).to.equal(true);
    const { keeper, exited } = keep(counting, { remove: [scratch] });
    await logSays('started');
    keeper.stdin!.end();
    await exited;
    expect(existsSync(scratch)).to.equal(false);
  });

  it('says that a program could not be started', async () => {
    const output = openSync(join(folder, 'log'), 'a');
    const keeper = startKept(join(folder, 'nothing'), [], { cwd: folder, env: process.env, output });
    closeSync(output);
    expect(await once(keeper, 'exit')).to.deep.equal([127, null]);
    await logSays('could not be started');
  });
});
