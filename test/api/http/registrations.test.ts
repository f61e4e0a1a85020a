import { expect } from 'chai';
import { LedgerUnavailable, RegistrationRefused, type StationRequest } from '@yaoji/api/service';
import { bodyOf, fakeService, RECORDER, REGISTRAR, serve, type Served } from './served.ts';

const key = REGISTRAR;
const publicKey = 'M'.repeat(122);
const station = { station: 'soak-1', site: 'main', roles: ['DECOCTION'] };

describe('registrations', () => {
  let served: Served;
  let seen: unknown[];
  let error: Error | undefined;
  before(async () => {
    const did = (...what: unknown[]): Promise<void> => {
      if (error) return Promise.reject(error);
      seen.push(what);
      return Promise.resolve();
    };
    served = await serve(
      fakeService({
        enrolStation: async (_principal, request: StationRequest) => {
          await did('enrol', request);
          return { station: request.station, key: request.key ?? publicKey, hosted: !request.key };
        },
        revokeStation: (_principal, name) => did('revoke', name),
        registerDevice: (_principal, device) => did('device', device),
      }),
    );
  });
  beforeEach(() => {
    seen = [];
    error = undefined;
  });
  after(() => served.close());

  it('enrols a station with its own key', async () => {
    const response = await served.post('/v1/stations', { ...station, key: publicKey }, { key });
    expect(response.status).to.equal(201);
    expect(await bodyOf(response)).to.deep.equal({ station: 'soak-1', key: publicKey, hosted: false });
    expect(seen).to.deep.equal([['enrol', { ...station, key: publicKey }]]);
  });

  it('enrols a hosted station', async () => {
    const response = await served.post('/v1/stations', station, { key });
    expect(await bodyOf(response)).to.include({ hosted: true });
    expect(seen).to.deep.equal([['enrol', station]]);
  });

  it('revokes a station, and registers a device', async () => {
    const revoked = await served.call('/v1/stations/soak-1/revoke', { method: 'POST', key });
    expect(revoked.status).to.equal(204);
    const device = 'q1QmTqz0V3fC5r0yq2m0Zw';
    const registered = await served.post('/v1/devices', { device }, { key });
    expect(registered.status).to.equal(201);
    expect(await bodyOf(registered)).to.deep.equal({ device });
    expect(seen).to.deep.equal([
      ['revoke', 'soak-1'],
      ['device', device],
    ]);
  });

  for (const [what, path, body, code, pointer] of [
    ['an unknown field', '/v1/stations', { ...station, hosted: true }, 'FIELD_UNKNOWN', '/hosted'],
    [
      'a missing field',
      '/v1/stations',
      { station: 'soak-1', roles: ['DECOCTION'] },
      'FIELD_MISSING',
      '/site',
    ],
    [
      'an unknown role',
      '/v1/stations',
      { ...station, roles: ['DECOCTION', 'KING'] },
      'VALUE_BAD',
      '/roles/1',
    ],
    ['no role', '/v1/stations', { ...station, roles: [] }, 'VALUE_BAD', '/roles'],
    ['a role twice', '/v1/stations', { ...station, roles: ['QUALITY', 'QUALITY'] }, 'VALUE_BAD', '/roles'],
    ['a name with a slash', '/v1/stations', { ...station, station: 'a/b' }, 'VALUE_BAD', '/station'],
    ['a key of another kind', '/v1/stations', { ...station, key: 'AAAA' }, 'VALUE_BAD', '/key'],
    ['a list', '/v1/stations', [], 'VALUE_BAD', ''],
    ['a device that is no subject key', '/v1/devices', { device: 'pot 3' }, 'VALUE_BAD', '/device'],
    ['nothing', '/v1/devices', {}, 'FIELD_MISSING', '/device'],
  ] as const)
    it(`refuses ${what} with its place`, async () => {
      const response = await served.post(path, JSON.stringify(body), { key });
      expect(response.status).to.equal(422);
      expect(await bodyOf(response)).to.include({ code, pointer });
      expect(seen).to.deep.equal([]);
    });

  it('names every fault where there are several', async () => {
    const response = await served.post('/v1/stations', { station: '', more: 1, 'a/b~': 2 }, { key });
    const { errors } = await bodyOf(response);
    expect(
      (errors as { code: string; pointer: string }[]).map((fault) => `${fault.code} ${fault.pointer}`),
    ).to.have.members([
      'VALUE_BAD /station',
      'FIELD_MISSING /site',
      'FIELD_MISSING /roles',
      'FIELD_UNKNOWN /more',
      'FIELD_UNKNOWN /a~1b~0',
    ]);
  });

  for (const [code, status, shown, pointer] of [
    ['STATION_EXISTS', 409, 'STATION_EXISTS', '/station'],
    ['KEY_BAD', 422, 'KEY_BAD', '/key'],
    ['SITE_UNKNOWN', 422, 'SITE_UNKNOWN', '/site'],
    ['ROLE_NOT_ALLOWED', 403, 'ROLE_NOT_ALLOWED', '/roles'],
    ['MEMBER_UNKNOWN', 403, 'MEMBER_UNKNOWN', ''],
    ['SOMETHING_NEW', 409, 'REGISTRATION_REFUSED', undefined],
    ['constructor', 409, 'REGISTRATION_REFUSED', undefined],
  ] as const)
    it(`answers the ledger's refusal ${code} with ${status} ${shown}`, async () => {
      error = new RegistrationRefused(code, `${code}: a sentence`);
      const response = await served.post('/v1/stations', station, { key });
      expect(response.status).to.equal(status);
      const body = await bodyOf(response);
      expect(body).to.include({ code: shown });
      expect(body['pointer']).to.equal(pointer);
    });

  it('says that the ledger is away', async () => {
    error = new LedgerUnavailable('down');
    for (const response of [
      await served.post('/v1/stations', station, { key }),
      await served.call('/v1/stations/soak-1/revoke', { method: 'POST', key }),
    ]) {
      expect(response.status).to.equal(503);
      expect(response.headers.get('retry-after')).to.equal('5');
    }
  });

  it('is for registrars', async () => {
    for (const path of ['/v1/stations', '/v1/stations/soak-1/revoke', '/v1/devices']) {
      expect((await served.post(path, station)).status).to.equal(401);
      expect((await served.post(path, station, { key: RECORDER })).status).to.equal(403);
      expect((await served.call(path, { key })).status).to.equal(405);
    }
    expect(seen).to.deep.equal([]);
  });
});
