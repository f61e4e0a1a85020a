import { expect } from 'chai';
import type { Json } from '@yaoji/chaincode/core';
import { createApiKey, revokeApiKey } from '@yaoji/api/store/api-keys';
import {
  countRows,
  realParts,
  serveService,
  siteOf,
  Telling,
  until,
  type Said,
  type ServedService,
} from '../support/service.ts';

interface Answer {
  status: number;
  type: string | null;
  body: { code?: string; pointer?: string; outcome?: string; titles?: { zh: string; en: string } };
}

describe('bad input, over HTTP to the whole service,', function () {
  this.timeout(60_000);
  const parts = realParts();
  let served: ServedService;
  before(async () => {
    served = await serveService(parts());
    await until('nothing is under way', async () => {
      const { rows } = await parts().pool.query<{ count: string }>(
        `select count(*) from pending where org <> all ('{OvertakenMSP,TamperedMSP,CourierMSP}')`,
      );
      return rows[0]!.count === '0';
    });
  });
  after(() => served?.stop());

  const tell = (): Telling => new Telling(parts());
  async function send(
    body: string | Uint8Array<ArrayBuffer>,
    key: string,
    type = 'application/json',
  ): Promise<Answer> {
    const response = await fetch(`${served.access.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': type },
      body,
    });
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: (await response.json()) as Answer['body'],
    };
  }
  /** A problem with this status, code and place, in both languages, and nothing stored. */
  async function refused(
    body: string | Uint8Array<ArrayBuffer>,
    expected: { status: number; code: string; pointer?: string },
    { key = served.of('HospitalMSP').recorder, type }: { key?: string; type?: string } = {},
  ): Promise<void> {
    const before = await countRows(parts());
    const answer = await send(body, key, type);
    expect(answer.type).to.contain('application/problem+json');
    const { status, code, pointer } = { status: answer.status, ...answer.body };
    expect({ status, code, ...(expected.pointer === undefined ? {} : { pointer }) }).to.deep.equal(expected);
    expect(answer.body.titles?.zh).to.match(/\p{Script=Han}/u);
    expect(await countRows(parts())).to.deep.equal(before);
  }
  const hosted = (payload: { [name: string]: Json | undefined }): Said =>
    tell().say('SOAK_STARTED', { by: parts().stations['hosted-room']!, payload });
  const asCentre = (): { key: string } => ({ key: served.of('DecoctionMSP').recorder });

  it('that is not JSON, or not strictly, or not UTF-8', async () => {
    const { item } = tell().say('RX_ISSUED');
    const text = JSON.stringify(item);
    await refused(text.slice(0, -1), { status: 400, code: 'BODY_NOT_JSON' });
    await refused('', { status: 400, code: 'BODY_NOT_JSON' });
    await refused(text.replace('"n":', '"n":1.5,"m":'), { status: 400, code: 'JSON_NOT_STRICT' });
    await refused(new Uint8Array([0x22, 0xff, 0x22]), { status: 400, code: 'BODY_NOT_UTF8' });
    await refused(text, { status: 415, code: 'BODY_TYPE_WRONG' }, { type: 'text/plain' });
  });

  it('with a name that stands twice, at any depth', async () => {
    const text = JSON.stringify(tell().say('RX_ISSUED').item);
    await refused(text.replace('"n":', '"n":7,"n":'), {
      status: 400,
      code: 'JSON_DUPLICATE_NAME',
      pointer: '/entry/n',
    });
  });

  it('that is too large', async () => {
    const { item } = tell().say('RX_ISSUED');
    const large = JSON.stringify({ ...item, disclosures: ['A'.repeat(1 << 20)] });
    await refused(large, { status: 413, code: 'BODY_TOO_LARGE' });
    const many = JSON.stringify({ events: Array.from({ length: 501 }, () => ({})) });
    await refused(many, { status: 422, code: 'EVENTS_COUNT', pointer: '/events' });
  });

  it('of another shape, or with a field that is none or is missing', async () => {
    const { item } = tell().say('RX_ISSUED');
    const entry = item['entry'] as { [name: string]: Json };
    const { time: _, ...timeless } = entry;
    for (const [body, code, pointer] of [
      [[], 'ITEM_MALFORMED', ''],
      [{}, 'ITEM_MALFORMED', ''],
      [{ ...item, more: 1 }, 'ITEM_MALFORMED', ''],
      [{ ...item, entry: { ...entry, more: 1 } }, 'FIELD_UNKNOWN', '/entry/more'],
      [{ ...item, entry: timeless }, 'FIELD_MISSING', '/entry/time'],
      [{ ...item, entry: { ...entry, n: 0 } }, 'VALUE_BAD', '/entry/n'],
      [{ ...item, entry: { ...entry, step: 'RX_EATEN' } }, 'ENTRY_MALFORMED', '/entry/step'],
      [{ events: [item], more: 1 }, 'FIELD_UNKNOWN', '/more'],
    ] as const)
      await refused(JSON.stringify(body), { status: 422, code, pointer });
  });

  it('with values beyond what is possible', async () => {
    for (const [payload, code, name] of [
      [{ waterMl: 200_001 }, 'VALUE_BAD', 'waterMl'],
      [{ waterMl: 0 }, 'VALUE_BAD', 'waterMl'],
      [{ waterTempDeciC: -1 }, 'VALUE_BAD', 'waterTempDeciC'],
      [{ waterMl: '2700' }, 'VALUE_BAD', 'waterMl'],
      [{ colour: 'red' }, 'FIELD_UNKNOWN', 'colour'],
      [{ waterMl: undefined }, 'FIELD_MISSING', 'waterMl'],
    ] as const)
      await refused(
        JSON.stringify(hosted(payload).item),
        { status: 422, code, pointer: `/statement/payload/${name}` },
        asCentre(),
      );
    const bags = tell().say('RX_ISSUED', { payload: { maxUses: 0 } });
    await refused(JSON.stringify(bags.item), {
      status: 422,
      code: 'VALUE_BAD',
      pointer: '/entry/open/maxUses',
    });
  });

  it('that somebody else signed, or that has not happened yet', async () => {
    const said = tell().say('RX_ISSUED');
    const other = tell().say('RX_ISSUED', { n: said.n });
    const sig = (other.item['entry'] as { [name: string]: Json })['sig']!;
    const entry = { ...(said.item['entry'] as { [name: string]: Json }), sig };
    await refused(JSON.stringify({ ...said.item, entry }), { status: 422, code: 'SIGNATURE_BAD' });
    const time = `${new Date(Date.now() + 3600_000).toISOString().slice(0, 16)}Z`;
    await refused(JSON.stringify(tell().say('RX_ISSUED', { time }).item), {
      status: 422,
      code: 'TIME_FUTURE',
    });
    await refused(
      JSON.stringify(said.item),
      { status: 403, code: 'PRINCIPAL_FOREIGN', pointer: '/entry/org' },
      asCentre(),
    );
  });

  it('from a key that was revoked, has expired, or may not do this', async () => {
    const scope = { org: 'HospitalMSP', site: siteOf('HospitalMSP'), role: 'recorder' } as const;
    const revoked = await createApiKey(parts().pool, scope);
    await revokeApiKey(parts().pool, revoked.id);
    const expired = await createApiKey(parts().pool, scope, new Date(Date.now() - 1));
    const body = JSON.stringify(tell().say('RX_ISSUED').item);
    await refused(body, { status: 401, code: 'API_KEY_BAD' }, revoked);
    await refused(body, { status: 401, code: 'API_KEY_BAD' }, expired);
    const { registrar } = served.of('HospitalMSP');
    await refused(body, { status: 403, code: 'API_KEY_ROLE_WRONG' }, { key: registrar });
  });

  it('a step that is not legal next is answered 409 with its place, and kept with its code', async () => {
    const telling = tell();
    const key = served.of('HospitalMSP').recorder;
    const issued = await send(JSON.stringify(telling.say('RX_ISSUED').item), key);
    expect(issued.status).to.equal(202);
    const said = telling.say('RX_ROUTED');
    for (let time = 0; time < 2; time++) {
      const { status, body } = await send(JSON.stringify(said.item), key);
      expect(status).to.equal(409);
      expect(body).to.deep.include({ code: 'STEP_NOT_LEGAL', pointer: '/entry/step' });
    }
    expect(await countRows(parts(), said)).to.include({ event: 1, verdict: 1, pending: 0, record: 0 });
    const other = telling.say('RX_REVIEWED', { n: said.n });
    const { status, body } = await send(JSON.stringify(other.item), key);
    expect(status).to.equal(409);
    expect(body).to.deep.include({ code: 'N_CONFLICT' });
  });

  it('among good events costs the good ones nothing, and each has its own answer', async () => {
    const good = [tell().say('RX_ISSUED'), tell().say('RX_ISSUED')];
    const bad = tell().say('RX_ISSUED', { payload: { maxUses: 99 } });
    const response = await fetch(`${served.access.url}/v1/events`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${served.of('HospitalMSP').recorder}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ events: [good[0]!.item, bad.item, good[1]!.item] }),
    });
    expect(response.status).to.equal(200);
    const { answers } = (await response.json()) as {
      answers: { status: number; receipt?: { n: number }; problem?: Answer['body'] }[];
    };
    expect(answers.map(({ status }) => status)).to.deep.equal([202, 422, 202]);
    expect(answers[1]!.problem).to.deep.include({
      code: 'VALUE_BAD',
      pointer: '/events/1/entry/open/maxUses',
    });
    for (const said of good) expect((await countRows(parts(), said))['event']).to.equal(1);
    expect((await countRows(parts(), bad))['event']).to.equal(0);
  });
});
