import * as z from 'zod/mini';
import { ChainTrouble, type TroubleCode } from './trouble.ts';

/** A node of the chain, or a signer, as JSON-RPC 2.0 over HTTP. Whatever it answers may be a lie. */
export interface Rpc {
  /**
   * Asks once and reads the result with the schema. Throws ChainTrouble NODE_UNREACHABLE, NODE_SLOW, NODE_GARBAGE, or
   * RpcRefusal, or what aborted the signal.
   */
  call<T extends z.ZodMiniType>(method: string, params: readonly unknown[], result: T): Promise<z.infer<T>>;
}

/** The node's own error. Its words are the node's: shortened, and without what could break a log line. */
export class RpcRefusal extends ChainTrouble {
  /** what a reverted call returned, 0x and hex, where the node tells */
  readonly data: string | undefined;
  constructor(method: string, said: string, data?: string) {
    super('NODE_REFUSED', `the node refuses ${method}: ${said}`);
    this.data = data;
  }
}

export interface RpcOptions {
  /** how long one call may take, ms; 10 s if not said */
  timeout?: number;
  /** ends every call */
  signal?: AbortSignal;
  /** what is said of the other end in errors */
  who?: string;
}

/** All receipts of a full block are a few MiB; whatever is longer than this is not read. */
const MOST_BYTES = 64 << 20;

const answerSchema = z.union([
  z.object({ id: z.literal(1), error: z.object({ message: z.string(), data: z.optional(z.unknown()) }) }),
  z.object({ id: z.literal(1), result: z.unknown() }),
]);

/**
 * Connects lazily and keeps nothing in the background: no polling, no detection of the network, no retry of its own. Follows
 * no redirect: a URL may carry a key.
 */
export function connectRpc(url: string, { timeout = 10_000, signal, who = 'node' }: RpcOptions = {}): Rpc {
  return {
    async call(method, params, result) {
      const text = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
      const answer = answerSchema.safeParse(parsed(text));
      if (!answer.success) throw garbage(`${method}: no JSON-RPC answer`);
      if ('error' in answer.data) {
        const { message, data } = answer.data.error;
        throw new RpcRefusal(method, printable(message), revertData(data));
      }
      const value = result.safeParse(answer.data.result);
      if (!value.success) throw garbage(`${method}: ${place(value.error)}`);
      return value.data;
    },
  };

  async function post(to: string, body: string): Promise<string> {
    // Not AbortSignal.any: what it makes of a signal that lives as long as the process is kept as long.
    const ending = new AbortController();
    const end = (): void => ending.abort();
    const limit = setTimeout(end, timeout);
    signal?.addEventListener('abort', end);
    try {
      signal?.throwIfAborted();
      const response = await fetch(to, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        redirect: 'error',
        signal: ending.signal,
      });
      const text = await readBounded(response);
      // Some nodes answer errors of JSON-RPC with 4xx or 5xx.
      if (!response.ok && !text.startsWith('{')) throw garbage(`HTTP ${response.status}`);
      return text;
    } catch (cause) {
      if (cause instanceof ChainTrouble) throw cause;
      signal?.throwIfAborted();
      if (ending.signal.aborted) throw trouble('NODE_SLOW', `no answer within ${timeout} ms`);
      // The cause of a failed fetch has the system's code; its message would quote addresses.
      const { code } = ((cause as Error).cause ?? {}) as NodeJS.ErrnoException;
      throw trouble('NODE_UNREACHABLE', `cannot be reached (${code ?? 'connection failed'})`);
    } finally {
      clearTimeout(limit);
      signal?.removeEventListener('abort', end);
    }
  }

  async function readBounded(response: Response): Promise<string> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      length += (part as Uint8Array).length;
      if (length > MOST_BYTES) throw garbage('the answer is too long');
      parts.push(part as Uint8Array);
    }
    return Buffer.concat(parts).toString('utf8');
  }

  function trouble(code: TroubleCode, what: string): ChainTrouble {
    return new ChainTrouble(code, `the ${who} ${what}`);
  }
  function garbage(what: string): ChainTrouble {
    return new ChainTrouble('NODE_GARBAGE', `the ${who} answers with garbage (${what})`);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const place = ({ issues: [issue] }: z.core.$ZodError): string =>
  `${issue?.path.join('.') || 'result'}: ${issue?.message ?? 'bad'}`.slice(0, 120);

/** At most 160 printable ASCII characters of somebody else's words. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 160);

/** The data of a revert; some nodes wrap it once more. */
function revertData(data: unknown): string | undefined {
  const inner = typeof data === 'object' && data !== null && 'data' in data ? data.data : data;
  return typeof inner === 'string' && /^0x[0-9a-f]{0,512}$/i.test(inner) ? inner.toLowerCase() : undefined;
}

// ── Values ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const lower = z.overwrite((text: string) => text.toLowerCase());
const hexOf = (pattern: RegExp) => z.string().check(z.regex(pattern), lower);

/** A quantity of at most 256 bits as the node writes it, as a number without limits. */
export const quantity = z.pipe(
  hexOf(/^0x[0-9a-f]{1,64}$/i),
  z.transform((text: string) => BigInt(text)),
);
/** A quantity that is a safe integer: a block's number, an index, a time. */
export const count = z.pipe(
  quantity,
  z.transform((value: bigint, context) => {
    if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(value);
    context.issues.push({ code: 'custom', message: 'too large', input: value });
    return z.NEVER;
  }),
);
/** Exactly so many bytes, 0x and lower hex. */
export const bytesOf = (length: number) => hexOf(new RegExp(`^0x[0-9a-f]{${2 * length}}$`, 'i'));
/** At most so many bytes, 0x and lower hex. */
export const bytesUpTo = (most: number) =>
  z.string().check(z.regex(/^0x(?:[0-9a-f]{2})*$/i), z.maxLength(2 + 2 * most), lower);
export const hash32 = bytesOf(32);
export const address20 = bytesOf(20);
/** A block as far as it is named: its number and hash; null where the node has none. */
export const blockName = z.nullable(z.object({ number: count, hash: hash32 }));
