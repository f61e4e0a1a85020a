import { expect } from 'chai';
import type { Pool } from 'pg';
import { createApiKey, findApiKey, revokeApiKey } from '@yaoji/api/store/api-keys';
import { openPool } from '@yaoji/api/store/pool';
import { freshDatabase, type TestDatabase } from '../../support/database.ts';

const SCOPE = { org: 'CentreMSP', site: 'centre-1', role: 'recorder' } as const;

describe('an API key', () => {
  let database: TestDatabase;
  let pool: Pool;
  before(async () => {
    database = await freshDatabase();
    pool = openPool(database.url, { role: 'yaoji_app', max: 2, onError: () => {} });
  });
  after(async () => {
    await pool?.end();
    await database?.drop();
  });

  it('leads to its scope, and its text is kept nowhere', async () => {
    const { id, key } = await createApiKey(pool, SCOPE);
    expect(await findApiKey(pool, key)).to.deep.equal({ id, ...SCOPE });
    const secret = key.slice(id.length + 1);
    expect(Buffer.from(secret, 'base64url')).to.have.length(32);
    const { rows } = await pool.query<{ row: string }>('select api_key::text as row from api_key');
    for (const { row } of rows) {
      expect(row).not.to.contain(secret);
      expect(row).not.to.contain(Buffer.from(secret).toString('hex'));
      expect(row).not.to.contain(Buffer.from(secret, 'base64url').toString('hex'));
    }
  });

  it('with another secret, another id, or cut short leads nowhere', async () => {
    const { id, key } = await createApiKey(pool, SCOPE);
    const { key: other } = await createApiKey(pool, SCOPE);
    const [otherId, otherSecret] = other.split('.');
    for (const text of [
      `${id}.${otherSecret}`,
      `${otherId}.${key.slice(id.length + 1)}`,
      key.slice(0, -1),
      `${key}A`,
      ` ${key}`,
      id,
      `${id}.`,
      `.${key}`,
      '.',
      '',
      `${id}.${Buffer.alloc(32).toString('base64url')}`,
    ])
      expect(await findApiKey(pool, text), JSON.stringify(text)).to.equal(undefined);
  });

  it('is good until it expires', async () => {
    const { key: past } = await createApiKey(pool, SCOPE, new Date(Date.now() - 1_000));
    const { key: future } = await createApiKey(pool, SCOPE, new Date(Date.now() + 60_000));
    expect(await findApiKey(pool, past)).to.equal(undefined);
    expect(await findApiKey(pool, future)).to.include(SCOPE);
  });

  it('is good until it is revoked, which can be said again and changes no other', async () => {
    const { id, key } = await createApiKey(pool, SCOPE);
    const { key: other } = await createApiKey(pool, SCOPE);
    await revokeApiKey(pool, id);
    await revokeApiKey(pool, id);
    expect(await findApiKey(pool, key)).to.equal(undefined);
    expect(await findApiKey(pool, other)).to.include(SCOPE);
  });
});
