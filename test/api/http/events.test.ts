import { expect } from 'chai';
import type { ItemAnswer, Receipt } from '@yaoji/api/service';
import type { Json } from '@yaoji/chaincode/core';
import {
  answering,
  bodyOf,
  fakeService,
  RECORDER,
  REGISTRAR,
  serve,
  settled,
  type Served,
} from './served.ts';

const key = RECORDER;
const item = { statement: { any: 'thing' } };
const receipt = (more: Partial<Receipt>): ItemAnswer => ({ receipt: { ...settled, ...more } });

describe('POST /v1/events', () => {
  let served: Served;
  let seen: readonly Json[] | undefined;
  let answer: ItemAnswer;
  before(async () => {
    const receive = (...[principal, items]: Parameters<ReturnType<typeof answering>>) => {
      seen = items;
      return answering(answer)(principal, items);
    };
    served = await serve(fakeService({ receive }));
  });
  beforeEach(() => {
    seen = undefined;
    answer = receipt({});
  });
  after(() => served.close());

  /** What was answered, and that nothing reached the service. */
  async function refused(response: Response): Promise<{ [name: string]: Json }> {
    expect(seen).to.equal(undefined);
    expect(response.headers.get('content-type')).to.contain('application/problem+json');
    const body = await bodyOf(response);
    expect(body['status']).to.equal(response.status);
    expect(body['type']).to.match(/^\/problems\/[A-Z0-9_]+$/);
    expect((body['type'] as string).endsWith(`/${body['code'] as string}`)).to.equal(true);
    expect(body['traceId']).to.match(/^[0-9a-f]{32}$/);
    return body;
  }

  it('answers a settled event with 200, its receipt and where the receipt stands', async () => {
    const response = await served.post('/v1/events', item, { key });
    expect(response.status).to.equal(200);
    expect(await bodyOf(response)).to.deep.equal(settled);
    expect(response.headers.get('location')).to.equal('/v1/receipts/soak-1/42');
    expect(seen).to.deep.equal([item]);
  });

  for (const outcome of ['pending', 'held'] as const)
    it(`answers a ${outcome} event with 202`, async () => {
      answer = receipt({ outcome });
      const response = await served.post('/v1/events', item, { key });
      expect(response.status).to.equal(202);
      expect(await bodyOf(response)).to.include({ outcome });
    });

  it('answers a stored refusal with 409, its code and its receipt, also where the code alone would be another status', async () => {
    for (const [code, pointer] of [
      ['STEP_NOT_LEGAL', '/statement/step'],
      ['ROLE_NOT_ALLOWED', '/statement/step'],
      ['PRESCRIPTION_USED', '/statement/links'],
      ['TIME_TOO_OLD', '/statement/time'],
    ] as const) {
      answer = receipt({ outcome: 'refused', code, by: 'service' });
      const response = await served.post('/v1/events', item, { key });
      expect(response.status).to.equal(409);
      const body = await bodyOf(response);
      expect(body).to.include({ code, pointer, status: 409 });
      expect(body['receipt']).to.deep.equal({ ...settled, outcome: 'refused', code, by: 'service' });
    }
  });

  it('points into the entry of a signed event', async () => {
    answer = receipt({ outcome: 'refused', code: 'TIME_ORDER', by: 'ledger' });
    const response = await served.post('/v1/events', { entry: {}, disclosures: [] }, { key });
    expect(await bodyOf(response)).to.include({ pointer: '/entry/time' });
  });

  for (const [code, status] of [
    ['ITEM_MALFORMED', 422],
    ['ENTRY_MALFORMED', 422],
    ['SIGNATURE_BAD', 422],
    ['DISCLOSURE_FOREIGN', 422],
    ['STATION_NOT_HOSTED', 422],
    ['STATION_UNKNOWN', 422],
    ['TIME_FUTURE', 422],
    ['PRINCIPAL_FOREIGN', 403],
    ['STATION_FOREIGN', 403],
    ['N_CONFLICT', 409],
    ['N_USED', 409],
    ['N_TOO_OLD', 409],
    ['RULES_UNKNOWN', 409],
  ] as const)
    it(`answers the rejection ${code} with ${status} and titles in both languages`, async () => {
      answer = { rejection: { code, pointer: '/statement/payload/waterMl', detail: 'too much' } };
      const response = await served.post('/v1/events', item, { key });
      expect(response.status).to.equal(status);
      const body = await bodyOf(response);
      expect(body).to.include({ code, pointer: '/statement/payload/waterMl', detail: 'too much' });
      expect(body).not.to.have.property('receipt');
      const { zh, en } = body['titles'] as { zh: string; en: string };
      expect(body['title']).to.equal(zh);
      expect(zh).to.match(/[一-鿿]/);
      expect(en).to.match(/^[ -~]+$/);
    });

  it('answers many in order, each with its own status and a pointer from the body’s root', async () => {
    const answers: ItemAnswer[] = [
      receipt({}),
      receipt({ outcome: 'held' }),
      receipt({ outcome: 'refused', code: 'SEAL_DIFFERS', by: 'ledger' }),
      { rejection: { code: 'ENTRY_MALFORMED', pointer: '/entry/n', detail: 'no' } },
    ];
    const many = await serve(fakeService({ receive: () => Promise.resolve(answers) }));
    const response = await many.post('/v1/events', { events: answers.map(() => item) }, { key });
    expect(response.status).to.equal(200);
    const replies = (await bodyOf(response))['answers'] as unknown as {
      status: number;
      receipt?: Receipt;
      problem?: { pointer: string };
    }[];
    expect(replies.map(({ status }) => status)).to.deep.equal([200, 202, 409, 422]);
    expect(replies.map(({ receipt: found }) => found?.outcome)).to.deep.equal([
      'settled',
      'held',
      undefined,
      undefined,
    ]);
    expect(replies.map(({ problem }) => problem?.pointer)).to.deep.equal([
      undefined,
      undefined,
      '/events/2/statement/step',
      '/events/3/entry/n',
    ]);
    await many.close();
  });

  it('takes 500 events and refuses 501 and none', async () => {
    const events = (count: number): Json => ({ events: Array.from({ length: count }, () => item) });
    expect((await served.post('/v1/events', events(500), { key })).status).to.equal(200);
    expect(seen).to.have.length(500);
    for (const count of [0, 501]) {
      seen = undefined;
      const response = await served.post('/v1/events', events(count), { key });
      expect(response.status).to.equal(422);
      expect(await refused(response)).to.include({ code: 'EVENTS_COUNT', pointer: '/events' });
    }
  });

  for (const [what, body, status, code, pointer] of [
    ['text that is not JSON', '{"statement":', 400, 'BODY_NOT_JSON', '/statement'],
    ['an empty body', '', 400, 'BODY_NOT_JSON', ''],
    ['text after the value', '{} {}', 400, 'BODY_NOT_JSON', ''],
    ['a byte order mark', '\ufeff{}', 400, 'BODY_NOT_JSON', ''],
    ['a name that stands twice', '{"statement":{"n":1,"n":2}}', 400, 'JSON_DUPLICATE_NAME', '/statement/n'],
    ['the same name escaped', '{"a":1,"\\u0061":2}', 400, 'JSON_DUPLICATE_NAME', '/a'],
    ['a fraction', '{"statement":{"n":1.5}}', 400, 'JSON_NOT_STRICT', '/statement/n'],
    ['an exponent', '{"statement":{"n":1e3}}', 400, 'JSON_NOT_STRICT', '/statement/n'],
    ['a number past 2^53', '{"n":9007199254740992}', 400, 'JSON_NOT_STRICT', '/n'],
    ['a null', '{"statement":null}', 400, 'JSON_NOT_STRICT', '/statement'],
    ['__proto__', '{"__proto__":{}}', 400, 'JSON_NOT_STRICT', '/__proto__'],
    ['a lone surrogate', '{"a":"\\ud800"}', 400, 'JSON_NOT_STRICT', '/a'],
    ['too deep a nesting', '['.repeat(17) + ']'.repeat(17), 400, 'JSON_NOT_STRICT', '/0'.repeat(16)],
    ['an unknown member beside events', '{"events":[{}],"more":1}', 422, 'FIELD_UNKNOWN', '/more'],
    ['events that are no list', '{"events":{}}', 422, 'VALUE_BAD', '/events'],
  ] as const)
    it(`refuses ${what} with its place`, async () => {
      const response = await served.post('/v1/events', body, { key });
      expect(response.status).to.equal(status);
      expect(await refused(response)).to.include({ code, pointer });
    });

  it('refuses bytes that are not UTF-8', async () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
    ]) {
      const response = await served.post('/v1/events', new Uint8Array(bytes), { key });
      expect(response.status).to.equal(400);
      expect(await refused(response)).to.include({ code: 'BODY_NOT_UTF8' });
    }
  });

  it('refuses a body above 1 MiB, takes one of exactly 1 MiB', async () => {
    const padded = (size: number): string => `{"statement":"${' '.repeat(size - 16)}"}`;
    expect((await served.post('/v1/events', padded(1 << 20), { key })).status).to.equal(200);
    seen = undefined;
    const response = await served.post('/v1/events', padded((1 << 20) + 1), { key });
    expect(response.status).to.equal(413);
    expect(await refused(response)).to.include({ code: 'BODY_TOO_LARGE' });
  });

  it('refuses other content types, other charsets and compressed bodies', async () => {
    for (const headers of [
      { 'content-type': 'text/plain' },
      { 'content-type': 'application/x-www-form-urlencoded' },
      { 'content-type': 'application/json; charset=utf-16' },
      { 'content-type': 'application/jsonp' },
      { 'content-type': 'application/problem+json' },
      { 'content-encoding': 'gzip' },
    ]) {
      const response = await served.post('/v1/events', '{}', {
        key,
        headers: headers as Record<string, string>,
      });
      expect(response.status, JSON.stringify(headers)).to.equal(415);
      expect(await refused(response)).to.include({ code: 'BODY_TYPE_WRONG' });
    }
    const named = { 'content-type': 'application/json; charset=UTF-8' };
    expect((await served.post('/v1/events', item, { key, headers: named })).status).to.equal(200);
  });

  it('cuts the pointer to a name that is as long as the body', async () => {
    const name = 'n'.repeat(100_000);
    const response = await served.post('/v1/events', `{"a":{"${name}":1,"${name}":1}}`, { key });
    const body = await refused(response);
    expect(body).to.include({ code: 'JSON_DUPLICATE_NAME', pointer: '/a' });
  });

  it('hands items of any shape to the service, which says what is wrong with each', async () => {
    for (const body of ['[]', '"text"', '7', 'true', '{"statement":{},"extra":1}']) {
      await served.post('/v1/events', body, { key });
      expect(seen).to.deep.equal([JSON.parse(body)]);
    }
  });

  it('asks for an API key, and for the right one', async () => {
    for (const [init, status, code] of [
      [{}, 401, 'API_KEY_MISSING'],
      [{ key: 'unknown.secret' }, 401, 'API_KEY_BAD'],
      [{ headers: { authorization: 'Basic cmVjOnNlY3JldA==' } }, 401, 'API_KEY_BAD'],
      [{ headers: { authorization: `Bearer ${RECORDER} x` } }, 401, 'API_KEY_BAD'],
      [{ key: REGISTRAR }, 403, 'API_KEY_ROLE_WRONG'],
    ] as const) {
      const response = await served.post('/v1/events', item, init);
      expect(response.status).to.equal(status);
      expect(await refused(response)).to.include({ code });
      expect(response.headers.has('www-authenticate')).to.equal(status === 401);
    }
  });

  it('says which method it has', async () => {
    const response = await served.call('/v1/events', { key });
    expect(response.status).to.equal(405);
    expect(response.headers.get('allow')).to.equal('POST');
    expect(await refused(response)).to.include({ code: 'METHOD_NOT_ALLOWED' });
  });
});

describe('GET /v1/receipts/{station}/{n}', () => {
  let served: Served;
  before(async () => {
    served = await serve(
      fakeService({
        receipt: (principal, station, n) =>
          Promise.resolve(
            principal.org === 'centre' && station === 'soak-1' && n === 42
              ? { ...settled, outcome: 'refused' as const, code: 'TOO_EARLY' as const }
              : undefined,
          ),
      }),
    );
  });
  after(() => served.close());

  it('answers a refused one with 200: it is a receipt that was asked for', async () => {
    const response = await served.call('/v1/receipts/soak-1/42', { key });
    expect(response.status).to.equal(200);
    expect(response.headers.get('cache-control')).to.equal('no-store');
    expect(await bodyOf(response)).to.include({ outcome: 'refused', code: 'TOO_EARLY' });
  });

  it('answers an unknown event and a number that is none alike', async () => {
    for (const path of [
      'soak-1/43',
      'soak-2/42',
      'soak-1/042',
      'soak-1/1e1',
      'soak-1/-1',
      'soak-1/99999999999999999',
    ]) {
      const response = await served.call(`/v1/receipts/${path}`, { key });
      expect(response.status).to.equal(404);
      expect(await bodyOf(response)).to.include({ code: 'RECEIPT_UNKNOWN' });
    }
  });

  it('asks for a key', async () => {
    expect((await served.call('/v1/receipts/soak-1/42')).status).to.equal(401);
  });
});
