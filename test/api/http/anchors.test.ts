import { expect } from 'chai';
import { ChainAbsent, type Service } from '@yaoji/api/service';
import type { AnchorState } from '@yaoji/api/store/anchors';
import { BUNDLE_TYPE } from '@yaoji/chaincode/core';
import {
  bodyOf,
  bundle,
  fakeService,
  RECORDER,
  REGISTRAR,
  REGULATOR,
  serve,
  TOKEN,
  type Served,
} from './served.ts';

const STATE: AnchorState = {
  seq: 7,
  state: 'included',
  root: `0x${'ab'.repeat(32)}`,
  keptAt: Date.UTC(2026, 10, 21, 2, 31),
  block: { number: 12, hash: `0x${'cd'.repeat(32)}` },
  transaction: `0x${'ef'.repeat(32)}`,
};

describe('anchors over HTTP', () => {
  let served: Served;
  const closing: Served[] = [];
  async function over(told: Partial<Service>): Promise<void> {
    served = await serve(fakeService(told));
    closing.push(served);
  }
  afterEach(() => Promise.all(closing.splice(0).map((one) => one.close())));

  describe('on demand', () => {
    const post = (key?: string): Promise<Response> =>
      served.call('/v1/anchors', { method: 'POST', ...(key === undefined ? {} : { key }) });

    it('are answered with their number, or with the reason why there is none', async () => {
      for (const answer of [
        { seq: 7, state: 'pending' },
        { seq: 6, state: 'final', reason: 'NOTHING_NEW' },
        { reason: 'NODE_UNREACHABLE' },
      ] as const) {
        await over({ demandAnchor: () => Promise.resolve(answer) });
        const response = await post(REGISTRAR);
        expect(response.status).to.equal(202);
        expect(await bodyOf(response)).to.deep.equal(answer);
        expect(response.headers.get('location')).to.equal(
          'seq' in answer ? `/v1/anchors/${answer.seq}` : null,
        );
      }
    });

    it('are for a registrar or a regulator: each costs money', async () => {
      let asked = 0;
      await over({ demandAnchor: () => Promise.resolve({ seq: ++asked }) });
      expect((await post()).status).to.equal(401);
      expect((await post('no.key')).status).to.equal(401);
      const refused = await post(RECORDER);
      expect(refused.status).to.equal(403);
      expect(await bodyOf(refused)).to.include({ code: 'API_KEY_ROLE_WRONG' });
      expect(asked).to.equal(0);
      expect((await post(REGULATOR)).status).to.equal(202);
      expect((await served.call('/v1/anchors')).status).to.equal(405);
    });

    it('are refused where no chain is configured', async () => {
      await over({ demandAnchor: () => Promise.reject(new ChainAbsent('none')) });
      const response = await post(REGISTRAR);
      expect(response.status).to.equal(409);
      expect(await bodyOf(response)).to.include({ code: 'CHAIN_ABSENT' });
    });
  });

  it('tell what has become of them', async () => {
    await over({ anchor: (seq) => Promise.resolve(seq === 7 ? STATE : undefined) });
    const response = await served.call('/v1/anchors/7', { key: RECORDER });
    expect(await bodyOf(response)).to.deep.equal({ ...STATE, keptAt: '2026-11-21T02:31:00.000Z' });
    expect((await served.call('/v1/anchors/7')).status).to.equal(401);
    for (const seq of ['8', '0', '07', '-1', '1e1', '9'.repeat(17), 'x']) {
      const unknown = await served.call(`/v1/anchors/${seq}`, { key: RECORDER });
      expect(unknown.status, seq).to.equal(404);
      expect(await bodyOf(unknown)).to.include({ code: 'ANCHOR_UNKNOWN' });
    }
  });

  it("give the reader's own nonce on, and no other text", async () => {
    const nonces: (string | undefined)[] = [];
    await over({
      bundle: (_token, _reader, nonce) => {
        nonces.push(nonce && Buffer.from(nonce).toString('base64url'));
        return Promise.resolve(bundle);
      },
    });
    const get = (query: string): Promise<Response> => served.call(`/v1/packages/${TOKEN}/bundle${query}`);
    const nonce = 'A_-z'.repeat(8);
    expect((await get(`?nonce=${nonce}`)).headers.get('content-type')).to.contain(BUNDLE_TYPE);
    await get('');
    expect(nonces).to.deep.equal([nonce, undefined]);
    for (const bad of [
      '',
      'x',
      nonce.slice(1),
      `${nonce}A`,
      nonce.replace('_', '%2B'),
      `${nonce}&nonce=${nonce}`,
    ]) {
      const response = await get(`?nonce=${bad}`);
      expect(response.status, bad).to.equal(400);
      expect(await bodyOf(response)).to.include({ code: 'NONCE_BAD' });
    }
    expect(nonces).to.have.length(2);
  });
});
