import { expect } from 'chai';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { toTrust, verify, type Bundle, type Check, type Report, type Trust } from '@yaoji/chaincode/core';
import { anchoredBundle, withBlock } from '@yaoji/scripts/anchored';
import { ask } from '@yaoji/scripts/chain';
import { fetchBundle, fetchTrust } from '@yaoji/scripts/client';
import { startInstance, type Instance, type InstanceOptions } from '@yaoji/scripts/instance';
import { play } from '@yaoji/scripts/play';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { anvilPid, killAnvil, needsAnvil } from '../support/development-chain.ts';
import { needsFabric, REAL_FABRIC } from '../support/fabric.ts';
import { until } from '../support/service.ts';

// One box, from its scans to the chain and back to a reader who knows a block: everything as `npm start` runs it.

/** An instance of this suite with a development chain. */
function instanceWithChain(options: Partial<InstanceOptions> = {}): () => Instance & { rpc: string } {
  let database: TestDatabase;
  let folder: string;
  let instance: Instance | undefined;
  before(async function () {
    this.timeout(300_000);
    needsAnvil(this);
    if (options.ledger === 'fabric') await needsFabric(this);
    database = await freshDatabase();
    folder = mkdtempSync(join(tmpdir(), 'yaoji-anchor-'));
    chmodSync(folder, 0o755);
    const databaseUrl = database.url;
    instance = await startInstance({ folder, databaseUrl, chain: 'development', log: () => {}, ...options });
  });
  after(async function () {
    this.timeout(60_000);
    await instance?.stop();
    await database?.drop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });
  return () => ({ ...instance!, rpc: instance!.access.chainRpc! });
}

/** The trust file for a chain that others run, as far as the anchor's check can tell, with these blocks. */
const ofOthers = (
  trust: Trust,
  blocks: NonNullable<Trust['anchor']>['blocks'] = trust.anchor!.blocks,
): Trust => ({
  ...trust,
  anchor: { ...trust.anchor!, development: false, blocks },
});
const reported = (bundle: Bundle, token: string, trust: Trust): Promise<Report> =>
  verify(bundle, { trust: toTrust(trust), token, now: Date.now(), suite: verifierSuite });
const anchorOf = ({ checks }: Report): Check => checks.find(({ id }) => id === 'anchor')!;
const anchorCheck = async (bundle: Bundle, token: string, trust: Trust): Promise<Check> =>
  anchorOf(await reported(bundle, token, trust));

describe('a box on the chain', function () {
  this.timeout(120_000);
  const instance = instanceWithChain();
  let token: string;
  let bundle: Bundle;

  it('passes before a reader who knows the block, and before nobody else', async () => {
    const { access, rpc } = instance();
    ({ token } = await play(access));
    bundle = await anchoredBundle(access, token);
    const served = await fetchTrust(access.url);
    expect(served.anchor).to.deep.include({ chain: 'eip155:31337', development: true, blocks: [] });
    const trust = await withBlock(served, bundle, rpc);
    const [block] = trust.anchor!.blocks;

    const report = await reported(bundle, token, ofOthers(trust));
    expect(anchorOf(report)).to.include({ outcome: 'passed' });
    expect(report.ok).to.equal(true);
    expect(report.facts!.anchor).to.include({ block: block!.number, hash: block!.hash, later: 0 });

    const unknown = await anchorCheck(bundle, token, ofOthers(trust, []));
    expect(unknown.outcome).to.equal('not-checked');
    expect(unknown.detail).to.contain(block!.hash).and.to.contain(String(block!.number));
    const foreign = [{ number: block!.number, hash: `0x${'5'.repeat(64)}` }];
    expect(await anchorCheck(bundle, token, ofOthers(trust, foreign))).to.include({ outcome: 'failed' });
    expect((await anchorCheck(bundle, token, trust)).detail).to.contain('one operator runs this chain');
  });

  it('scans and settles while the chain is down, and is anchored when it is back', async () => {
    const { access, rpc } = instance();
    let kills = 0;
    const down = setInterval(() => {
      if (anvilPid(rpc) === undefined) return;
      killAnvil(rpc);
      kills++;
    }, 50);
    let scanned: string;
    try {
      ({ token: scanned } = await play(access));
      const ready = await fetch(`${access.url}/readyz`);
      expect(ready.status, 'the service is ready without its chain').to.equal(200);
      expect((await fetchBundle(access.url, scanned)).trails).to.have.length(2);
    } finally {
      clearInterval(down);
    }
    expect(kills).to.be.greaterThan(0);
    await until('the chain is back', () =>
      ask(rpc, 'eth_chainId').then(
        () => true,
        () => false,
      ),
    );
    const later = await anchoredBundle(access, scanned);
    const trust = ofOthers(await withBlock(await fetchTrust(access.url), later, rpc));
    expect(await anchorCheck(later, scanned, trust)).to.include({ outcome: 'passed' });
  });

  it('is anchored again, by the same contract, when the chain has lost everything', async () => {
    const { access, rpc, chainEnv } = instance();
    const before = await anchoredBundle(access, token);
    // The key lies beside the state.
    rmSync(join(chainEnv['CHAIN_KEY']!, '..', 'state.json'), { force: true });
    killAnvil(rpc);
    await until(
      'the box is on the new chain',
      async () => {
        const { anchor } = await anchoredBundle(access, token);
        return anchor !== undefined && anchor.header !== before.anchor!.header;
      },
      60_000,
    );
    const again = await anchoredBundle(access, token);
    expect(again.anchor!.contract).to.equal(before.anchor!.contract);
    const trust = ofOthers(await withBlock(await fetchTrust(access.url), again, rpc));
    expect(await anchorCheck(again, token, trust)).to.include({ outcome: 'passed' });
  });
});

describe(`${REAL_FABRIC}: a box on the chain`, function () {
  this.timeout(180_000);
  const instance = instanceWithChain({ ledger: 'fabric' });

  it('is vouched for by the organisations and by a block', async () => {
    const { access, rpc } = instance();
    const { token } = await play(access);
    const bundle = await anchoredBundle(access, token);
    const trust = ofOthers(await withBlock(await fetchTrust(access.url), bundle, rpc));
    const report = await reported(bundle, token, { ...trust, required: [...trust.required, 'anchor'] });
    expect(report.checks.filter(({ outcome }) => outcome !== 'passed').map(({ id }) => id)).to.deep.equal([
      'ordering',
    ]);
    expect(report.ok).to.equal(true);
  });
});
