import { expect } from 'chai';
import { createApiKey, findApiKey, revokeApiKey, type KeyScope } from '@yaoji/api/store/api-keys';
import { openPool } from '@yaoji/api/store/pool';
import { freshDatabase, type TestDatabase } from '../../support/database.ts';

describe('API keys', function () {
  this.timeout(120_000);

  let database: TestDatabase;
  let pool: ReturnType<typeof openPool>;
  const scope: KeyScope = { org: 'centre', site: 'main', role: 'recorder' };

  before(async () => {
    database = await freshDatabase();
    pool = openPool(database.url, { role: 'yaoji_app', onError: () => {} });
  });
  after(async () => {
    await pool?.end();
    await database?.drop();
  });

  it('find whom they were made for', async () => {
    const { id, key } = await createApiKey(pool, scope);
    expect(key).to.match(/^[A-Za-z0-9_-]{12}\.[A-Za-z0-9_-]{43}$/);
    expect(await findApiKey(pool, key)).to.deep.equal({ id, ...scope });
  });

  it('are kept without their secret', async () => {
    const { id, key } = await createApiKey(pool, scope);
    const { rows } = await pool.query('select * from api_key where id = $1', [id]);
    expect(JSON.stringify(rows)).not.to.contain(key.split('.')[1]);
    expect((rows[0] as { secret_hash: Buffer }).secret_hash).to.have.length(32);
  });

  it('find nobody with another secret, another id, or anything else', async () => {
    const { id, key } = await createApiKey(pool, scope);
    const { id: other } = await createApiKey(pool, scope);
    const secret = key.slice(id.length + 1);
    for (const text of [
      `${id}.`,
      `${id}.${secret}x`,
      `${other}.${secret}`,
      `.${secret}`,
      id,
      secret,
      '',
      '.',
      "'.'",
    ])
      expect(await findApiKey(pool, text), text).to.equal(undefined);
  });

  it('find nobody once revoked; revoking again changes nothing', async () => {
    const { id, key } = await createApiKey(pool, scope);
    await revokeApiKey(pool, id);
    await revokeApiKey(pool, id);
    expect(await findApiKey(pool, key)).to.equal(undefined);
  });

  it('find nobody once expired', async () => {
    const soon = await createApiKey(pool, scope, new Date(Date.now() + 60_000));
    expect(await findApiKey(pool, soon.key)).to.include({ id: soon.id });
    const past = await createApiKey(pool, scope, new Date(Date.now() - 1000));
    expect(await findApiKey(pool, past.key)).to.equal(undefined);
  });

  it('are made for known roles only, and are never changed', async () => {
    const role = 'king' as KeyScope['role'];
    await createApiKey(pool, { ...scope, role }).then(
      () => expect.fail('it was made'),
      (error: Error) => expect(error.message).to.contain('api_key_role_check'),
    );
    const { id } = await createApiKey(pool, scope);
    await pool.query("update api_key set org = 'other' where id = $1", [id]).then(
      () => expect.fail('it was changed'),
      (error: Error) => expect(error.message).to.contain('permission denied'),
    );
  });
});
