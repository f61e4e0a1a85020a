import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a node says instead of the truth: a result, an error of JSON-RPC, or something that is no answer at all. */
export type Lie =
  | { result: unknown }
  | { error: { code: number; message: string; data?: unknown } }
  /** a body that is no JSON-RPC answer */
  | { body: string; status?: number }
  /** never an answer */
  | 'silence'
  /** a connection that breaks */
  | 'break'
  /** the truth, told after so many ms */
  | { after: number };

/** A node in front of a real one, which tells the truth unless it has been told how to lie. */
export interface LyingNode {
  readonly url: string;
  /** what was asked, in order */
  readonly asked: { method: string; params: unknown[] }[];
  /** Lies about a method (`*`: about every one) until told otherwise; undefined: tells the truth again. */
  lie(method: string, how: Lie | ((params: unknown[], truth: unknown) => Lie | undefined)): void;
  honest(): void;
  stop(): Promise<void>;
}

export async function startLyingNode(honestUrl: string): Promise<LyingNode> {
  type How = Parameters<LyingNode['lie']>[1];
  const lies = new Map<string, How>();
  const asked: LyingNode['asked'] = [];

  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on(
      'end',
      () => void answer(Buffer.concat(parts).toString(), response).catch(() => response.destroy()),
    );
  });

  async function answer(body: string, response: ServerResponse): Promise<void> {
    const { id, method, params } = JSON.parse(body) as { id: unknown; method: string; params: unknown[] };
    asked.push({ method, params });
    const how = lies.get(method) ?? lies.get('*');
    const truth = async (): Promise<unknown> =>
      (
        await fetch(honestUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
      ).json();
    const send = (value: unknown): unknown =>
      response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
    const lie =
      typeof how === 'function' ? how(params, ((await truth()) as { result?: unknown }).result) : how;
    if (lie === undefined) return void send(await truth());
    if (lie === 'silence') return;
    if (lie === 'break') return void response.destroy();
    if ('after' in lie) {
      const told = await truth();
      setTimeout(() => send(told), lie.after).unref();
    } else if ('body' in lie) response.writeHead(lie.status ?? 200).end(lie.body);
    else send({ jsonrpc: '2.0', id, ...lie });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    lie: (method, how) => void lies.set(method, how),
    honest: () => lies.clear(),
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
