import { PROBLEM_TITLES, type ProblemCode } from '@yaoji/web/words/problems';
import { MAX_EVENTS } from './events.ts';
import { components, ref, type Schema } from './openapi-schemas.ts';
import { statusOf } from './problems.ts';

// The API's description, made from what the API itself works with: core's schemas, the table of rules, the bodies' schemas
// and the codes of problems.

const ok = (description: string, schema: string, type = 'application/json'): Schema => ({
  description,
  content: { [type]: { schema: ref(schema) } },
});
const file = (description: string, type: string): Schema => ({ description, content: { [type]: {} } });

const codes = Object.keys(PROBLEM_TITLES) as ProblemCode[];
const statuses = [...new Set(codes.map(statusOf))].toSorted((a, b) => a - b);

/** One response per status, which lists every code that it may have. */
const problemResponses = Object.fromEntries(
  statuses.map((status) => [
    `Problem${status}`,
    {
      description: codes
        .filter((code) => statusOf(code) === status)
        .map((code) => `- \`${code}\` ${PROBLEM_TITLES[code].zh} · ${PROBLEM_TITLES[code].en}`)
        .join('\n'),
      content: { 'application/problem+json': { schema: ref('Problem') } },
    },
  ]),
);

const problems = (...these: number[]): Schema =>
  Object.fromEntries(these.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]));

const keyed = { security: [{ apiKey: [] }] };
const BODY = [400, 401, 403, 413, 415, 422, 429];
const body = (schema: Schema, examples?: Schema): Schema => ({
  required: true,
  content: { 'application/json': { schema, ...(examples ? { examples } : {}) } },
});
const parameter = (name: string, description: string, schema: Schema = { type: 'string' }): Schema => ({
  name,
  in: 'path',
  required: true,
  description,
  schema,
});
const token = parameter('token', 'the code in the QR of a box: 26 characters of Crockford base32');

const soaking = {
  step: 'SOAK_STARTED',
  subject: 'q1QmTqz0V3fC5r0yq2m0Zw',
  org: 'centre',
  site: 'main',
  station: 'soak-1',
  n: 42,
  time: '2026-11-21T02:31Z',
  payload: { waterMl: 2400, waterTempDeciC: 220 },
};

/** The OpenAPI 3.1 document. */
export const openApi = (): Schema => ({
  openapi: '3.1.1',
  info: {
    title: '药迹 Yaoji',
    version: '1',
    description:
      '中药代煎配送的可验证轨迹 · Evidence for every step of a decocted prescription. ' +
      'An event is named by its station and n: sent again, it is answered the same. ' +
      'Every answer that is not what was asked for is a problem (RFC 9457) with a stable code.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  paths: {
    '/v1/events': {
      post: {
        operationId: 'postEvents',
        summary: '上报事件 · Record one event, or many',
        description:
          `One event, or {"events": [1 to ${MAX_EVENTS}]} with an answer for each, in order. A step that decides a race ` +
          'waits some seconds for its verdict. 409 with a receipt: stored, and refused. Any other 4xx: not stored, its n is free.',
        ...keyed,
        requestBody: body(
          { oneOf: [ref('Event'), ref('Events')] },
          {
            hosted: { summary: '服务代管密钥的工位 · a hosted station', value: { statement: soaking } },
            many: { summary: '多个事件 · many', value: { events: [{ statement: soaking }] } },
          },
        ),
        responses: {
          200: {
            description: '已入账 · one event that the ledger accepted, or the answers for many',
            content: { 'application/json': { schema: { oneOf: [ref('Receipt'), ref('Answers')] } } },
          },
          202: ok('待定 · stored, no verdict yet: poll its receipt', 'Receipt'),
          ...problems(...BODY, 409, 500, 503),
        },
      },
    },
    '/v1/receipts/{station}/{n}': {
      get: {
        operationId: 'getReceipt',
        summary: '事件回执 · What became of an event',
        ...keyed,
        parameters: [
          parameter('station', 'the station that recorded it'),
          parameter('n', "the station's number of it", { type: 'integer', minimum: 1 }),
        ],
        responses: { 200: ok('回执 · the receipt', 'Receipt'), ...problems(401, 403, 404, 429, 500, 503) },
      },
    },
    '/v1/packages/{token}/bundle': {
      get: {
        operationId: 'getBundle',
        summary: '验证包 · Everything needed to verify a box offline',
        description: 'Anyone with the token; with the API key of a regulator it shows the prescription too.',
        security: [{}, { apiKey: [] }],
        parameters: [
          token,
          {
            name: 'nonce',
            in: 'query',
            description:
              "the reader's own 24 random bytes, base64url: the view of the heads is then taken now, and holds them",
            schema: { type: 'string', pattern: '^[A-Za-z0-9_-]{32}$' },
          },
        ],
        responses: {
          200: ok('验证包 · the bundle', 'Bundle', 'application/vnd.yaoji.bundle.v1+json'),
          ...problems(400, 401, 404, 429, 500, 503),
        },
      },
    },
    '/v1/packages/{token}/label.svg': {
      get: {
        operationId: 'getLabelSvg',
        summary: '标签 SVG · The QR code and the code in groups of four',
        parameters: [token],
        responses: { 200: file('标签 · the label', 'image/svg+xml'), ...problems(404, 429, 500, 503) },
      },
    },
    '/v1/packages/{token}/label.png': {
      get: {
        operationId: 'getLabelPng',
        summary: '标签 PNG · The QR code alone',
        parameters: [token],
        responses: { 200: file('标签 · the label', 'image/png'), ...problems(404, 429, 500, 503) },
      },
    },
    '/p/{token}': {
      get: {
        operationId: 'getPage',
        summary: '包裹页面 · The page of a box',
        parameters: [token],
        responses: {
          200: file('页面 · the page', 'text/html'),
          404: file('没有这个追溯码 · no such box', 'text/html'),
          ...problems(429, 500, 503),
        },
      },
    },
    '/v1/anchors': {
      post: {
        operationId: 'postAnchor',
        summary: '立即锚定 · Publish what is recorded on the chain now',
        description:
          "A registrar's key, or a regulator's. The answer has the anchor's number, or the reason why there is no new one.",
        ...keyed,
        responses: {
          202: ok('已受理 · its number, or a reason', 'AnchorAnswer'),
          ...problems(401, 403, 409, 429, 500, 503),
        },
      },
    },
    '/v1/anchors/{seq}': {
      get: {
        operationId: 'getAnchor',
        summary: '锚定状态 · What has become of an anchor',
        ...keyed,
        parameters: [parameter('seq', 'its number', { type: 'integer', minimum: 1 })],
        responses: { 200: ok('锚定 · the anchor', 'Anchor'), ...problems(401, 404, 429, 500, 503) },
      },
    },
    '/trust.json': {
      get: {
        operationId: 'getTrust',
        summary: '信任配置 · What a verifier has to trust',
        responses: { 200: ok('信任配置 · the trust file', 'Trust') },
      },
    },
    '/v1/stations': {
      post: {
        operationId: 'enrolStation',
        summary: '登记工位 · Enrol a station',
        description: 'Without a key the service makes one and holds it. The same again: the same answer.',
        ...keyed,
        requestBody: body(ref('StationRequest')),
        responses: { 201: ok('已登记 · enrolled', 'Station'), ...problems(...BODY, 409, 500, 503) },
      },
    },
    '/v1/stations/{station}/revoke': {
      post: {
        operationId: 'revokeStation',
        summary: '注销工位 · Revoke a station',
        ...keyed,
        parameters: [parameter('station', 'the station')],
        responses: {
          204: { description: '已注销 · revoked' },
          ...problems(401, 403, 409, 422, 429, 500, 503),
        },
      },
    },
    '/v1/devices': {
      post: {
        operationId: 'registerDevice',
        summary: '登记设备 · Register a device',
        ...keyed,
        requestBody: body(ref('DeviceRequest')),
        responses: { 201: ok('已登记 · registered', 'DeviceRequest'), ...problems(...BODY, 409, 500, 503) },
      },
    },
    '/problems/{code}': {
      get: {
        operationId: 'getProblem',
        summary: '问题说明 · What a problem means',
        parameters: [parameter('code', 'its code', { enum: codes })],
        responses: { 200: { description: '说明 · its titles' }, ...problems(404) },
      },
    },
    '/healthz': {
      get: {
        operationId: 'getHealthz',
        summary: '进程存活 · Whether the process answers',
        responses: { 200: { description: '存活 · alive' } },
      },
    },
    '/readyz': {
      get: {
        operationId: 'getReadyz',
        summary: '服务就绪 · Whether requests should be sent here',
        description: 'Ready while the store answers: where the ledger is down, scanning goes on.',
        responses: { 200: ok('就绪 · ready', 'Health'), 503: ok('未就绪 · not ready', 'Health') },
      },
    },
  },
  components: {
    schemas: components(),
    responses: problemResponses,
    securitySchemes: { apiKey: { type: 'http', scheme: 'bearer', description: 'an API key: id.secret' } },
  },
});
