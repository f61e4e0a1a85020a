import { expect } from 'chai';
import { Client } from 'pg';
import { realParts, serveService, type ServedService } from '../../support/service.ts';

describe('a service with a login of its own', function () {
  this.timeout(60_000);
  const parts = realParts();
  let served: ServedService;
  let own: string;
  before(async () => {
    const owner = new Client({ connectionString: parts().databaseUrl });
    await owner.connect();
    await owner.query(
      `do $$ begin create role yaoji_service login in role yaoji_app; exception when duplicate_object then null; end $$`,
    );
    await owner.end();
    const url = new URL(parts().databaseUrl);
    url.searchParams.set('user', 'yaoji_service');
    own = url.href;
    served = await serveService(parts(), { databaseUrl: own, ownerUrl: parts().databaseUrl });
  });
  after(() => served?.stop());

  it('serves, with migrations run by the owner', async () => {
    const answer = await fetch(`${served.access.url}/readyz`);
    expect(answer.status).to.equal(200);
    const { store } = (await answer.json()) as { store: boolean };
    expect(store).to.equal(true);
  });

  it('cannot become the owner, as one that logs in as the owner could', async () => {
    const client = new Client({ connectionString: own });
    await client.connect();
    try {
      const outcome = await client.query('set role yaoji').then(
        () => 'done',
        (error: { code?: string }) => error.code,
      );
      expect(outcome).to.equal('42501');
    } finally {
      await client.end();
    }
  });
});
