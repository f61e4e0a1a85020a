import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { verify, type Json } from '@yaoji/chaincode/core';
import { fetchBundle, fetchTrust } from '@yaoji/scripts/client';
import type { Access } from '@yaoji/scripts/instance';
import { expect } from 'chai';
import { needsFabric, REAL_FABRIC } from '../../support/fabric.ts';
import { until } from '../../support/service.ts';

describe(`${REAL_FABRIC}: npm run fabric`, function () {
  this.timeout(240_000);

  const folder = mkdtempSync(join(tmpdir(), 'yaoji-on-fabric-'));
  const data = join(folder, 'data');
  // PostgreSQL does not run as root: where we do, its user must be able to enter.
  chmodSync(folder, 0o755);

  const start = (...args: string[]) => {
    const script = fileURLToPath(import.meta.resolve('@yaoji/scripts/fabric'));
    const { DATABASE_URL: _, ...env } = process.env;
    const child = spawn(process.execPath, [script, ...args, '--data', data], {
      env: { ...env, PORT: '0' },
      stdio: 'pipe',
    });
    let printed = '';
    child.stdout.on('data', (text: Buffer) => (printed += text.toString()));
    child.stderr.on('data', (text: Buffer) => (printed += text.toString()));
    return { child, printed: () => printed, closed: once(child, 'close') };
  };
  const run = async (...args: string[]): Promise<{ code: number | null; printed: string }> => {
    const { child, printed, closed } = start(...args);
    await closed;
    return { code: child.exitCode, printed: printed() };
  };

  before(async function () {
    await needsFabric(this);
    const up = start();
    await until('the instance is up', () => up.printed().includes('Stop with Ctrl-C'), 120_000);
  });
  after(async () => {
    if (existsSync(data)) await run('down');
    rmSync(folder, { recursive: true, force: true });
  });

  it('plays the reference prescription, and anyone can check who endorsed the box', async () => {
    const { url } = JSON.parse(readFileSync(join(data, 'access.json'), 'utf8')) as Access;
    const token = readFileSync(join(data, 'first-box.txt'), 'utf8').trim();
    const bundle = (await fetchBundle(url, token)) as Json;
    const trust = await fetchTrust(url);
    const asked = { token, now: Date.now(), suite: verifierSuite };
    const report = await verify(bundle, { ...asked, trust });
    const outcomes = Object.fromEntries(report.checks.map(({ id, outcome }) => [id, outcome]));
    expect(report.ok, JSON.stringify(report.checks)).to.equal(true);
    expect(outcomes).to.include({ endorsement: 'passed', fresh: 'passed', box: 'passed' });
    // Other organisations of the same names are not these.
    const [{ ca } = { ca: '' }] = trust.organisations;
    const strangers = { ...trust, organisations: trust.organisations.map((one) => ({ ...one, ca })) };
    const refused = await verify(bundle, { ...asked, trust: strangers });
    expect(refused.checks.find(({ id }) => id === 'endorsement')?.outcome).to.equal('failed');
  });

  it('says how the nodes are, and shows their logs', async () => {
    const { code, printed } = await run('status');
    expect(code, printed).to.equal(0);
    expect(printed).to.match(/^orderer-hospital +process \d+, \d+ blocks/m);
    expect(printed.match(/leads$/gm)).to.have.length(1);
    expect((await run('logs', 'chaincode-courier')).code).to.equal(0);
    expect((await run('logs', 'peer-hospital')).printed).to.include('channel=yaoji');
    expect((await run('logs')).printed).to.match(/usage: .* one of: .*orderer-regulator/);
  });

  it('brings a running network nothing when the contract is the same', async () => {
    const { code, printed } = await run();
    expect(code, printed).to.equal(0);
    expect(printed).to.include('definition 1');
  });

  it('stops, keeps the data, and deletes them only then', async () => {
    const early = await run('clean');
    expect([early.code, early.printed]).to.deep.equal([
      1,
      early.printed.match(/^it is still running.*\n$/)?.[0],
    ]);
    expect((await run('down')).printed).to.equal(`stopped; the data stay in ${data}\n`);
    expect((await run('down')).printed).to.equal('nothing was running\n');
    const { code, printed } = await run('status');
    expect(code).to.equal(1);
    expect(printed).to.match(/^orderer-hospital +stopped$/m);
    expect(existsSync(join(data, 'ledger', 'network.json'))).to.equal(true);
    expect((await run('clean')).printed).to.equal(`deleted ${data}\n`);
    expect(existsSync(data)).to.equal(false);
    expect((await run('clean')).printed).to.equal(`there is no network in ${data}\n`);
  });
});
