import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { stopAll, supervise, type SuperviseOptions } from '@yaoji/scripts/supervise';

describe('a supervised process', function () {
  this.timeout(60_000);

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-test-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function optionsFor(source: string, options: Partial<SuperviseOptions> = {}): SuperviseOptions {
    const name = options.name ?? 'worker';
    const script = join(folder, `${name}.mjs`);
    writeFileSync(script, source);
    return { name, script, env: process.env, logFile: join(folder, 'logs/worker.log'), ...options };
  }

  const READY = `console.log('warming up'); console.log(JSON.stringify({ ready: true, port: 7 }));`;
  const RUN = `${READY} setInterval(() => {}, 1000);`;

  it('says when it is ready, and its lines are in the log under its name', async () => {
    const worker = supervise(optionsFor(`console.error('a warning'); ${RUN}`));
    expect(await worker.ready).to.deep.equal({ ready: true, port: 7 });
    await worker.stop();
    expect(await worker.exited).to.deep.equal({ code: null, signal: 'SIGTERM' });
    const log = readFileSync(join(folder, 'logs/worker.log'), 'utf8');
    expect(log).to.contain('worker | warming up\n').and.to.contain('worker | a warning\n');
  });

  it('that ends early gives an error with the end of its log', async () => {
    const worker = supervise(optionsFor(`console.error('no such port'); process.exit(4);`));
    await worker.ready.then(
      () => expect.fail('it was ready'),
      (error: Error) => {
        expect(error.message).to.contain('worker ended before it was ready, with code 4');
        expect(error.message).to.contain('no such port');
      },
    );
    await worker.stop();
  });

  it('that takes too long gives an error, and can be stopped', async () => {
    const worker = supervise(
      optionsFor(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000);`, {
        readyWithin: 1000,
        stopWithin: 200,
      }),
    );
    await worker.ready.then(
      () => expect.fail('it was ready'),
      (error: Error) => expect(error.message).to.contain('not ready within 1000 ms'),
    );
    await worker.stop();
    expect(await worker.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
  });

  it('is not kept running by its life line when it is done', async () => {
    const worker = supervise(optionsFor(READY));
    expect(await worker.exited).to.deep.equal({ code: 0, signal: null });
  });

  it('is stopped after those that were started after it', async () => {
    const order: string[] = [];
    const started = ['first', 'second'].map((name) => supervise(optionsFor(RUN, { name })));
    for (const one of started) {
      await one.ready;
      void one.exited.then(() => order.push(one.name));
    }
    await stopAll(started);
    expect(order).to.deep.equal(['second', 'first']);
  });

  it('ends in its own way when the process that started it is killed -9', async () => {
    const farewell = join(folder, 'farewell');
    const worker = optionsFor(`
      import { writeFileSync } from 'node:fs';
      process.on('SIGTERM', () => {
        console.log('nobody reads this');
        setTimeout(() => { writeFileSync(${JSON.stringify(farewell)}, ''); process.exit(); }, 200);
      });
      ${RUN}`);
    const parent = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        STARTER,
        import.meta.resolve('@yaoji/scripts/supervise'),
        JSON.stringify(worker),
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(createInterface(parent.stdout), 'line');
    parent.kill('SIGKILL');
    const deadline = Date.now() + 10_000;
    while (!existsSync(farewell) && Date.now() < deadline) await sleep(20);
    expect(existsSync(farewell)).to.equal(true);
  });
});

const STARTER = `
  const [module, options] = process.argv.slice(1);
  const { supervise } = await import(module);
  await supervise(JSON.parse(options)).ready;
  console.log('started');
`;
