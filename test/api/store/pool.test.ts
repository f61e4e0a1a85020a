import { expect } from 'chai';
import { openPool, withTransaction } from '@yaoji/api/store/pool';
import { emptyDatabase, type TestDatabase } from '../../support/database.ts';

describe('the pool', function () {
  this.timeout(120_000);

  let database: TestDatabase;
  let pool: ReturnType<typeof openPool>;
  const errors: Error[] = [];

  before(async () => {
    database = await emptyDatabase();
    pool = openPool(database.url, { max: 2, onError: (error) => errors.push(error) });
    await pool.query('create table log (n integer unique)');
  });

  beforeEach(() => pool.query('truncate log'));

  after(async () => {
    await pool?.end();
    await database?.drop();
  });

  const count = async (): Promise<number> => (await pool.query('select from log')).rowCount!;

  it('commits what the work did and gives its result', async () => {
    const result = await withTransaction(pool, async (tx) => {
      await tx.query('insert into log values (1)');
      return 'done';
    });
    expect(result).to.equal('done');
    expect(await count()).to.equal(1);
  });

  it("has the server give up a session, and its locks, soon after the client's host is gone", async () => {
    // Here the server is reached through a socket of the machine, where they read 0.
    const { rows } = await pool.query<{ name: string }>(
      `select name from pg_settings where name like 'tcp_keepalives_%' and source = 'client' order by name`,
    );
    expect(rows.map(({ name }) => name)).to.deep.equal([
      'tcp_keepalives_count',
      'tcp_keepalives_idle',
      'tcp_keepalives_interval',
    ]);
  });

  it('rolls back and throws what the work threw', async () => {
    const why = new Error('changed my mind');
    await withTransaction(pool, async (tx) => {
      await tx.query('insert into log values (1)');
      throw why;
    }).then(
      () => expect.fail('it committed'),
      (error: Error) => expect(error).to.equal(why),
    );
    expect(await count()).to.equal(0);
  });

  it('does not call a transaction committed in which a failed statement was ignored', async () => {
    await withTransaction(pool, async (tx) => {
      await tx.query('insert into log values (1)');
      await tx.query('insert into log values (1)').catch(() => {});
    }).then(
      () => expect.fail('it committed'),
      (error: Error) => expect(error.message).to.contain('rolled back'),
    );
    expect(await count()).to.equal(0);
  });

  it('survives a connection that breaks in the middle of a transaction, and makes a new one', async () => {
    await withTransaction(pool, async (tx) => {
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      await pool.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await tx.query('insert into log values (1)');
    }).then(
      () => expect.fail('it committed'),
      (error: Error) => expect(error).to.be.instanceOf(Error),
    );
    expect(await count()).to.equal(0);
    expect(pool.totalCount - pool.idleCount).to.equal(0);
  });

  it('tells of a connection that breaks while nobody uses it', async () => {
    const idle = openPool(database.url, { max: 1, onError: (error) => errors.push(error) });
    const { rows } = await idle.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pool.query('select pg_terminate_backend($1)', [rows[0]!.pid]);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(errors.map(({ message }) => message)).to.deep.equal([
      'terminating connection due to administrator command',
    ]);
    expect((await idle.query('select 1 as n')).rows).to.deep.equal([{ n: 1 }]);
    await idle.end();
  });

  it('takes on a role on every connection, beside the options its URL has', async () => {
    await pool.query('create role pool_test_app; grant pool_test_app to current_user');
    const url = `${database.url}&options=${encodeURIComponent('-c work_mem=1MB')}`;
    const app = openPool(url, { role: 'pool_test_app', onError: () => {} });
    const { rows } = await app.query("select current_user as name, current_setting('work_mem') as memory");
    expect(rows).to.deep.equal([{ name: 'pool_test_app', memory: '1MB' }]);
    await app.query('select from log').then(
      () => expect.fail('it may read'),
      (error: Error) => expect(error.message).to.contain('permission denied'),
    );
    await app.end();
    await pool.query('drop role pool_test_app');
  });
});
