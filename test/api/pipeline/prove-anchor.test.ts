import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { prove } from '@yaoji/api/pipeline/prove';
import { trustOf } from '@yaoji/api/services';
import {
  fromBase64url,
  readView,
  verify,
  type Asked,
  type Bundle,
  type Check,
  type Report,
} from '@yaoji/chaincode/core';
import { startAnchorChain, startAnchoring, type AnchorChain, type Anchoring } from '../../support/chain.ts';
import { realParts, settled, Telling, withDevice } from '../../support/service.ts';

describe('a bundle and the chain', function () {
  this.timeout(120_000);
  const parts = realParts();
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-anchor-'));
  let chain: AnchorChain;
  let anchoring: Anchoring;
  let pipeline: Pipeline;
  let telling: Telling;

  before(async () => {
    chain = await startAnchorChain();
    const key = join(folder, 'key');
    chain.writeKey(key);
    telling = new Telling(parts());
    await withDevice(parts().pipeline(), parts(), telling);
    await settled(parts().pipeline(), parts(), telling.before('HANDED_OVER'));
    anchoring = startAnchoring(parts(), { contract: chain.contract, key }, chain.anvil.url);
    await anchoring.reaches('included');
    pipeline = parts().pipeline({ anchors: anchoring.place });
  });
  after(async () => {
    await anchoring?.stop();
    await chain?.anvil.stop();
    rmSync(folder, { recursive: true });
  });

  const proved = async (nonce?: Uint8Array): Promise<Bundle> =>
    (await prove(pipeline, telling.token, 'anyone', nonce))!;
  const check = (bundle: Bundle, asked: Partial<Asked> = {}): Promise<Report> =>
    verify(JSON.parse(JSON.stringify(bundle)), {
      trust: trustOf(parts().profile, { id: 31_337, contract: chain.contract }),
      token: telling.token,
      now: Date.now(),
      suite: verifierSuite,
      ...asked,
    });
  const line = ({ checks }: Report, id: Check['id']): Check => checks.find((one) => one.id === id)!;

  /** The trust of a reader who knows this block, on a chain that others run. */
  async function knowing(bundle: Bundle): Promise<Partial<Asked>> {
    const { block } = (await anchoring.state(bundle.anchor!.seq))!;
    const trust = trustOf(parts().profile, { id: 31_337, contract: chain.contract });
    return { trust: { ...trust, anchor: { ...trust.anchor!, development: false } }, blocks: [block!] };
  }
  /** Records steps of this box, or of others. */
  const record = (step: string, of = telling): Promise<unknown> =>
    settled(parts().pipeline(), parts(), [of.say(step)]);

  it('hold together: the anchor passes for whoever knows the block, and for nobody else', async () => {
    const bundle = await proved();
    const report = await check(bundle, await knowing(bundle));
    expect(report.ok).to.equal(true);
    expect(line(report, 'anchor')).to.include({ outcome: 'passed' });
    expect(report.facts?.anchor).to.include({
      seq: 1,
      later: 0,
      chain: 'eip155:31337',
      contract: chain.contract,
    });

    const unknowing = await check(bundle);
    expect(line(unknowing, 'anchor').outcome).to.equal('not-checked');
    expect(unknowing.facts?.anchor).to.deep.equal(report.facts?.anchor);
    const other = { number: report.facts!.anchor!.block, hash: `0x${'00'.repeat(32)}` };
    const lied = await check(bundle, { ...(await knowing(bundle)), blocks: [other] });
    expect(line(lied, 'anchor').outcome).to.equal('failed');
  });

  it('say on a development chain that one operator runs it', async () => {
    const bundle = await proved();
    const { blocks } = await knowing(bundle);
    const found = line(await check(bundle, { blocks: blocks! }), 'anchor');
    expect(found.outcome).to.equal('not-checked');
    expect(found.detail).to.include('one operator');
  });

  it('name the records that came after, until they are anchored as well', async () => {
    await record('SAMPLE_RETAINED');
    await record('SAMPLE_RETAINED');
    const before = await proved();
    expect(before.anchor?.seq).to.equal(1);
    const report = await check(before, await knowing(before));
    expect(line(report, 'anchor').outcome).to.equal('passed');
    expect(report.facts?.anchor?.later).to.equal(2);

    expect((await anchoring.demand()).seq).to.equal(2);
    await anchoring.reaches('included', 2);
    const after = await proved();
    expect(after.anchor?.seq).to.equal(2);
    const later = await check(after, await knowing(after));
    expect(line(later, 'anchor').outcome).to.equal('passed');
    expect(later.facts?.anchor?.later).to.equal(0);
  });

  it('name the earliest block that holds all of them, however many follow', async () => {
    await record('RX_ISSUED', new Telling(parts()));
    expect((await anchoring.demand()).seq).to.equal(3);
    await anchoring.reaches('included', 3);
    const bundle = await proved();
    expect(bundle.anchor?.seq).to.equal(2);
    expect(line(await check(bundle, await knowing(bundle)), 'anchor').outcome).to.equal('passed');
  });

  it('are not of different times, though views are remembered for some seconds', async () => {
    await record('SAMPLE_RETAINED');
    await proved(); // remembers the views
    await record('RX_ISSUED', new Telling(parts()));
    expect((await anchoring.demand()).seq).to.equal(4);
    await anchoring.reaches('included', 4);
    const bundle = await proved();
    expect(bundle.anchor?.seq).to.equal(4);
    const report = await check(bundle, await knowing(bundle));
    expect(report.checks.filter(({ outcome }) => outcome === 'failed')).to.deep.equal([]);
    expect(line(report, 'anchor').outcome).to.equal('passed');
  });

  it('know nothing of one another while the anchor waits for a block, or after the chain has lost it', async () => {
    const pending = await startAnchorChain({ args: ['--no-mining'] });
    const key = join(folder, 'other-key');
    pending.writeKey(key);
    const waiting = startAnchoring(parts(), { contract: pending.contract, key }, pending.anvil.url);
    try {
      await waiting.reaches('pending');
      const of = async (): Promise<Bundle> =>
        (await prove(parts().pipeline({ anchors: waiting.place }), telling.token, 'anyone'))!;
      expect(await of()).not.to.have.property('anchor');
      expect(line(await check(await of()), 'anchor').outcome).to.equal('not-checked');
      await pending.anvil.rpc('evm_mine');
      await waiting.reaches('included');
      expect(await of()).to.have.property('anchor');
      await pending.anvil.rpc('anvil_reorg', 1, []);
      await waiting.reaches('pending');
      expect(await of()).not.to.have.property('anchor');
    } finally {
      await waiting.stop();
      await pending.anvil.stop();
    }
  });

  it('know nothing of one another where no chain is configured', async () => {
    const bundle = (await prove(parts().pipeline(), telling.token, 'anyone'))!;
    expect(bundle).not.to.have.property('anchor');
    expect(trustOf(parts().profile)).not.to.have.property('anchor');
  });

  describe("with the reader's own nonce", () => {
    it('have it in the view of the heads, which was taken for this reader', async () => {
      const [one, two] = [randomBytes(24), randomBytes(24)];
      const bundles = [await proved(one), await proved(two)];
      for (const [i, nonce] of [one, two].entries()) {
        expect(Buffer.from(readView(fromBase64url(bundles[i]!.views.heads)).nonce)).to.deep.equal(nonce);
        const report = await check(bundles[i]!, { nonce });
        expect(report.ok).to.equal(true);
        expect(line(report, 'fresh').detail).to.include("reader's nonce");
        expect(line(report, 'endorsement').outcome).not.to.equal('failed');
      }
      expect(line(await check(bundles[0]!, { nonce: two }), 'fresh').outcome).to.equal('failed');
    });

    it('are remembered for nobody else', async () => {
      const nonce = randomBytes(24);
      await proved(nonce);
      const { nonce: other } = readView(fromBase64url((await proved()).views.heads));
      expect(Buffer.from(other)).not.to.deep.equal(nonce);
      expect((await proved()).views.heads).to.equal((await proved()).views.heads);
    });

    it('can be had for the same nonce again', async () => {
      const nonce = randomBytes(24);
      for (const bundle of [await proved(nonce), await proved(nonce)])
        expect(line(await check(bundle, { nonce }), 'fresh').outcome).not.to.equal('failed');
    });
  });
});
