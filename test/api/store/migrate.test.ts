import { expect } from 'chai';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { migrate } from '@yaoji/api/store/migrate';
import { openPool } from '@yaoji/api/store/pool';
import { emptyDatabase, type TestDatabase } from '../../support/database.ts';

describe('migrations', function () {
  this.timeout(120_000);

  let folder: string;
  let database: TestDatabase;
  let pool: ReturnType<typeof openPool>;

  before(async () => {
    database = await emptyDatabase();
    pool = openPool(database.url, { onError: () => {} });
  });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'yaoji-migrations-'));
    await pool.query('drop schema public cascade; create schema public');
  });

  afterEach(() => rm(folder, { recursive: true }));

  after(async () => {
    await pool?.end();
    await database?.drop();
  });

  const write = (name: string, sql: string): Promise<void> => writeFile(join(folder, name), sql);

  async function run(): Promise<string[]> {
    const client = await pool.connect();
    try {
      return await migrate(client, pathToFileURL(`${folder}/`));
    } finally {
      client.release();
    }
  }

  async function refusal(): Promise<string> {
    return run().then(
      () => expect.fail('it ran'),
      (error: Error) => error.message,
    );
  }

  it('are applied in the order of their numbers, once', async () => {
    await write('0002_more.sql', 'insert into log values (2);');
    await write('0001_log.sql', 'create table log (n integer); insert into log values (1);');
    expect(await run()).to.deep.equal(['0001_log.sql', '0002_more.sql']);
    expect(await run()).to.deep.equal([]);
    await write('0003_last.sql', 'insert into log values (3);');
    expect(await run()).to.deep.equal(['0003_last.sql']);
    const { rows } = await pool.query('select n from log order by n');
    expect(rows).to.deep.equal([{ n: 1 }, { n: 2 }, { n: 3 }]);
  });

  it('are refused, naming the file, when an applied one has changed by a byte', async () => {
    await write('0001_log.sql', 'create table log (n integer);');
    await run();
    await write('0001_log.sql', 'create table log (n integer); ');
    await write('0002_more.sql', 'create table more (n integer);');
    expect(await refusal()).to.equal(
      'migration 0001_log.sql: has changed since it was applied to this database',
    );
    expect((await pool.query("select to_regclass('more') as more")).rows).to.deep.equal([{ more: null }]);
  });

  it('are refused when an applied one is missing', async () => {
    await write('0001_log.sql', '');
    await write('0002_more.sql', '');
    await run();
    await rm(join(folder, '0001_log.sql'));
    expect(await refusal()).to.contain(
      'migration 0001_log.sql: was applied to this database, but the file is missing',
    );
  });

  it('are refused when a new one is numbered before an applied one', async () => {
    await write('0002_more.sql', '');
    await run();
    await write('0001_log.sql', '');
    expect(await refusal()).to.contain(
      'migration 0001_log.sql: is new, but 0002_more.sql was applied before it',
    );
  });

  it('are refused when two share a number or one has none', async () => {
    await write('0001_log.sql', '');
    await write('0001_other.sql', '');
    expect(await refusal()).to.contain('0001_other.sql: has the number of 0001_log.sql');
    await rm(join(folder, '0001_other.sql'));
    await write('later.sql', '');
    expect(await refusal()).to.contain('later.sql: not named like');
  });

  it('leave nothing of one that fails, and keep the ones before it', async () => {
    await write('0001_log.sql', 'create table log (n integer);');
    await write('0002_bad.sql', 'insert into log values (1); select 1/0;');
    expect(await refusal()).to.equal('migration 0002_bad.sql: division by zero');
    expect((await pool.query('select n from log')).rows).to.deep.equal([]);
    await write('0002_bad.sql', 'insert into log values (1);');
    expect(await run()).to.deep.equal(['0002_bad.sql']);
  });

  it('wait for one another when two run at once', async () => {
    await write('0001_log.sql', 'create table log (n integer); select pg_sleep(1);');
    const both = await Promise.all([run(), run()]);
    expect(both.toSorted((a, b) => a.length - b.length)).to.deep.equal([[], ['0001_log.sql']]);
  });

  it('give the connection back as it was, without the lock', async () => {
    await write('0001_bad.sql', 'select 1/0;');
    await refusal();
    const { rows } = await pool.query("select current_setting('statement_timeout') as timeout");
    expect(rows).to.deep.equal([{ timeout: '30s' }]);
    expect((await pool.query("select from pg_locks where locktype = 'advisory'")).rowCount).to.equal(0);
  });
});
