import { randomBytes } from 'node:crypto';
import { expect } from 'chai';
import { fromJSONSchema } from 'zod';
import { openApi } from '@yaoji/api/http/openapi';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { RULES, toBase64url, tokenFrom, type Statement } from '@yaoji/chaincode/core';
import { SigningStation } from '@yaoji/scripts/client';
import { referenceStory, STORY_STATIONS, type StoryStationName } from '@yaoji/scripts/reference-story';
import { PROBLEM_TITLES } from '@yaoji/web/words/problems';
import { fakeService, RECORDER, serve, settled } from './served.ts';

interface Operation {
  operationId: string;
  summary: string;
  parameters?: { name: string; in: string }[];
  requestBody?: { content: { 'application/json': { examples?: Record<string, { value: unknown }> } } };
  responses: Record<string, object>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: {
    schemas: Record<string, { title?: string; discriminator?: { mapping: Record<string, string> } }>;
    responses: Record<string, { description: string }>;
  };
}

const document = JSON.parse(JSON.stringify(openApi())) as Document;
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

/** Every object in a JSON value, itself included. */
function* objectsIn(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const inner of Object.values(value)) yield* objectsIn(inner);
}

type JsonSchema = Exclude<Parameters<typeof fromJSONSchema>[0], boolean>;
const inDefs = JSON.stringify(document.components.schemas).replaceAll('#/components/schemas/', '#/$defs/');
const $defs = JSON.parse(inDefs) as Record<string, JsonSchema>;
const validators = new Map<string, ReturnType<typeof fromJSONSchema>>();

/** Whether a value fits a named schema of the document, as a JSON Schema validator sees it. */
function fits(name: string, value: unknown): boolean {
  const validator = validators.get(name) ?? fromJSONSchema({ ...$defs[name], $defs });
  validators.set(name, validator);
  return validator.safeParse(value).success;
}

const key = (): string => toBase64url(randomBytes(16));
const names = Object.keys(STORY_STATIONS) as StoryStationName[];
const statements: Statement[] = referenceStory({
  day: '2026-11-20',
  keys: { prescription: key(), fulfilment: key(), package: key(), device: key() },
  orgs: { hospital: 'hospital', decoction: 'centre', courier: 'courier' },
  sites: { hospital: 'main', decoction: 'main', courier: 'main' },
  stations: Object.fromEntries(names.map((name) => [name, name])) as Record<StoryStationName, string>,
  token: tokenFrom(randomBytes(17)),
  sealNo: 'S-1',
  handover: key(),
  staffKey: randomBytes(32),
  sha256: nodeSuite.sha256,
}).map(({ statement }, i) => ({ ...statement, n: i + 1 }));

describe('the OpenAPI document', () => {
  it('is served as it is made', async () => {
    const served = await serve(fakeService());
    const response = await served.call('/openapi.json');
    expect(response.headers.get('content-type')).to.contain('application/json');
    expect(await response.json()).to.deep.equal(document);
    await served.close();
  });

  it('is of version 3.1 and every reference in it leads somewhere', () => {
    expect(document.openapi).to.match(/^3\.1\./);
    for (const { $ref } of objectsIn(document)) {
      if (typeof $ref !== 'string') continue;
      const found = $ref
        .split('/')
        .slice(1)
        .reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], document);
      expect(found, $ref).to.be.an('object');
    }
    for (const name of Object.keys(document.components.schemas)) expect(name).to.match(/^[A-Za-z0-9._-]+$/);
  });

  it('names every operation once, with the parameters of its path and both languages', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).to.equal(ids.length);
    for (const { path, operation } of operations) {
      const inPath = [...path.matchAll(/\{([a-z]+)\}/g)].map(([, name]) => name);
      const named = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(named.map(({ name }) => name)).to.deep.equal(inPath);
      expect(operation.summary).to.match(/[一-鿿].* · [A-Z]/);
    }
  });

  it('describes routes that are there', async () => {
    const served = await serve(fakeService({ packagePage: () => Promise.resolve(undefined) }));
    for (const { path, method } of operations) {
      const response = await served.call(path.replaceAll(/\{[a-z]+\}/g, '1'), {
        method: method.toUpperCase(),
      });
      expect(
        [404, 405].includes(response.status) && (await response.text()).includes('ROUTE_UNKNOWN'),
        path,
      ).to.equal(path === '/problems/{code}');
    }
    await served.close();
  });

  it('has every step, with its names, as payload, open fields, statement and entry', () => {
    const { schemas } = document.components;
    for (const [step, { zh, en }] of Object.entries(RULES))
      for (const part of ['Payload', 'Open', 'Statement', 'Entry'])
        expect(schemas[`${step}.${part}`], `${step}.${part}`).to.include({ title: `${zh} · ${en}` });
    for (const union of ['Statement', 'Entry'])
      expect(Object.keys(schemas[union]!.discriminator!.mapping)).to.have.members(Object.keys(RULES));
  });

  it('lists every code of a problem under one status', () => {
    const listed = Object.values(document.components.responses).flatMap(({ description }) =>
      [...description.matchAll(/^- `([A-Z0-9_]+)`/gm)].map(([, code]) => code),
    );
    expect(listed).to.have.members(Object.keys(PROBLEM_TITLES));
  });

  it('fits the reference story, signed and hosted, one by one and together', () => {
    const station = new SigningStation('any');
    for (const statement of statements) {
      expect(fits('Event', { statement }), statement.step).to.equal(true);
      expect(fits('Event', station.item(statement)), statement.step).to.equal(true);
    }
    expect(fits('Events', { events: statements.map((statement) => ({ statement })) })).to.equal(true);
  });

  it('does not fit what the API refuses', () => {
    const statement = statements.find(({ step }) => step === 'SOAK_STARTED')!;
    const { time: _, ...timeless } = statement;
    for (const [why, event] of Object.entries({
      'no statement': {},
      'both forms': { ...new SigningStation('any').item(statement), statement },
      'an unknown field': { statement: { ...statement, more: 1 } },
      'a missing field': { statement: timeless },
      'an unknown step': { statement: { ...statement, step: 'SOAKED_TWICE' } },
      "another step's payload": { statement: { ...statement, step: 'RX_ISSUED' } },
      'a link too many': { statement: { ...statement, links: [key()] } },
      'an unknown payload field': { statement: { ...statement, payload: { ...statement.payload, salt: 1 } } },
      'a value out of bounds': {
        statement: { ...statement, payload: { ...statement.payload, waterMl: 200_001 } },
      },
      'a fraction': { statement: { ...statement, payload: { ...statement.payload, waterMl: 1.5 } } },
    }))
      expect(fits('Event', event), why).to.equal(false);
  });

  it('has examples that fit', () => {
    const examples = operations.flatMap(({ operation }) =>
      Object.values(operation.requestBody?.content['application/json'].examples ?? {}),
    );
    expect(examples).to.have.length(2);
    for (const { value } of examples) expect(fits('Event', value) || fits('Events', value)).to.equal(true);
  });

  it('describes the answers that are given', async () => {
    const served = await serve(
      fakeService({
        receive: (_principal, items) =>
          Promise.resolve(
            items.map((_item, i) =>
              i === 0
                ? { receipt: settled }
                : { receipt: { ...settled, outcome: 'refused', code: 'TOO_EARLY', by: 'service' } },
            ),
          ),
        health: () => Promise.resolve({ store: true, ledger: true, pending: 0, stopped: [] }),
      }),
    );
    const json = async (response: Response): Promise<unknown> => response.json();
    const post = (body: string): Promise<Response> => served.post('/v1/events', body, { key: RECORDER });
    expect(fits('Receipt', await json(await post('{}')))).to.equal(true);
    expect(fits('Answers', await json(await post('{"events":[{},{}]}')))).to.equal(true);
    expect(fits('Problem', await json(await post('{"a":null}')))).to.equal(true);
    expect(fits('Health', await json(await served.call('/readyz')))).to.equal(true);
    await served.close();
  });
});
