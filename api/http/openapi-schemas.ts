import { CHECKS, entrySchema, REFUSALS, RULES, statementSchema, type Rule } from '@yaoji/chaincode/core';
import { PROBLEM_TITLES } from '@yaoji/web/words/problems';
import * as z from 'zod/mini';
import type { AnchorAnswer, AnchorHealth, Health, Receipt } from '../service.ts';
import type { AnchorState } from '../store/anchors.ts';
import { MAX_EVENTS } from './events.ts';
import type { Fault, ProblemBody } from './problems.ts';
import { deviceRequestSchema, stationRequestSchema } from './registrations.ts';

// The named schemas of the API's description. Each step has four: its payload, its open fields, its statement, its entry.

/** A JSON Schema (2020-12), or another part of the document. */
export interface Schema {
  [name: string]: unknown;
}

/** A reference to a named schema. */
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

interface ObjectSchema extends Schema {
  properties: Record<string, Schema>;
  required?: string[];
}

function toSchema(schema: z.ZodMiniType): ObjectSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { unrepresentable: 'any' });
  return rest as ObjectSchema;
}

const object = (properties: Record<string, Schema>, optional: readonly string[] = []): ObjectSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
});
const list = (items: Schema, bounds: Schema = {}): Schema => ({ type: 'array', items, ...bounds });
const STRING = { type: 'string' };
const NUMBER = { type: 'integer', minimum: 0 };
const BOOLEAN = { type: 'boolean' };

/** One of several, told apart by its step. */
const oneOfSteps = (suffix: string): Schema => ({
  oneOf: Object.keys(RULES).map((step) => ref(`${step}.${suffix}`)),
  discriminator: {
    propertyName: 'step',
    mapping: Object.fromEntries(
      Object.keys(RULES).map((step) => [step, `#/components/schemas/${step}.${suffix}`]),
    ),
  },
});

/** The header of a statement or an entry as this step has it. */
function headed(schema: z.ZodMiniType, step: string, rule: Rule): ObjectSchema {
  const { properties, required = [], ...rest } = toSchema(schema);
  const { links, ...others } = properties;
  if (!rule.links) return { ...rest, properties: { ...others, step: { const: step } }, required };
  const { min, max, kind } = rule.links;
  const linked = {
    ...links,
    minItems: Math.max(min, 1),
    maxItems: max,
    description: `keys of ${kind} subjects`,
  };
  return {
    ...rest,
    properties: { ...others, step: { const: step }, links: linked },
    required: min > 0 ? [...required, 'links'] : required,
  };
}

function stepSchemas([step, rule]: [string, Rule]): [string, Schema][] {
  const title = `${rule.zh} · ${rule.en}`;
  const payload = toSchema(rule.payloadSchema);
  for (const [name, schema] of Object.entries(payload.properties)) {
    const readers = rule.sealed[name]?.readers;
    schema['x-readers'] = readers ?? 'open: on the ledger, for everybody';
  }
  const statement = headed(statementSchema, step, rule);
  const entry = headed(entrySchema, step, rule);
  return [
    [`${step}.Payload`, { title, description: describe(rule), ...payload }],
    [
      `${step}.Open`,
      { title, description: 'the fields that everybody can read', ...toSchema(rule.openSchema) },
    ],
    [
      `${step}.Statement`,
      { title, ...statement, properties: { ...statement.properties, payload: ref(`${step}.Payload`) } },
    ],
    [`${step}.Entry`, { title, ...entry, properties: { ...entry.properties, open: ref(`${step}.Open`) } }],
  ];
}

function describe({ subject, roles, when, waits }: Rule): string {
  return [
    `subject: ${subject}`,
    `recorded by: ${roles.join(', ')}`,
    when.length ? `legal in: ${when.join(', ')}` : 'opens its trail',
    ...(waits ? ['waits for its verdict'] : []),
  ].join(' · ');
}

// What is answered. `satisfies` keeps these from drifting away from it.

const receipt = {
  station: STRING,
  n: { type: 'integer', minimum: 1 },
  step: { enum: Object.keys(RULES) },
  subject: STRING,
  outcome: {
    enum: ['pending', 'held', 'settled', 'refused'],
    description: 'pending: no verdict yet · held: waits for the other side of a handover',
  },
  code: { enum: Object.keys(REFUSALS), description: 'when refused' },
  by: { enum: ['ledger', 'service'], description: 'who refused it' },
  index: { ...NUMBER, description: "when settled: its place in its organisation's log" },
  leaf: { ...STRING, description: 'when settled: its leaf hash, base64url' },
  at: { ...STRING, description: "when settled: the transaction's minute" },
  marks: {
    ...list(STRING),
    description: 'DEVIATION:… for each check that found it outside the process rules',
  },
} satisfies Record<keyof Receipt, Schema>;

const CODE = { enum: Object.keys(PROBLEM_TITLES) };
const POINTER = { ...STRING, description: 'JSON pointer (RFC 6901) into the body' };
const fault = { code: CODE, pointer: POINTER, detail: STRING } satisfies Record<keyof Fault, Schema>;
const problem = {
  type: { ...STRING, pattern: '^/problems/[A-Z0-9_]+$' },
  title: { ...STRING, description: '中文' },
  titles: object({ zh: STRING, en: STRING }),
  status: { type: 'integer' },
  code: CODE,
  traceId: { ...STRING, description: 'names this request in our log' },
  detail: STRING,
  pointer: POINTER,
  errors: list(object(fault)),
  receipt: { ...ref('Receipt'), description: 'of an event that is stored and was refused' },
} satisfies Record<keyof ProblemBody, Schema>;

const STATE = {
  enum: ['pending', 'included', 'final'],
  description: 'pending: in no block · included: in a block · final: in one that stays',
};
const SEQ = { type: 'integer', minimum: 1 };
const HEX32 = { type: 'string', pattern: '^0x[0-9a-f]{64}$' };
const anchor = {
  seq: SEQ,
  state: STATE,
  root: HEX32,
  keptAt: { type: 'string', format: 'date-time' },
  block: { ...object({ number: NUMBER, hash: HEX32 }), description: 'unless pending' },
  transaction: { ...HEX32, description: 'unless pending' },
} satisfies Record<keyof AnchorState, Schema>;
const anchorAnswer = {
  seq: SEQ,
  state: STATE,
  reason: {
    ...STRING,
    description:
      'why there is no new anchor: NOTHING_NEW, OLDER_PENDING, TOO_SOON, LATER, or a code of what delays anchoring',
  },
} satisfies Record<keyof AnchorAnswer, Schema>;
const anchorHealth = {
  chain: { ...STRING, description: 'CAIP-2' },
  contract: STRING,
  seq: { ...SEQ, description: 'of the newest anchor' },
  state: STATE,
  trouble: { ...STRING, description: 'a code of what delays anchoring now' },
} satisfies Record<keyof AnchorHealth, Schema>;

const health = {
  ready: BOOLEAN,
  store: BOOLEAN,
  ledger: BOOLEAN,
  pending: NUMBER,
  stopped: list(object({ org: STRING, why: STRING })),
  anchor: {
    ...object(anchorHealth, ['seq', 'state', 'trouble']),
    description: 'not there: no chain is configured, nothing is anchored',
  },
} satisfies Record<keyof Health | 'ready', Schema>;

const status = { type: 'integer' };

/** Every named schema. */
export const components = (): Record<string, Schema> => ({
  Event: { title: '事件 · one event', oneOf: [ref('SignedEvent'), ref('HostedEvent')] },
  SignedEvent: {
    title: '工位已签名 · signed by its station',
    ...object({ entry: ref('Entry'), disclosures: list(STRING, { maxItems: 64 }) }),
  },
  HostedEvent: {
    title: '服务代签 · to be signed with a key that the service holds',
    ...object({ statement: ref('Statement') }),
  },
  Events: object({ events: list(ref('Event'), { minItems: 1, maxItems: MAX_EVENTS }) }),
  Entry: oneOfSteps('Entry'),
  Statement: oneOfSteps('Statement'),
  ...Object.fromEntries(Object.entries(RULES).flatMap(stepSchemas)),
  Receipt: object(receipt, ['code', 'by', 'index', 'leaf', 'at', 'marks']),
  Answers: object({
    answers: list({
      oneOf: [object({ status, receipt: ref('Receipt') }), object({ status, problem: ref('Problem') })],
    }),
  }),
  Problem: object(problem, ['detail', 'pointer', 'errors', 'receipt']),
  StationRequest: toSchema(stationRequestSchema),
  Station: object({ station: STRING, key: STRING, hosted: BOOLEAN }),
  DeviceRequest: toSchema(deviceRequestSchema),
  Anchor: object(anchor, ['block', 'transaction']),
  AnchorAnswer: object(anchorAnswer, ['seq', 'state', 'reason']),
  Health: object(health, ['anchor']),
  Bundle: { type: 'object', description: 'see README: verify it with `npx yaoji verify`' },
  Trust: {
    type: 'object',
    description: 'what a verifier believes before it sees a bundle',
    properties: { required: list({ enum: [...CHECKS] }) },
  },
});
