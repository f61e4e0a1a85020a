import { expect } from 'chai';
import { connectLedger } from '@yaoji/api/ledger/connect';
import { readState } from '@yaoji/api/ledger/view';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { packagePage } from '@yaoji/api/pipeline/page';
import { prove } from '@yaoji/api/pipeline/prove';
import { LedgerUnavailable } from '@yaoji/api/service';
import { trustOf } from '@yaoji/api/services';
import { readNodes } from '@yaoji/api/store/batches';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import {
  append,
  at as keyOf,
  element,
  EMPTY,
  fromBase64url,
  inclusionElements,
  leafHash,
  parseCheckpoint,
  parseDisclosure,
  root,
  tokenFrom,
  utf8,
  verify,
  verifyInclusion,
  type Bundle,
  type Log,
} from '@yaoji/chaincode/core';
import {
  post,
  randomKey,
  realParts,
  receiptOf,
  settleAll,
  settled,
  Telling,
  withDevice,
} from '../../support/service.ts';

const CENTRE = 'DecoctionMSP';

describe('proofs', function () {
  this.timeout(60_000);
  const parts = realParts();
  let pipeline: Pipeline;
  let telling: Telling;
  before(async () => {
    pipeline = parts().pipeline();
    telling = new Telling(parts());
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before());
    // A log of some length, in batches of several sizes.
    for (const size of [1, 2, 5, 13, 40]) {
      const others = Array.from({ length: size }, () => new Telling(parts()));
      await settled(
        pipeline,
        parts(),
        others.map((other) => other.say('RX_ISSUED')),
      );
    }
  });

  const check = (bundle: Bundle | undefined) =>
    verify(bundle, {
      trust: trustOf(parts().profile),
      token: telling.token,
      now: Date.now(),
      suite: verifierSuite,
    });

  for (const org of ['HospitalMSP', CENTRE])
    it(`hold for every record of ${org}, and every checkpoint is the root of its records`, async () => {
      const { pool } = parts();
      const text = (await readState(pipeline.ledger, org, [keyOf.log(org)])).get(keyOf.log(org))!;
      const log = JSON.parse(text) as Log;
      const { rows } = await pool.query<{ index: string; body: string; leaf: string }>(
        'select index, body, leaf from record where org = $1 order by index',
        [org],
      );
      expect(rows).to.have.length(log.size);
      const coordinates = rows.flatMap((_, i) => inclusionElements(i, log.size).flat());
      const nodes = await readNodes(pool, org, coordinates);
      const checkpoint = { size: log.size, root: fromBase64url(log.root) };
      const roots = new Map<number, string>();
      let frontier = EMPTY;
      for (const [i, { index, body, leaf }] of rows.entries()) {
        expect(Number(index)).to.equal(i);
        const hash = leafHash(utf8(body), nodeSuite.sha256);
        expect(Buffer.from(hash).toString('base64url')).to.equal(leaf);
        const proof = inclusionElements(i, log.size).map((subtrees) =>
          element(
            subtrees.map(({ level, index: place }) => nodes.get(`${level}/${place}`)!),
            nodeSuite.sha256,
          ),
        );
        verifyInclusion(hash, i, checkpoint, proof, nodeSuite.sha256);
        frontier = append(frontier, hash, nodeSuite.sha256);
        roots.set(i + 1, Buffer.from(root(frontier, nodeSuite.sha256)).toString('hex'));
      }
      const batches = await pool.query<{ checkpoint: string }>(
        'select checkpoint from batch where org = $1 order by number',
        [org],
      );
      for (const { checkpoint: line } of batches.rows) {
        const { origin, size, root: signed } = parseCheckpoint(line);
        expect(origin).to.equal(`${parts().profile.channel}/${org}`);
        if (size > 0) expect(Buffer.from(signed).toString('hex')).to.equal(roots.get(size));
      }
    });

  it('of a box pass every check that its trust file asks for', async () => {
    const report = await check(await prove(pipeline, telling.token, 'anyone'));
    expect(report.checks.filter(({ outcome }) => outcome === 'failed')).to.deep.equal([]);
    expect(report.ok).to.equal(true);
  });

  it('show each reader the fields that he may see, and pass for each', async () => {
    const names = async (reader: 'anyone' | 'regulator'): Promise<Set<string>> => {
      const bundle = await prove(pipeline, telling.token, reader);
      expect((await check(bundle)).ok).to.equal(true);
      return new Set(
        bundle!.trails.flatMap(({ records }) =>
          records.flatMap(({ disclosures }) => disclosures.map((text) => parseDisclosure(text).name)),
        ),
      );
    };
    const anyone = await names('anyone');
    for (const open of ['sealNo', 'bestBefore', 'waterMl', 'peakTempDeciC']) expect(anyone).to.include(open);
    for (const hidden of ['staff', 'basketId', 'herbRefs', 'waybill', 'hubCode', 'receiverKind'])
      expect(anyone).not.to.include(hidden);
    const regulator = await names('regulator');
    for (const shown of [...anyone, 'staff', 'basketId', 'herbRefs', 'waybill'])
      expect(regulator).to.include(shown);
  });

  it('and pages say nothing that is sealed: no herb, no person, no prescription', async () => {
    const bundle = JSON.stringify(await prove(pipeline, telling.token, 'anyone'));
    const page = JSON.stringify(await packagePage(pipeline, telling.token));
    const hidden = telling.told.flatMap(({ statement: { payload } }) =>
      ['staff', 'basketId', 'waybill', 'hubCode', 'vesselId'].flatMap((name) =>
        typeof payload[name] === 'string' ? [payload[name]] : [],
      ),
    );
    expect(hidden.length).to.be.greaterThan(5);
    const decoded = bundle.replaceAll(/"([A-Za-z0-9_-]{24,})"/g, (_, text: string) =>
      Buffer.from(text, 'base64url').toString('latin1'),
    );
    for (const secret of [...hidden, 'DEMO-', Buffer.from('旋覆花').toString('latin1')])
      for (const shown of [bundle, decoded, page]) expect(shown).not.to.contain(secret);
    expect(page).not.to.contain(telling.keys.fulfilment);
  });

  it('are there for no token that no box has', async () => {
    const unknown = tokenFrom(Buffer.from(randomKey() + randomKey()));
    expect(await prove(pipeline, unknown, 'anyone')).to.equal(undefined);
    expect(await packagePage(pipeline, unknown)).to.equal(undefined);
  });

  it('are made of one moment while the log goes on growing', async () => {
    const stopped = new AbortController();
    const writer = (async () => {
      while (!stopped.signal.aborted)
        await settled(pipeline, parts(), [telling.say('SAMPLE_RETAINED'), telling.say('PATIENT_VERIFIED')]);
    })();
    try {
      for (let i = 0; i < 5; i++) {
        const bundle = await prove(parts().pipeline(), telling.token, 'anyone');
        const report = await check(bundle);
        expect(report.checks.filter(({ outcome }) => outcome === 'failed')).to.deep.equal([]);
      }
    } finally {
      stopped.abort();
      await writer;
    }
    const bundle = await prove(pipeline, telling.token, 'anyone');
    const records = bundle!.trails.reduce((sum, trail) => sum + trail.records.length, 0);
    expect(records).to.be.greaterThan(32);
  });

  describe('without a ledger', () => {
    let cut: Pipeline;
    before(() => {
      // Nobody listens there.
      const organisations = parts().profile.organisations.map((one) => ({ ...one, gateway: '127.0.0.1:1' }));
      cut = parts().pipeline({ ledger: connectLedger({ ...parts().profile, organisations }) });
    });
    after(() => cut.ledger.close());

    it('there are no fresh ones, which is said', async () => {
      const outcome = await prove(cut, telling.token, 'anyone').then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(outcome).to.be.instanceOf(LedgerUnavailable);
    });

    it('scanning goes on, and the page says what is not settled', async () => {
      const said = telling.say('PATIENT_VERIFIED');
      const [answer] = await post(cut, parts(), [said]);
      expect(answer!.receipt).to.include({ outcome: 'pending' });
      expect((await packagePage(cut, telling.token))!.unsettled).to.equal(1);
      await settleAll(pipeline);
      expect(await receiptOf(parts(), said)).to.include({ outcome: 'settled' });
      expect((await packagePage(cut, telling.token))!.unsettled).to.equal(0);
    });
  });
});
