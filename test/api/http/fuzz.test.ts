import { expect } from 'chai';
import fc from 'fast-check';
import { PROBLEM_TITLES } from '@yaoji/web/words/problems';
import { answering, fakeService, RECORDER, REGISTRAR, serve, settled, type Served } from './served.ts';

const RUNS = process.env['CI'] ? 2000 : 200;

describe('whatever is sent', function () {
  this.timeout(120_000);

  let served: Served;
  before(async () => {
    served = await serve(
      fakeService({
        receive: answering({ receipt: settled }),
        enrolStation: (_principal, { station }) => Promise.resolve({ station, key: 'M', hosted: true }),
        registerDevice: () => Promise.resolve(),
        receipt: () => Promise.resolve(undefined),
        packagePage: () => Promise.resolve(undefined),
        bundle: () => Promise.resolve(undefined),
      }),
      { limits: { perBox: 1e9, failures: 1e9 } },
    );
  });
  after(() => served.close());

  /** An answer that is meant: a success, or a problem with a known code. */
  async function meant(response: Response): Promise<void> {
    expect(response.status).to.be.lessThan(500);
    const text = await response.text();
    if (response.status < 400 || !response.headers.get('content-type')?.includes('problem+json')) return;
    expect(PROBLEM_TITLES).to.have.property((JSON.parse(text) as { code: string }).code);
  }

  const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);
  // Bytes, JSON of any shape, JSON that is nearly a request, and all of these with a byte changed.
  const value = fc.jsonValue({ maxDepth: 6 });
  const nearly = fc.record(
    {
      events: fc.oneof(value, fc.array(value, { maxLength: 3 })),
      statement: value,
      entry: value,
      disclosures: value,
      station: value,
      site: value,
      roles: fc.array(value, { maxLength: 3 }),
      key: value,
      device: value,
    },
    { requiredKeys: [] },
  );
  const whole = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => new Uint8Array(bytes)),
    value.map((json) => utf8(JSON.stringify(json))),
    nearly.map((json) => utf8(JSON.stringify(json))),
  );
  const changed = fc.tuple(whole, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
    const copy = new Uint8Array(bytes);
    if (copy.length > 0) copy[at % copy.length] = byte;
    return copy;
  });
  const body = fc.oneof(whole, changed);

  for (const [path, key] of [
    ['/v1/events', RECORDER],
    ['/v1/stations', REGISTRAR],
    ['/v1/devices', REGISTRAR],
  ] as const)
    it(`as a body of ${path}: it is answered, never with a 500`, () =>
      fc.assert(
        fc.asyncProperty(body, async (bytes) => meant(await served.post(path, bytes, { key }))),
        { numRuns: RUNS },
      ));

  it('as a path or a key: it is answered, never with a 500', () =>
    fc.assert(
      fc.asyncProperty(
        fc.constantFrom('/p/', '/v1/packages/', '/v1/receipts/a/', '/problems/', '/assets/', '/docs/', '/'),
        fc.oneof(fc.string({ unit: 'binary', maxLength: 40 }).map(encode), fc.webPath()),
        fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
        async (path, rest, authorization) =>
          meant(await served.call(path + rest, { headers: { authorization: `Bearer ${authorization}` } })),
      ),
      { numRuns: RUNS },
    ));

  it('as a content type: JSON or 415', () =>
    fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme-ascii', maxLength: 40 }), async (type) => {
        const headers = { 'content-type': `application/${type}` };
        const response = await served.post('/v1/events', '{}', { key: RECORDER, headers });
        expect([200, 415]).to.include(response.status);
      }),
      { numRuns: RUNS },
    ));
});

/** Percent-encoded, with lone surrogates left as they are sent by broken clients. */
function encode(text: string): string {
  return [...new TextEncoder().encode(text)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
}
