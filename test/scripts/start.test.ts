import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { create } from 'qrcode';
import type { Report } from '@yaoji/chaincode/core';
import { OrganisationClient, request } from '@yaoji/scripts/client';
import type { Access } from '@yaoji/scripts/instance';
import { leaveOut } from '../support/left-out.ts';
import { until } from '../support/service.ts';

const PUBLIC_URL = 'https://yaoji.example/box';

interface Program {
  readonly child: ChildProcess;
  /** what it has printed until now */
  readonly out: () => string;
  readonly ended: Promise<unknown>;
}

/** Runs one of the commands, as npm does. */
function run(script: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Program {
  const path = fileURLToPath(import.meta.resolve(`@yaoji/scripts/${script}`));
  const { DATABASE_URL: _, ...own } = process.env;
  const child = spawn(process.execPath, [path, ...args], { env: { ...own, ...env }, stdio: 'pipe' });
  let printed = '';
  child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
  child.stderr.on('data', (text: Buffer) => (printed += text.toString()));
  return { child, out: () => printed, ended: once(child, 'exit') };
}

/** Every process below this one, as /proc tells it. */
function familyOf(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      parents.set(
        Number(name),
        Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]),
      );
    } catch {
      // It ended while we looked.
    }
  }
  const family: number[] = [];
  for (let generation = [pid]; generation.length;) {
    generation = [...parents].flatMap(([child, parent]) => (generation.includes(parent) ? [child] : []));
    family.push(...generation);
  }
  return family;
}
const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
};

describe('npm start', function () {
  this.timeout(120_000);
  before(function () {
    if (process.platform === 'linux') return;
    leaveOut(this, 'npm start', 'whose child a process is, is read from /proc, which only Linux has');
  });
  const folders: string[] = [];
  let data: string;
  let out: string;
  let running: Program;
  let bystander: ChildProcess;
  before(async () => {
    data = mkdtempSync(join(tmpdir(), 'yaoji-start-'));
    out = mkdtempSync(join(tmpdir(), 'yaoji-start-out-'));
    folders.push(data, out);
    // PostgreSQL does not run as root: where we do, its user must be able to enter.
    chmodSync(data, 0o755);
    bystander = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    running = await start();
  });
  after(async () => {
    bystander?.kill();
    running?.child.kill('SIGINT');
    await running?.ended;
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  async function start(): Promise<Program> {
    const program = run('start', ['--data', data], { PORT: '0', PUBLIC_URL });
    await until(
      'it says where to look',
      () => {
        if (program.child.exitCode !== null) throw new Error(program.out());
        return program.out().includes('Stop with Ctrl-C');
      },
      90_000,
    );
    return program;
  }
  const urls = ({ out: printed }: Program): { page: string; label: string; docs: string } => {
    const find = (pattern: RegExp): string => pattern.exec(printed())?.[1] ?? 'nothing';
    return {
      page: find(/(http:\S+\/p\/\S+)/),
      label: find(/(http:\S+label\.svg)/),
      docs: find(/(http:\S+\/docs)/),
    };
  };
  const tokenOf = (program: Program): string => urls(program).page.split('/').at(-1)!;
  const recordsOf = async (program: Program): Promise<number> => {
    const { body } = await request(
      new URL(urls(program).page).origin,
      `/v1/packages/${tokenOf(program)}/bundle`,
    );
    return (body as { trails: { records: unknown[] }[] }).trails.reduce(
      (sum, { records }) => sum + records.length,
      0,
    );
  };
  const stepsPlayed = ({ out: printed }: Program): number => printed().match(/^ *\d+\/36 /gm)?.length ?? 0;

  it('plays the reference prescription and says where its box and the documentation are', async () => {
    expect(stepsPlayed(running)).to.equal(36);
    const { page, docs } = urls(running);
    const answer = await fetch(page);
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('content-type')).to.contain('text/html');
    const html = await answer.text();
    for (const step of ['煎煮开始', '放行出库', '送达、签收']) expect(html).to.contain(step);
    expect((await fetch(docs)).status).to.equal(200);
    expect(await recordsOf(running)).to.be.at.least(32);
  });

  it('puts PUBLIC_URL into the QR code', async () => {
    const svg = await (await fetch(urls(running).label)).text();
    const { modules } = create(`${PUBLIC_URL}/p/${tokenOf(running)}`, { errorCorrectionLevel: 'Q' });
    const dark = new Set([...svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => `${x} ${y}`));
    const wanted = new Set<string>();
    for (let row = 0; row < modules.size; row++)
      for (let column = 0; column < modules.size; column++)
        if (modules.get(row, column)) wanted.add(`${column + 4} ${row + 4}`);
    expect(dark).to.deep.equal(wanted);
  });

  it('is found by the demo, which plays a second prescription on it', async () => {
    const demo = run('demo', ['--data', data, '--out', out]);
    const [code] = (await demo.ended) as [number];
    expect(code, demo.out()).to.equal(0);
    expect(demo.out()).not.to.contain('starting one');
    expect(stepsPlayed(demo)).to.equal(36);
    expect(readdirSync(out).sort()).to.deep.equal([
      'bundle.json',
      'label.png',
      'label.svg',
      'token.txt',
      'trust.json',
    ]);
    const token = readFileSync(join(out, 'token.txt'), 'utf8').trim();
    expect(token).not.to.equal(tokenOf(running));
    const yaoji = fileURLToPath(new URL('../../../scripts/yaoji.mjs', import.meta.url));
    const verify = spawn(
      process.execPath,
      [yaoji, 'verify', 'bundle.json', '--trust', 'trust.json', '--token', token, '--json'],
      { cwd: out, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    let report = '';
    verify.stdout.on('data', (text: Buffer) => (report += text.toString()));
    expect((await once(verify, 'close'))[0]).to.equal(0);
    const { checks, facts } = JSON.parse(report) as Report;
    const anchor = checks.find(({ id }) => id === 'anchor')!;
    expect(anchor.outcome).to.equal('not-checked');
    expect(anchor.detail).to.match(/^public since .* in block \d+ of eip155:31337, but one operator/);
    expect(facts?.anchor?.later).to.equal(0);
  });

  it('ends everything that it started on Ctrl-C, and nothing else', async () => {
    const family = familyOf(running.child.pid!);
    const commands = family.map(commandOf).join('\n');
    for (const part of ['postgres', 'fabric-shim', 'local/main', 'anvil', 'api/dist/main'])
      expect(commands).to.contain(part);
    running.child.kill('SIGINT');
    const [code] = (await running.ended) as [number];
    expect(code, running.out()).to.equal(0);
    expect(family.filter((pid) => commandOf(pid) !== '')).to.deep.equal([]);
    expect(bystander.exitCode).to.equal(null);
    expect(commandOf(bystander.pid!)).not.to.equal('');
  });

  it('goes on with its data: the same box, the same keys, and nothing is played again', async () => {
    const before = { token: tokenOf(running), access: readAccess() };
    running = await start();
    expect(stepsPlayed(running)).to.equal(0);
    expect(tokenOf(running)).to.equal(before.token);
    expect((await fetch(urls(running).page)).status).to.equal(200);
    expect(await recordsOf(running)).to.be.at.least(32);
    expect(readAccess().organisations).to.deep.equal(before.access.organisations);
    const [hospital] = readAccess().organisations;
    const client = new OrganisationClient(readAccess().url, hospital!);
    const refused = await client.receipt('nobody', 1).catch((error: { status: number }) => error.status);
    expect(refused).to.equal(404);
  });

  it('leaves no child behind when it is killed', async () => {
    const family = familyOf(running.child.pid!);
    expect(family.length).to.be.greaterThan(4);
    running.child.kill('SIGKILL');
    await running.ended;
    await until('all of them are gone', () => family.every((pid) => commandOf(pid) === ''));
  });

  const readAccess = (): Access => JSON.parse(readFileSync(join(data, 'access.json'), 'utf8')) as Access;
});
