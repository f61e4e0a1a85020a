import { parseJson, toBase64url, toTrust, type Json, type Trust } from '@yaoji/chaincode/core';
import type { TroubleId } from './words/page.ts';

/** Why what a check needs did not arrive. */
export class Trouble extends Error {
  readonly id: TroubleId;
  /** the server's status, where it answered */
  readonly status: number | undefined;
  /** how long to wait before asking again, where the server said so, in seconds */
  readonly wait: number | undefined;

  constructor(id: TroubleId, options: { status?: number; wait?: number | undefined; cause?: unknown } = {}) {
    super(id, { cause: options.cause });
    this.id = id;
    this.status = options.status;
    this.wait = options.wait;
  }
}

/** What was loaded, and the very bytes it was read from. */
export interface Loaded<T> {
  value: T;
  bytes: Uint8Array;
}

/**
 * The bundle of the box with this token, unread: judging it is `verify`'s. With a nonce the ledger is asked anew, for a view
 * that carries it. Throws Trouble.
 */
export const loadBundle = (token: string, nonce?: Uint8Array): Promise<Loaded<Json>> =>
  load(`/v1/packages/${token}/bundle${nonce ? `?nonce=${toBase64url(nonce)}` : ''}`);

/** A file that the reader chose, unread like any bundle. Throws Trouble. */
export async function openFile(file: Blob): Promise<Loaded<Json>> {
  try {
    return read(new Uint8Array(await file.arrayBuffer()));
  } catch (cause) {
    throw new Trouble('unreadable', { cause });
  }
}

/** The trust file that came with this page. Throws Trouble: without one nothing can be checked. */
export async function loadTrust(): Promise<Loaded<Trust>> {
  try {
    const { value, bytes } = await load('/trust.json');
    return { value: toTrust(value), bytes };
  } catch (error) {
    if (error instanceof Trouble && error.id !== 'unreadable' && error.id !== 'not-found') throw error;
    throw new Trouble('no-trust', { cause: error });
  }
}

// Phones lose the network without any error; a minute is longer than the slowest honest answer.
const PATIENCE = 60_000;

async function load(path: string): Promise<Loaded<Json>> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE);
  let response: Response;
  let bytes: Uint8Array;
  try {
    response = await fetch(path, {
      cache: 'no-store',
      headers: { accept: 'application/json' },
      signal: abort.signal,
    });
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new Trouble('offline', { cause });
  } finally {
    clearTimeout(timer);
  }
  const { status } = response;
  if (status === 404) throw new Trouble('not-found', { status });
  if (status === 429 || status === 503) throw new Trouble('busy', { status, wait: waitOf(response) });
  if (!response.ok) throw new Trouble('refused', { status });
  try {
    return read(bytes);
  } catch (cause) {
    throw new Trouble('unreadable', { cause });
  }
}

const read = (bytes: Uint8Array): Loaded<Json> => ({
  value: parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes)),
  bytes,
});

/** Retry-After in seconds; its form as a date is not worth a clock that may be wrong. */
function waitOf(response: Response): number | undefined {
  const text = response.headers.get('retry-after') ?? '';
  return /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}
