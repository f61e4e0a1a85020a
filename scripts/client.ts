import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  type KeyObject,
} from 'node:crypto';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  commit,
  RULES,
  signedBytes,
  toBase64url,
  toLowS,
  type Bundle,
  type Entry,
  type Statement,
  type Trust,
} from '@yaoji/chaincode/core';
import type { AnchorAnswer, Receipt, StationRequest } from '@yaoji/api/service';
import type { OrganisationAccess } from './instance.ts';

// What an organisation's own software does: sign, send, ask again. The demo and the tests use it over real HTTP.

/** An answer other than the expected one. */
export class ApiError extends Error {
  readonly status: number;
  readonly problem: { code?: string; pointer?: string; detail?: string };
  constructor(status: number, problem: ApiError['problem'], what: string) {
    super(
      `${what}: ${status} ${problem.code ?? ''} ${problem.pointer ?? ''} ${problem.detail ?? ''}`.trimEnd(),
    );
    this.status = status;
    this.problem = problem;
  }
}

/** Sends one request and reads the JSON answer, whatever its status. */
export async function request(
  url: string,
  path: string,
  { key, body }: { key?: string; body?: unknown } = {},
): Promise<{ status: number; body: unknown }> {
  const response = await fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  return { status: response.status, body: text ? (JSON.parse(text) as unknown) : undefined };
}

async function expectOk<T>(
  url: string,
  path: string,
  options: { key?: string; body?: unknown } = {},
): Promise<T> {
  const { status, body } = await request(url, path, options);
  if (status >= 300)
    throw new ApiError(status, body as ApiError['problem'], path.split('/').slice(0, 3).join('/'));
  return body as T;
}

/** A station with its own key: its counter starts at 1. */
export class SigningStation {
  readonly id: string;
  readonly publicKey: string;
  private readonly key: KeyObject;
  private n = 0;

  constructor(id: string, pem?: string) {
    this.id = id;
    const pair =
      pem === undefined
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
        : createPrivateKey(pem);
    this.key = pair;
    this.publicKey = toBase64url(createPublicKey(pair).export({ type: 'spki', format: 'der' }));
  }

  next(): number {
    return ++this.n;
  }

  /** The item that says this statement: a signed entry with its disclosures. */
  item(statement: Statement): { entry: Entry; disclosures: string[] } {
    const rule = RULES[statement.step];
    if (!rule) throw new Error(`there is no step ${statement.step}`);
    const { entry, disclosures } = commit(
      statement,
      rule.openFields,
      () => randomBytes(16),
      nodeSuite.sha256,
    );
    const signature = sign('sha256', signedBytes(entry), { key: this.key, dsaEncoding: 'ieee-p1363' });
    return { entry: { ...entry, sig: toBase64url(toLowS(signature)) }, disclosures };
  }
}

/** The API as one organisation uses it. */
export class OrganisationClient {
  readonly url: string;
  readonly access: OrganisationAccess;

  constructor(url: string, access: OrganisationAccess) {
    this.url = url;
    this.access = access;
  }

  enrol(station: Omit<StationRequest, 'site'>): Promise<unknown> {
    return expectOk(this.url, '/v1/stations', {
      key: this.access.registrar,
      body: { ...station, site: this.access.site },
    });
  }

  registerDevice(device: string): Promise<unknown> {
    return expectOk(this.url, '/v1/devices', { key: this.access.registrar, body: { device } });
  }

  /** Posts one item; its receipt, or ApiError. */
  async record(item: object): Promise<Receipt> {
    return expectOk<Receipt>(this.url, '/v1/events', { key: this.access.recorder, body: item });
  }

  /** Demands an anchor of what is recorded now. */
  demandAnchor(): Promise<AnchorAnswer> {
    return expectOk(this.url, '/v1/anchors', { key: this.access.registrar, body: {} });
  }

  receipt(station: string, n: number): Promise<Receipt> {
    return expectOk(this.url, `/v1/receipts/${station}/${n}`, { key: this.access.recorder });
  }
}

export const fetchBundle = (url: string, token: string): Promise<Bundle> =>
  expectOk(url, `/v1/packages/${token}/bundle`);
export const fetchTrust = (url: string): Promise<Trust> => expectOk(url, '/trust.json');
