import { expect } from 'chai';
import { LedgerUnavailable } from '@yaoji/api/service';
import type { PackagePage } from '@yaoji/web/page';
import type { Reader } from '@yaoji/chaincode/core';
import { create } from 'qrcode';
import {
  bodyOf,
  bundle,
  fakeService,
  RECORDER,
  REGULATOR,
  serve,
  TOKEN,
  trust,
  type Served,
} from './served.ts';

const names = { zh: '一号煎药中心', en: 'Centre One' };
const page: PackagePage = {
  token: TOKEN,
  phase: 'LABELLED',
  centre: names,
  custodian: names,
  bags: 14,
  steps: [{ step: 'LABELLED', time: '2026-11-21T02:31Z', org: names, open: { bags: 14 } }],
  unsettled: 0,
};
const OTHER = 'Z'.repeat(26);
const only =
  <T>(value: T) =>
  (token: string): Promise<T | undefined> =>
    Promise.resolve(token === TOKEN ? value : undefined);

describe('the routes of a box', () => {
  let served: Served;
  let readers: Reader[];
  before(async () => {
    served = await serve(
      fakeService({
        bundle: (token, reader) => {
          readers.push(reader);
          return only(bundle)(token);
        },
        packagePage: only(page),
        trust: () => trust,
      }),
    );
  });
  beforeEach(() => {
    readers = [];
  });
  after(() => served.close());

  it('gives the bundle to anyone with the token, as it was scanned or typed', async () => {
    for (const typed of [
      TOKEN,
      TOKEN.toLowerCase(),
      '0123-4567-89AB-CDEF-GHJK-MNPQ-RS',
      `O${TOKEN.slice(1)}`,
    ]) {
      const response = await served.call(`/v1/packages/${typed}/bundle`);
      expect(response.status).to.equal(200);
      expect(response.headers.get('content-type')).to.contain(bundle.mediaType);
      expect(await bodyOf(response)).to.deep.equal(bundle);
    }
    expect(new Set(readers)).to.deep.equal(new Set(['anyone']));
  });

  it('shows more to a regulator only', async () => {
    await served.call(`/v1/packages/${TOKEN}/bundle`, { key: RECORDER });
    await served.call(`/v1/packages/${TOKEN}/bundle`, { key: REGULATOR });
    expect(readers).to.deep.equal(['anyone', 'regulator']);
  });

  it('refuses a bad key, though none is needed', async () => {
    expect((await served.call(`/v1/packages/${TOKEN}/bundle`, { key: 'no.key' })).status).to.equal(401);
    expect(readers).to.deep.equal([]);
  });

  it('answers a code that no box has and one that cannot be a code alike', async () => {
    const shown = async (path: string): Promise<unknown> => {
      const response = await served.call(path);
      const text = (await response.text()).replace(/"traceId":"[0-9a-f]{32}"/, '');
      const headers = [...response.headers].filter(
        ([name]) => !['date', 'ratelimit', 'ratelimit-policy', 'etag'].includes(name),
      );
      return [response.status, headers, text];
    };
    for (const path of [
      '/v1/packages/*/bundle',
      '/v1/packages/*/label.svg',
      '/v1/packages/*/label.png',
      '/p/*',
    ]) {
      const unknown = await shown(path.replace('*', OTHER));
      expect(unknown).to.have.property('0', 404);
      for (const malformed of ['short', 'U'.repeat(26), '%E8%8D%AF', 'x'.repeat(500), 'constructor'])
        expect(await shown(path.replace('*', malformed))).to.deep.equal(unknown);
    }
  });

  it('serves the page, and nothing that keeps or tells its address', async () => {
    for (const [token, status] of [
      [TOKEN, 200],
      [OTHER, 404],
    ] as const) {
      const response = await served.call(`/p/${token}`);
      expect(response.status).to.equal(status);
      expect(response.headers.get('content-type')).to.equal('text/html; charset=utf-8');
      expect(response.headers.get('cache-control')).to.equal('no-store');
      expect(response.headers.get('x-robots-tag')).to.equal('noindex, nofollow');
      expect(response.headers.get('referrer-policy')).to.equal('no-referrer');
      expect((await response.text()).includes(names.zh)).to.equal(status === 200);
    }
  });

  it('lets the page’s own policy run its script and style, and no others', async () => {
    const response = await served.call(`/p/${TOKEN}`);
    expect(response.headers.get('content-security-policy')?.split(';')).to.have.members([
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "img-src 'self' data:",
      "style-src 'self'",
      "worker-src 'self'",
      "manifest-src 'self'",
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ]);
    const html = await response.text();
    expect(html).not.to.match(/<style|<script(?![^>]*\bsrc=)| style=| on[a-z]+=/);
    for (const [, asset] of html.matchAll(/(?:src|href)="(\/[^"]*)"/g))
      expect(asset).to.match(/^\/(assets\/[a-z.-]+|p\/.*|v1\/packages\/.*)$/);
  });

  it('prints the code and its text in groups of four, and nothing else', async () => {
    const response = await served.call(`/v1/packages/${TOKEN}/label.svg`);
    expect(response.headers.get('content-type')).to.contain('image/svg+xml');
    const svg = await response.text();
    expect([...svg.matchAll(/>([^<\s][^<]*)</g)].map(([, text]) => text)).to.deep.equal([
      '0123 4567 89AB CDEF',
      'GHJK MNPQ RS',
    ]);
    // 50 characters at level Q: version 4, 33 modules; every dark one is drawn once.
    const { modules } = create(`http://box.example/p/${TOKEN}`, { errorCorrectionLevel: 'Q' });
    expect(modules.size).to.equal(33);
    const drawn = [...svg.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => [
      Number(x) - 4,
      Number(y) - 4,
    ]);
    expect(drawn).to.have.length(modules.data.reduce((sum, dark) => sum + dark, 0));
    for (const [x, y] of drawn) expect(modules.get(y!, x!)).to.equal(1);
  });

  it('prints the code as PNG', async () => {
    const response = await served.call(`/v1/packages/${TOKEN.toLowerCase()}/label.png`);
    expect(response.headers.get('content-type')).to.equal('image/png');
    const png = Buffer.from(await response.arrayBuffer());
    expect(png.subarray(1, 4).toString('latin1')).to.equal('PNG');
    expect(png.readUInt32BE(16)).to.equal((33 + 8) * 8);
  });

  it('serves what the page loads, and no other file', async () => {
    const style = await served.call('/assets/style.css');
    expect(style.status).to.equal(200);
    expect(style.headers.get('content-type')).to.equal('text/css; charset=utf-8');
    for (const path of [
      'none.js',
      '..%2Fpackage.json',
      '..%2F..%2Fpackage.json',
      '.env',
      'style.css%00.js',
      'Style.CSS',
    ])
      expect((await served.call(`/assets/${path}`)).status, path).to.equal(404);
  });

  it('serves it as the build has compressed it, where the browser takes that', async () => {
    const ask = (accepted: string): Promise<Response> =>
      served.call('/assets/app.js', { headers: { 'accept-encoding': accepted } });
    const plain = await ask('identity');
    const codings = await Promise.all(['gzip, deflate, br', 'gzip', 'br;q=0, gzip'].map(ask));
    expect(codings.map(({ headers }) => headers.get('content-encoding'))).to.deep.equal([
      'br',
      'gzip',
      'gzip',
    ]);
    const text = await plain.text();
    expect(plain.headers.get('content-encoding')).to.equal(null);
    for (const coded of codings) {
      expect(coded.headers.get('content-type')).to.equal('text/javascript; charset=utf-8');
      expect(coded.headers.get('vary')).to.contain('Accept-Encoding');
      expect(await coded.text()).to.equal(text);
    }
    const missing = await served.call('/assets/none.js', { headers: { 'accept-encoding': 'br' } });
    expect([missing.status, missing.headers.get('content-encoding')]).to.deep.equal([404, null]);
  });

  it('serves the trust file', async () => {
    expect(await bodyOf(await served.call('/trust.json'))).to.deep.equal(trust);
  });

  it('says that the ledger is away, and when to ask again', async () => {
    const away = await serve(
      fakeService({
        bundle: () => Promise.reject(new LedgerUnavailable('down')),
        packagePage: only(page),
      }),
    );
    const response = await away.call(`/v1/packages/${TOKEN}/bundle`);
    expect(response.status).to.equal(503);
    expect(response.headers.get('retry-after')).to.equal('5');
    expect(await bodyOf(response)).to.include({ code: 'LEDGER_UNAVAILABLE' });
    expect((await away.call(`/p/${TOKEN}`)).status).to.equal(200);
    await away.close();
  });
});
