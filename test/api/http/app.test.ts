import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { QueueFull, StoreUnavailable, type Health, type Service } from '@yaoji/api/service';
import { PROBLEM_TITLES } from '@yaoji/web/words/problems';
import { bodyOf, fakeService, RECORDER, serve, settled, TOKEN, trust, type Served } from './served.ts';

const health: Health = { store: true, ledger: true, pending: 0, stopped: [] };

describe('the HTTP side', () => {
  let served: Served;
  let now: Health;
  before(async () => {
    served = await serve(
      fakeService({
        health: () => Promise.resolve(now),
        packagePage: () => Promise.resolve(undefined),
        bundle: () => Promise.reject(new Error(`invalid input: 旋覆代赭汤 ${TOKEN}`)),
        receive: () => Promise.reject(Object.assign(new Error('duplicate key (旋覆花)'), { code: '23505' })),
      }),
    );
  });
  beforeEach(() => {
    now = health;
    served.lines.length = 0;
  });
  after(() => served.close());

  it('is alive whatever the store and the ledger do', async () => {
    expect((await served.call('/healthz')).status).to.equal(200);
  });

  it('is ready while the store answers, also without the ledger, and shows stopped logs', async () => {
    now = { store: true, ledger: false, pending: 12, stopped: [{ org: 'centre', why: 'the roots differ' }] };
    const ready = await served.call('/readyz');
    expect(ready.status).to.equal(200);
    expect(await bodyOf(ready)).to.deep.equal({ ready: true, ...now });
    now = { ...health, store: false };
    expect((await served.call('/readyz')).status).to.equal(503);
  });

  it('answers everything else with a problem', async () => {
    for (const path of [
      '/',
      '/v1',
      '/v1/events/',
      '/p',
      '/p/',
      '/problems/NONE',
      '/problems/constructor',
      '/assets/',
    ]) {
      const response = await served.call(path);
      expect([404, 405], path).to.include(response.status);
      expect(response.headers.get('content-type'), path).to.contain('application/problem+json');
    }
    for (const path of ['/p/%ff', '/assets/%']) {
      const response = await served.call(path);
      expect(response.status).to.equal(400);
      expect(await bodyOf(response)).to.include({ code: 'REQUEST_MALFORMED' });
    }
  });

  it('explains every problem, to a person and to a program', async () => {
    for (const code of Object.keys(PROBLEM_TITLES)) {
      const json = await bodyOf(
        await served.call(`/problems/${code}`, { headers: { accept: 'application/json' } }),
      );
      expect(json).to.include({ code });
      const html = await served.call(`/problems/${code}`, { headers: { accept: 'text/html' } });
      expect(html.headers.get('content-type')).to.contain('text/html');
      expect(await html.text()).to.contain(
        `<p>${PROBLEM_TITLES[code as keyof typeof PROBLEM_TITLES].zh}</p>`,
      );
    }
  });

  it('sends the security headers with every answer', async () => {
    for (const path of ['/healthz', '/openapi.json', '/none', `/p/${TOKEN}`, '/v1/events']) {
      const { headers } = await served.call(path);
      expect(headers.get('content-security-policy')).to.contain("default-src 'none'");
      expect(headers.get('content-security-policy')).not.to.contain('unsafe-inline');
      expect(headers.get('x-content-type-options')).to.equal('nosniff');
      expect(headers.get('referrer-policy')).to.equal('no-referrer');
      expect(headers.get('permissions-policy')).to.contain('camera=()');
      expect(headers.has('x-powered-by')).to.equal(false);
      expect(headers.has('strict-transport-security'), 'not over plain HTTP').to.equal(false);
    }
    const secure = await serve(fakeService({ publicUrl: 'https://box.example' }));
    expect((await secure.call('/healthz')).headers.get('strict-transport-security')).to.contain(
      'max-age=31536000',
    );
    await secure.close();
  });

  it('serves its documentation itself, under a policy of its own', async () => {
    const docs = await served.call('/docs');
    expect(docs.headers.get('content-security-policy')).to.contain("style-src 'self' 'unsafe-inline'");
    expect(docs.headers.get('content-security-policy')).to.contain("script-src 'self';");
    const html = await docs.text();
    for (const [, path] of html.matchAll(/(?:src|href)="([^"]*)"/g)) {
      expect(path).to.match(/^\/docs\//);
      expect((await served.call(path!)).status, path).to.equal(200);
    }
    expect(await (await served.call('/docs/start.js')).text()).to.contain('validatorUrl: null');
    expect((await served.call('/docs/package.json')).status).to.equal(404);
    const without = await serve(fakeService(), { docs: false });
    expect((await without.call('/docs')).status).to.equal(404);
    await without.close();
  });

  it('says nothing of its own mistakes but their trace id, under which the log has them', async () => {
    const broken = await served.call(`/v1/packages/${TOKEN}/bundle`);
    expect(broken.status).to.equal(500);
    const text = await broken.text();
    expect(text).not.to.match(/invalid|旋覆|at |node/);
    const error = served.lines.find((line) => 'frames' in line);
    expect(error).to.include({ error: 'Error' });
    expect(text).to.contain(String(error!['traceId']));

    const stored = await served.post('/v1/events', {}, { key: RECORDER });
    expect(await bodyOf(stored)).to.include({ code: 'INTERNAL' });
    expect(served.lines.some(({ code }) => code === '23505')).to.equal(true);
    expect(JSON.stringify(served.lines)).not.to.contain('旋覆');
  });

  it('logs one line a request: its route and the key’s id, never a token, a secret or a body', async () => {
    const own = await serve(
      fakeService({
        packagePage: () => Promise.resolve(undefined),
        receive: () => Promise.reject(new Error()),
      }),
    );
    const logged = async (count: number): Promise<void> => {
      while (own.lines.filter((line) => 'route' in line).length < count) await sleep(5);
    };
    await own.call(`/p/${TOKEN}?from=box`);
    await logged(1);
    await own.post('/v1/events', { secret: '张三' }, { key: RECORDER });
    await logged(2);
    await own.call('/nowhere/张三');
    await logged(3);
    const lines = own.lines.filter((line) => 'route' in line);
    expect(
      lines.map(({ method, route, status, principal }) => [method, route, status, principal]),
    ).to.deep.equal([
      ['GET', '/p/:token', 404, undefined],
      ['POST', '/v1/events', 500, 'rec'],
      ['GET', 'none', 404, undefined],
    ]);
    expect(JSON.stringify(own.lines)).not.to.match(new RegExp(`${TOKEN}|张三|secret|%E5`));
    await own.close();
  });

  it('answers a body that was cut short with nothing, and lives on', async () => {
    const { port } = new URL(served.url);
    await new Promise<void>((done) => {
      const socket = connect(Number(port), '127.0.0.1', () => {
        socket.write(
          `POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${RECORDER}\r\n` +
            'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
          () => socket.destroy(),
        );
      });
      socket.on('close', () => done());
    });
    expect((await served.call('/healthz')).status).to.equal(200);
  });
});

describe('limits', () => {
  const limits = { perBox: 3, failures: 3 };
  const receive = (): Promise<{ receipt: typeof settled }[]> => Promise.resolve([{ receipt: settled }]);

  it('stop an address that asks for one box too often, and not for another', async () => {
    const served = await serve(
      fakeService({
        bundle: () => Promise.reject(new Error('found')),
        packagePage: () => Promise.resolve(undefined),
      }),
      { limits: { perBox: 3 } },
    );
    const bundleOf = (token: string): Promise<Response> => served.call(`/v1/packages/${token}/bundle`);
    for (const token of [TOKEN, TOKEN.toLowerCase(), TOKEN])
      expect((await bundleOf(token)).status).to.equal(500);
    const stopped = await bundleOf(TOKEN);
    expect(stopped.status).to.equal(429);
    expect(stopped.headers.has('retry-after')).to.equal(true);
    expect(await bodyOf(stopped)).to.include({ code: 'TOO_MANY_REQUESTS' });
    expect((await bundleOf('Z'.repeat(26))).status).to.equal(500);
    await served.close();
  });

  it('stop an address that guesses codes', async () => {
    const served = await serve(fakeService({ packagePage: () => Promise.resolve(undefined) }), { limits });
    for (const guess of ['A', 'B', 'C'])
      expect((await served.call(`/p/${guess.repeat(26)}`)).status).to.equal(404);
    expect((await served.call(`/p/${'D'.repeat(26)}`)).status).to.equal(429);
    await served.close();
  });

  it('stop an address that guesses keys', async () => {
    const served = await serve(fakeService({ receive }), { limits });
    for (const guess of ['a', 'b', 'c'])
      expect((await served.post('/v1/events', {}, { key: `rec.${guess}` })).status).to.equal(401);
    expect((await served.post('/v1/events', {}, { key: RECORDER })).status).to.equal(429);
    await served.close();
  });

  it('do not stop good keys, however many requests are under way', async () => {
    const served = await serve(fakeService({ receive }), { limits });
    const all = await Promise.all(
      Array.from({ length: 20 }, () => served.post('/v1/events', {}, { key: RECORDER })),
    );
    expect(all.map(({ status }) => status)).to.deep.equal(Array.from({ length: 20 }, () => 200));
    await served.close();
  });

  it('tell callers of a full queue and of a store that is out to come again', async () => {
    for (const [error, code] of [
      [new QueueFull(), 'QUEUE_FULL'],
      [new StoreUnavailable(), 'STORE_UNAVAILABLE'],
    ] as const) {
      const served = await serve(fakeService({ receive: () => Promise.reject(error) }));
      const response = await served.post('/v1/events', {}, { key: RECORDER });
      expect(response.status).to.equal(503);
      expect(response.headers.get('retry-after')).to.equal('5');
      expect(await bodyOf(response)).to.include({ code });
      await served.close();
    }
  });

  it('bound how many requests with events are under way, and nothing else', async () => {
    const waiting: (() => void)[] = [];
    const slow: Service['receive'] = async (_principal, items) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return items.map(() => ({ receipt: settled }));
    };
    const served = await serve(fakeService({ receive: slow, trust: () => trust }), {
      limits: { inFlight: 3 },
    });
    const post = (): Promise<Response> => served.post('/v1/events', {}, { key: RECORDER });
    const taken = [post(), post(), post()];
    while (waiting.length < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    const refused = await post();
    expect(refused.status).to.equal(429);
    expect(refused.headers.get('retry-after')).to.equal('1');
    expect(await bodyOf(refused)).to.include({ code: 'TOO_MANY_REQUESTS' });
    expect((await served.call('/trust.json')).status).to.equal(200);
    for (const answer of waiting.splice(0)) answer();
    for (const response of await Promise.all(taken)) expect(response.status).to.equal(200);
    const next = post();
    while (waiting.length < 1) await new Promise((resolve) => setTimeout(resolve, 5));
    waiting[0]!();
    expect((await next).status).to.equal(200);
    await served.close();
  });

  it('believe a proxy’s word about the address only if it is named', async () => {
    const guess = (served: Served, address: string): Promise<Response> =>
      served.post('/v1/events', {}, { key: 'no.key', headers: { 'x-forwarded-for': address } });
    for (const [trustProxy, last] of [
      [[], 429],
      [['loopback'], 401],
    ] as const) {
      const served = await serve(fakeService(), { limits, trustProxy });
      for (const host of [1, 2, 3]) await guess(served, `192.0.2.${host}`);
      expect((await guess(served, '192.0.2.4')).status).to.equal(last);
      await served.close();
    }
  });
});
