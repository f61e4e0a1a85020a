import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { verify, type Json } from '@yaoji/chaincode/core';
import { fetchBundle, fetchTrust } from '@yaoji/scripts/client';
import { startInstance } from '@yaoji/scripts/instance';
import { play } from '@yaoji/scripts/play';
import { expect } from 'chai';
import { needsFabric, REAL_FABRIC } from '../../support/fabric.ts';

describe(`${REAL_FABRIC}: an instance on it`, function () {
  this.timeout(240_000);

  const folder = mkdtempSync(join(tmpdir(), 'yaoji-on-fabric-'));
  // PostgreSQL does not run as root: where we do, its user must be able to enter.
  chmodSync(folder, 0o755);
  after(() => rmSync(folder, { recursive: true, force: true }));

  it('plays the reference prescription, and anyone can check who endorsed the box', async function () {
    await needsFabric(this);
    const instance = await startInstance({ folder, ledger: 'fabric', log: () => {} });
    try {
      const { token } = await play(instance.access);
      const bundle = (await fetchBundle(instance.access.url, token)) as Json;
      const trust = await fetchTrust(instance.access.url);
      const report = await verify(bundle, { trust, token, now: Date.now(), suite: nodeSuite });
      const outcomes = Object.fromEntries(report.checks.map(({ id, outcome }) => [id, outcome]));
      expect(report.ok, JSON.stringify(report.checks)).to.equal(true);
      expect(outcomes).to.include({ endorsement: 'passed', fresh: 'passed', box: 'passed' });
      // Four other organisations of the same names are not these.
      const strangers = {
        ...trust,
        organisations: trust.organisations.map((one) => ({ ...one, ca: trust.organisations[0]!.ca })),
      };
      const refused = await verify(bundle, { trust: strangers, token, now: Date.now(), suite: nodeSuite });
      expect(refused.checks.find(({ id }) => id === 'endorsement')?.outcome).to.equal('failed');
    } finally {
      await instance.stop();
    }
  });
});
