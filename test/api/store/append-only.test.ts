import { expect } from 'chai';
import { Client } from 'pg';
import { openPool } from '@yaoji/api/store/pool';
import { freshDatabase, type TestDatabase } from '../../support/database.ts';

// What was recorded, and what was said of it. `disclosure` is apart: its rows may be erased one day, by another role.
const EVIDENCE = [
  'event',
  'verdict',
  'attempt',
  'batch',
  'record',
  'node',
  'stopped_log',
  'api_key',
  'api_key_revocation',
  'anchor',
  'anchor_log',
  'anchor_attempt',
  'anchor_inclusion',
  'anchor_lost',
  'anchor_final',
];
const ALL = [...EVIDENCE, 'disclosure'];
const ANCHOR_COLUMNS: Readonly<Record<string, string>> = {
  anchor: 'seq',
  anchor_log: 'size',
  anchor_attempt: 'nonce',
  anchor_inclusion: 'block',
  anchor_lost: 'inclusion',
  anchor_final: 'inclusion',
};
const REFUSED = '42501'; // insufficient_privilege

describe('the evidence', () => {
  let database: TestDatabase;
  let owner: Client;
  /** Logged in as the service's role itself: nobody else is behind it. */
  let app: Client;
  before(async () => {
    database = await freshDatabase();
    owner = new Client({ connectionString: database.url });
    await owner.connect();
    const superuser = new URL(database.url);
    superuser.searchParams.set('user', 'postgres');
    app = new Client({ connectionString: superuser.href });
    await app.connect();
    await app.query('set session authorization yaoji_app');
    for (const statement of [
      `insert into event (station, n, org, site, step, subject, links, entry, body_hash)
       values ('s', 1, 'o', 's', 'RX_ISSUED', 'x', '{y}', '{}', '\\x00')`,
      `insert into disclosure values ('s', 1, 0, 'text')`,
      `insert into verdict (station, n, said_by, code, org, batch) values ('s', 1, 'ledger', null, 'o', 1)`,
      `insert into attempt (tx_id, org, follows) values ('t', 'o', 0)`,
      `insert into batch (org, number, tx_id, entries, checkpoint) values ('o', 1, 't', 1, 'c')`,
      `insert into record (org, index, station, n, subject, seq, leaf, body) values ('o', 0, 's', 1, 'x', 1, 'l', '{}')`,
      `insert into node (org, level, index, hash) values ('o', 0, 0, '\\x00')`,
      `insert into stopped_log (org, why) values ('o', 'because')`,
      `insert into api_key (id, secret_hash, org, site, role) values ('k', '\\x00', 'o', 's', 'recorder')`,
      `insert into api_key_revocation (id) values ('k')`,
      `insert into anchor (chain, contract, seq, root, view) values ('c', 'x', 1, decode(repeat('ab', 32), 'hex'), '\\x00')`,
      `insert into anchor_log (anchor, org, size) select id, 'o', 1 from anchor`,
      `insert into anchor_attempt (anchor, tx_hash, nonce, raw) select id, 't', 1, '\\x00' from anchor`,
      `insert into anchor_inclusion (anchor, tx_hash, block, block_hash, header, tx_index, proof)
       select id, 't', 1, 'h', '\\x00', 0, '{}' from anchor`,
      `insert into anchor_final (inclusion) select id from anchor_inclusion`,
      `insert into anchor_lost (inclusion) select id from anchor_inclusion`,
    ])
      await app.query(statement);
  });
  after(async () => {
    await Promise.all([owner?.end(), app?.end()]);
    await database?.drop();
  });

  async function refused(client: Client, statement: string): Promise<void> {
    const outcome = await client.query(statement).then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    expect(outcome, statement).to.equal(REFUSED);
  }
  const columnOf = (table: string): string =>
    ({ event: 'n', attempt: 'tx_id', api_key: 'id', api_key_revocation: 'id', disclosure: 'text' })[table] ??
    (table.startsWith('anchor') ? ANCHOR_COLUMNS[table]! : 'org');

  for (const table of ALL)
    it(`in ${table} is neither changed nor removed by the service`, async () => {
      const column = columnOf(table);
      await refused(app, `update ${table} set ${column} = ${column}`);
      await refused(app, `delete from ${table}`);
      await refused(app, `truncate ${table} cascade`);
      await refused(app, `alter table ${table} disable trigger all`);
      await refused(app, `alter table ${table} add column more text`);
      await refused(app, `drop table ${table} cascade`);
      await refused(
        app,
        `create trigger mine before insert on ${table} for each row execute function refuse_change()`,
      );
      const { rowCount } = await app.query(`select from ${table}`);
      expect(rowCount).to.equal(1);
    });

  it('is safe from the service’s role in other ways too', async () => {
    const { rows } = await app.query<{ owner: string }>(
      `select tableowner as owner from pg_tables where tablename = 'event'`,
    );
    await refused(app, `set role ${rows[0]!.owner}`);
    await refused(app, 'set role postgres');
    await refused(app, `set session_replication_role = 'replica'`);
    await refused(app, 'create table mine (a int)');
    await refused(
      app,
      `create or replace function refuse_change() returns trigger language plpgsql as $$ begin return new; end $$`,
    );
    await refused(app, 'delete from pending');
    await refused(
      app,
      `insert into pending (station, n, org, arrival, subjects) values ('s', 2, 'o', 2, '{}')`,
    );
    await refused(app, `select pg_read_file('/etc/passwd')`);
    await refused(app, 'delete from world');
    await refused(app, 'update migration set sha256 = sha256');
  });

  for (const table of EVIDENCE)
    it(`in ${table} is neither changed nor removed by its owner`, async () => {
      const column = columnOf(table);
      await refused(owner, `update ${table} set ${column} = ${column}`);
      await refused(owner, `delete from ${table}`);
      // Past what refers to it.
      await refused(owner, `truncate ${table} cascade`);
    });

  it('that was hidden can be erased by its owner, and not changed', async () => {
    await refused(owner, `update disclosure set text = 'other'`);
    await refused(owner, 'truncate disclosure');
    await owner.query('begin');
    const { rowCount } = await owner.query('delete from disclosure');
    await owner.query('rollback');
    expect(rowCount).to.equal(1);
  });

  it('is one row for one event, one verdict and one place', async () => {
    const UNIQUE = '23505';
    for (const statement of [
      `insert into event (station, n, org, site, step, subject, links, entry, body_hash)
       values ('s', 1, 'o', 's', 'RX_ISSUED', 'z', '{}', '{}', '\\x01')`,
      `insert into verdict (station, n, said_by, code, org) values ('s', 1, 'service', 'N_USED', 'o')`,
      `insert into batch (org, number, tx_id, entries, checkpoint) values ('o', 1, 'u', 1, 'c')`,
      `insert into record (org, index, station, n, subject, seq, leaf, body) values ('o', 0, 's', 2, 'x', 2, 'l', '{}')`,
      `insert into record (org, index, station, n, subject, seq, leaf, body) values ('o', 1, 's', 2, 'x', 1, 'l', '{}')`,
    ]) {
      const code = await app.query(statement).then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
      expect(code, statement).to.equal(UNIQUE);
    }
  });

  it('decides by itself what is pending: an event is until it has its verdict', async () => {
    const pending = async (): Promise<unknown[]> =>
      (await app.query(`select org, subjects from pending where station = 'p'`)).rows;
    await app.query(
      `insert into event (station, n, org, site, step, subject, links, entry, body_hash)
       values ('p', 1, 'o', 's', 'RX_ACCEPTED', 'f', '{rx}', '{}', '\\x00')`,
    );
    expect(await pending()).to.deep.equal([{ org: 'o', subjects: ['f', 'rx'] }]);
    await app.query('begin');
    await app.query(
      `insert into verdict (station, n, said_by, code, org, batch) values ('p', 1, 'ledger', 'N_USED', 'o', 2)`,
    );
    expect(await pending()).to.deep.equal([]);
    await app.query('rollback');
    expect(await pending()).to.have.length(1);
    await app.query(
      `insert into verdict (station, n, said_by, code, org) values ('p', 1, 'service', 'STEP_NOT_LEGAL', 'o')`,
    );
    expect(await pending()).to.deep.equal([]);
  });

  it('decides by itself what is left to do about an anchor', async () => {
    const left = async (): Promise<unknown[]> =>
      (
        await app.query(
          `select a.seq::int, o.inclusion is not null as included from anchor_open o join anchor a on a.id = o.anchor
           where a.contract = 'y'`,
        )
      ).rows;
    const include = (): Promise<unknown> =>
      app.query(
        `insert into anchor_inclusion (anchor, tx_hash, block, block_hash, header, tx_index, proof)
         select id, 't', 1, 'h', '\\x00', 0, '{}' from anchor where contract = 'y'`,
      );
    const note = (table: string): Promise<unknown> =>
      app.query(
        `insert into ${table} (inclusion) select max(i.id) from anchor_inclusion i join anchor a on a.id = i.anchor where contract = 'y'`,
      );
    await app.query(
      `insert into anchor (chain, contract, seq, root, view) values ('c', 'y', 1, decode(repeat('ab', 32), 'hex'), '\\x00')`,
    );
    expect(await left()).to.deep.equal([{ seq: 1, included: false }]);
    await include();
    expect(await left()).to.deep.equal([{ seq: 1, included: true }]);
    // In one block at a time.
    const twice = await include().then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    expect(twice).to.equal('23505');
    await note('anchor_lost');
    expect(await left()).to.deep.equal([{ seq: 1, included: false }]);
    await include();
    await note('anchor_final');
    expect(await left()).to.deep.equal([]);
    // A chain that has forgotten everything.
    await note('anchor_lost');
    expect(await left()).to.deep.equal([{ seq: 1, included: false }]);
    await refused(app, 'delete from anchor_open');
    await refused(app, 'update anchor_open set inclusion = null');
  });

  it('needs an event for a verdict, and a code for what the service refused', async () => {
    for (const [statement, code] of [
      [`insert into verdict (station, n, said_by, code, org) values ('q', 9, 'service', 'X', 'o')`, '23503'],
      [`insert into verdict (station, n, said_by, code, org) values ('s', 1, 'service', null, 'o')`, '23514'],
      [`insert into verdict (station, n, said_by, code, org) values ('s', 1, 'ledger', null, 'o')`, '23514'],
    ] as const) {
      const outcome = await app.query(statement).then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
      expect(outcome, statement).to.equal(code);
    }
  });

  it('is written by the pool of the service as that role', async () => {
    const pool = openPool(database.url, { role: 'yaoji_app', max: 1, onError: () => {} });
    try {
      const { rows } = await pool.query<{ who: string }>('select current_user as who');
      expect(rows[0]!.who).to.equal('yaoji_app');
      const outcome = await pool.query('delete from event').then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
      expect(outcome).to.equal(REFUSED);
    } finally {
      await pool.end();
    }
  });
});
