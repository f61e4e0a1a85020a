import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '@yaoji/network/free-port';

/** A development chain of a test's own. */
export interface Anvil {
  readonly url: string;
  readonly port: number;
  /** Asks it with plain JSON-RPC, also what only a development chain does: `anvil_…`, `evm_…`. Throws its error. */
  rpc(method: string, ...params: unknown[]): Promise<unknown>;
  /** ends it in order (it writes its state, if told to) */
  stop(): Promise<void>;
  /** ends it with SIGKILL */
  kill(): Promise<void>;
}

export interface AnvilOptions {
  /** more arguments, such as `--no-mining` */
  args?: readonly string[];
  /** a free one if not said */
  port?: number;
}

// Seen from test/dist/support/.
const FROM_NPM = fileURLToPath(
  new URL('../../../node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil', import.meta.url),
);

/** Starts anvil, from npm or `ANVIL`, on loopback. Throws when it does not answer within 20 s. */
export async function startAnvil({ args = [], port }: AnvilOptions = {}): Promise<Anvil> {
  const binary = process.env['ANVIL'] || (existsSync(FROM_NPM) ? FROM_NPM : 'anvil');
  const free = port ?? (await freePort());
  const child = spawn(binary, ['--host', '127.0.0.1', '--port', String(free), '--silent', ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-2_000)));
  const exited = once(child, 'exit');
  exited.catch(() => {});
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill(signal);
      await exited;
    }
  };
  const url = `http://127.0.0.1:${free}`;
  const rpc: Anvil['rpc'] = async (method, ...params) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
    if (error) throw new Error(`${method}: ${error.message}`);
    return result;
  };
  for (const until = Date.now() + 20_000; ; await sleep(25)) {
    try {
      await rpc('eth_chainId');
      return { url, port: free, rpc, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
    } catch (error) {
      if (child.exitCode === null && Date.now() < until) continue;
      await end('SIGKILL');
      throw new Error(`anvil does not start: ${said}`, { cause: error });
    }
  }
}
