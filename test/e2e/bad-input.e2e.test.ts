import { expect } from 'chai';
import type { Json } from '@yaoji/chaincode/core';
import { createApiKey, revokeApiKey } from '@yaoji/api/store/api-keys';
import {
  countRows,
  enrol,
  randomKey,
  realParts,
  receiptOf,
  serveService,
  siteOf,
  Telling,
  until,
  withDevice,
  type Said,
  type ServedService,
} from '../support/service.ts';

interface Answer {
  status: number;
  type: string | null;
  body: {
    code?: string;
    pointer?: string;
    outcome?: string;
    titles?: { zh: string; en: string };
    answers?: { status: number; problem?: { code: string } }[];
  };
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
  /** How much there is of what only a request adds; verdicts of earlier ones may come meanwhile. */
  async function stored(): Promise<(number | undefined)[]> {
    const { event, disclosure } = await countRows(parts());
    return [event, disclosure];
  }
  /** A problem with this status, code and place, in both languages, and nothing stored. */
  async function refused(
    body: string | Uint8Array<ArrayBuffer>,
    expected: { status: number; code: string; pointer?: string },
    { key = served.of('HospitalMSP').recorder, type }: { key?: string; type?: string } = {},
  ): Promise<void> {
    const before = await stored();
    const answer = await send(body, key, type);
    expect(answer.type).to.contain('application/problem+json');
    const { status, code, pointer } = { status: answer.status, ...answer.body };
    expect({ status, code, ...(expected.pointer === undefined ? {} : { pointer }) }).to.deep.equal(expected);
    expect(answer.body.titles?.zh).to.match(/\p{Script=Han}/u);
    expect(await stored()).to.deep.equal(before);
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

  // ── What a station did that it may not, and at the limits ──────────────────────────────────────────────────────────

  /** Says it to the service over HTTP, as its organisation. */
  const post = ({ item, org }: Said): Promise<Answer> => send(JSON.stringify(item), served.of(org).recorder);
  const settledOver = async (said: readonly Said[]): Promise<void> => {
    for (const one of said) expect((await post(one)).status, one.step).to.be.oneOf([200, 202]);
    const verdicts = async (): Promise<(string | undefined)[]> =>
      Promise.all(said.map(async (one) => (await receiptOf(parts(), one))?.outcome));
    await until('all of it is settled', async () =>
      (await verdicts()).every((outcome) => outcome === 'settled'),
    );
  };
  /** Answered 409 with this code and place, as often as it is sent; stored once with its code, and not on the ledger. */
  async function kept(said: Said, code: string, pointer: string): Promise<void> {
    for (let time = 0; time < 2; time++) {
      const { status, body } = await post(said);
      expect({ status, code: body.code, pointer: body.pointer }).to.deep.equal({
        status: 409,
        code,
        pointer,
      });
      expect(body.titles?.zh).to.match(/\p{Script=Han}/u);
    }
    expect(await countRows(parts(), said)).to.include({ event: 1, verdict: 1, pending: 0, record: 0 });
    expect(await receiptOf(parts(), said)).to.include({ outcome: 'refused', code });
  }
  const entryOf = ({ item }: Said): { [name: string]: Json } => item['entry'] as { [name: string]: Json };
  const ORDER = BigInt('0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');

  it('with the other signature that as good a key would have made, or with a word changed after signing', async () => {
    const said = tell().say('RX_ISSUED');
    const raw = Buffer.from(entryOf(said)['sig'] as string, 'base64url');
    const s = ORDER - BigInt(`0x${raw.subarray(32).toString('hex')}`);
    const highS = Buffer.concat([raw.subarray(0, 32), Buffer.from(s.toString(16).padStart(64, '0'), 'hex')]);
    const zero = Buffer.alloc(64);
    const open = entryOf(said)['open'] as { [name: string]: Json };
    for (const change of [
      { sig: highS.toString('base64url') },
      { sig: zero.toString('base64url') },
      { open: { ...open, maxUses: 12 } },
      { n: said.n + 1_000 },
      { subject: randomKey() },
    ])
      await refused(JSON.stringify({ ...said.item, entry: { ...entryOf(said), ...change } }), {
        status: 422,
        code: 'SIGNATURE_BAD',
      });
    // The number is still free for the one that was signed.
    await settledOver([said]);
  });

  it('from a station that is another organisation’s, or nobody’s', async () => {
    const said = tell().say('RX_ISSUED');
    const of = (station: string): string =>
      JSON.stringify({ ...said.item, entry: { ...entryOf(said), station } });
    await refused(of('reception'), { status: 403, code: 'STATION_FOREIGN' });
    await refused(of('nobody'), { status: 422, code: 'STATION_UNKNOWN' });
  });

  it('from a station that was revoked, or of a role that may not, is kept', async () => {
    const registrar = parts().principal('HospitalMSP', 'registrar');
    const by = await enrol(parts().pipeline(), registrar, `gone-${randomKey()}`, ['PRESCRIBER']);
    const telling = tell();
    await settledOver([telling.say('RX_ISSUED', { by })]);
    await kept(telling.say('RX_REVIEWED', { by }), 'ROLE_NOT_ALLOWED', '/entry/step');
    await served.running.service.revokeStation(registrar, by.signer.id);
    await kept(tell().say('RX_ISSUED', { by }), 'STATION_REVOKED', '/entry/station');
  });

  it('of long ago is kept', async () => {
    const time = `${new Date(Date.now() - 31 * 86_400_000).toISOString().slice(0, 16)}Z`;
    await kept(tell().say('RX_ISSUED', { time }), 'TIME_TOO_OLD', '/entry/time');
  });

  it('with other content under a number that is settled changes nothing', async () => {
    const said = tell().say('RX_ISSUED');
    await settledOver([said]);
    const before = await receiptOf(parts(), said);
    await refused(JSON.stringify(tell().say('RX_ISSUED', { n: said.n }).item), {
      status: 409,
      code: 'N_CONFLICT',
    });
    expect(await receiptOf(parts(), said)).to.deep.equal(before);
  });

  it('that accepts a prescription which is used, has expired, or is routed to others is kept', async () => {
    const used = tell();
    await settledOver([...used.routed(), used.say('RX_ACCEPTED')]);
    await kept(used.say('RX_ACCEPTED', { subject: randomKey() }), 'PRESCRIPTION_USED', '/entry/links');

    const expired = tell();
    const validUntil = `${new Date(Date.now() - 120_000).toISOString().slice(0, 16)}Z`;
    await settledOver([
      expired.say('RX_ISSUED', { payload: { validUntil } }),
      expired.say('RX_REVIEWED'),
      expired.say('RX_ROUTED'),
    ]);
    await kept(expired.say('RX_ACCEPTED'), 'PRESCRIPTION_EXPIRED', '/entry/links');

    const others = tell();
    await settledOver(others.routed(['SecondDecoctionMSP']));
    await kept(others.say('RX_ACCEPTED'), 'CENTRE_NOT_NAMED', '/entry/links');
  });

  it('of one person who dispenses and checks is kept, and another person may check', async () => {
    const telling = tell();
    await settledOver(telling.before('HERBS_CHECKED'));
    const { actor, staff } = telling.told.find(({ statement }) => statement.step === 'HERBS_DISPENSED')!
      .statement.payload as { actor: string; staff: string };
    await kept(telling.say('HERBS_CHECKED', { payload: { actor, staff } }), 'SAME_PERSON', '/entry/step');
    await settledOver([telling.say('HERBS_CHECKED')]);
  });

  it('of a courier whose bags, seal or handover differ is kept, and custody has not passed', async () => {
    const telling = tell();
    await withDevice(parts().pipeline(), parts(), telling);
    const run = telling.before('HANDED_OVER');
    await settledOver(run);
    const sealCommit = randomKey().slice(0, 21) + randomKey().slice(0, 21) + 'A';
    await kept(telling.say('HANDED_OVER', { payload: { bags: 13 } }), 'BAGS_DIFFER', '/entry/step');
    await kept(telling.say('HANDED_OVER', { payload: { sealCommit } }), 'SEAL_DIFFERS', '/entry/step');
    await settledOver([telling.say('HANDED_OVER')]);
    const taken = (payload: { [name: string]: Json }): Said => telling.say('COURIER_ACCEPTED', { payload });
    await kept(taken({ bags: 13 }), 'BAGS_DIFFER', '/entry/step');
    await kept(taken({ sealCommit }), 'SEAL_DIFFERS', '/entry/step');
    await kept(taken({ handover: randomKey() }), 'HANDOVER_DIFFERS', '/entry/step');
    await kept(telling.say('DELIVERED'), 'NOT_CUSTODIAN', '/entry/step');
    await settledOver([taken({})]);
  });

  it('is measured to the byte and to the item: at the limit it is read, above it is not', async () => {
    const { item } = tell().say('RX_ISSUED');
    const text = JSON.stringify(item);
    const padded = (bytes: number): string => text + ' '.repeat(bytes - Buffer.byteLength(text));
    await refused(padded((1 << 20) + 1), { status: 413, code: 'BODY_TOO_LARGE' });
    expect((await send(padded(1 << 20), served.of('HospitalMSP').recorder)).status).to.equal(202);

    const of = (count: number): string => JSON.stringify({ events: Array.from({ length: count }, () => 1) });
    await refused(of(501), { status: 422, code: 'EVENTS_COUNT', pointer: '/events' });
    await refused(of(0), { status: 422, code: 'EVENTS_COUNT', pointer: '/events' });
    const { answers } = (await send(of(500), served.of('HospitalMSP').recorder)).body;
    expect(answers?.map(({ status, problem }) => `${status} ${problem?.code}`)).to.deep.equal(
      Array<string>(500).fill('422 ITEM_MALFORMED'),
    );
  });

  it('with lists and texts at their limits is read, and one above them is not', async () => {
    const at = (step: string, payload: { [name: string]: Json }): Said => tell().say(step, { payload });
    const known = (said: Said): Promise<void> => kept(said, 'SUBJECT_UNKNOWN', '/entry/subject');
    const packages = (count: number): Json =>
      Array.from({ length: count }, () => ({ package: randomKey(), bags: 1 }));
    await known(at('PACKED', { packages: packages(40) }));
    for (const count of [0, 41])
      await refused(
        JSON.stringify(at('PACKED', { packages: packages(count) }).item),
        { status: 422, code: 'VALUE_BAD', pointer: '/entry/open/packages' },
        asCentre(),
      );
    await known(at('RELEASED', { packageCount: 40 }));
    await refused(
      JSON.stringify(at('RELEASED', { packageCount: 41 }).item),
      { status: 422, code: 'VALUE_BAD', pointer: '/entry/open/packageCount' },
      asCentre(),
    );
    const said = tell().say('RX_ISSUED');
    const hash = (i: number): string => `${String(i).padStart(42, '0')}A`;
    const digests = Array.from({ length: 65 }, (_, i) => hash(i));
    await refused(JSON.stringify({ ...said.item, entry: { ...entryOf(said), digests } }), {
      status: 422,
      code: 'VALUE_BAD',
      pointer: '/entry/digests',
    });
    const links = Array.from({ length: 17 }, randomKey).sort();
    await refused(JSON.stringify({ ...said.item, entry: { ...entryOf(said), links } }), {
      status: 422,
      code: 'VALUE_BAD',
      pointer: '/entry/links',
    });
    await refused(JSON.stringify({ ...said.item, disclosures: Array<string>(65).fill('A') }), {
      status: 422,
      code: 'ITEM_MALFORMED',
      pointer: '/disclosures',
    });
    const station = 'x'.repeat(65);
    await refused(JSON.stringify({ ...said.item, entry: { ...entryOf(said), station } }), {
      status: 422,
      code: 'VALUE_BAD',
      pointer: '/entry/station',
    });
    await refused(JSON.stringify({ ...said.item, entry: { ...entryOf(said), station: 'x'.repeat(64) } }), {
      status: 422,
      code: 'STATION_UNKNOWN',
    });
  });
});
