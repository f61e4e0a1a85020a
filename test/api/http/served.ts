import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createApp, type AppOptions } from '@yaoji/api/http/app';
import type { ItemAnswer, Principal, Receipt, Service } from '@yaoji/api/service';
import { parseJson, type Bundle, type Json, type Trust } from '@yaoji/chaincode/core';

// A service that stores nothing and proves nothing: it answers what a test tells it to, so that only the HTTP side is tried.

export const TOKEN = '0123456789ABCDEFGHJKMNPQRS';
export const RECORDER = 'rec.secret';
export const REGISTRAR = 'reg.secret';
export const REGULATOR = 'gov.secret';

const PRINCIPALS: Readonly<Record<string, Principal>> = {
  [RECORDER]: { id: 'rec', org: 'centre', kind: 'decoction', site: 'main', role: 'recorder' },
  [REGISTRAR]: { id: 'reg', org: 'centre', kind: 'decoction', site: 'main', role: 'registrar' },
  [REGULATOR]: { id: 'gov', org: 'mpa', kind: 'regulator', site: 'city', role: 'recorder' },
};

export const settled: Receipt = {
  station: 'soak-1',
  n: 42,
  step: 'SOAK_STARTED',
  subject: 'q1QmTqz0V3fC5r0yq2m0Zw',
  outcome: 'settled',
  index: 7,
  leaf: 'A'.repeat(43),
  at: '2026-11-21T02:31Z',
};

const untold = (): never => {
  throw new Error('the test told the fake service nothing about this');
};

export function fakeService(told: Partial<Service> = {}): Service {
  return {
    receive: untold,
    receipt: untold,
    bundle: untold,
    packagePage: untold,
    enrolStation: untold,
    revokeStation: untold,
    registerDevice: untold,
    demandAnchor: untold,
    anchor: untold,
    trust: untold,
    health: untold,
    principal: (key) => Promise.resolve(PRINCIPALS[key]),
    publicUrl: 'http://box.example',
    ...told,
  };
}

/** Answers every item alike. */
export const answering =
  (answer: ItemAnswer): Service['receive'] =>
  (_principal, items) =>
    Promise.resolve(items.map(() => answer));

export const bundle: Bundle = {
  mediaType: 'application/vnd.yaoji.bundle.v1+json',
  package: 'q1QmTqz0V3fC5r0yq2m0Zw',
  trails: [],
  views: { heads: 'AA', logs: 'AA' },
};

export const trust: Trust = {
  mediaType: 'application/vnd.yaoji.trust.v1+json',
  channel: 'yaoji',
  chaincode: 'custody',
  organisations: [{ mspId: 'centre', ca: 'PEM' }],
  threshold: 1,
  required: ['form'],
  development: true,
};

export interface Served {
  url: string;
  /** what was logged, oldest first */
  lines: Record<string, unknown>[];
  call(path: string, init?: RequestInit & { key?: string }): Promise<Response>;
  post(
    path: string,
    body: Json | string | Uint8Array<ArrayBuffer>,
    init?: RequestInit & { key?: string },
  ): Promise<Response>;
  close(): Promise<void>;
}

/** Serves the app over this service on a free loopback port. */
export async function serve(service: Service, options: Partial<AppOptions> = {}): Promise<Served> {
  const lines: Record<string, unknown>[] = [];
  const note = (facts: object): void => void lines.push({ ...facts });
  const app = createApp(service, { log: { info: note, error: note }, docs: true, ...options });
  const server = createServer(app).listen(0, '127.0.0.1');
  await once(server, 'listening');
  // A test that fails before it closes its server must not keep the run from ending.
  server.unref();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const call: Served['call'] = (path, { key, headers, ...init } = {}) =>
    fetch(url + path, {
      ...init,
      headers: {
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(headers as Record<string, string>),
      },
    });
  return {
    url,
    lines,
    call,
    post: (path, body, { headers, ...init } = {}) =>
      call(path, {
        method: 'POST',
        body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
        headers: { 'content-type': 'application/json', ...(headers as Record<string, string>) },
        ...init,
      }),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** The members of a JSON answer, read strictly. */
export async function bodyOf(response: Response): Promise<{ [name: string]: Json }> {
  const value = parseJson(await response.text());
  if (typeof value !== 'object' || Array.isArray(value)) throw new Error('the answer is not an object');
  return value;
}
