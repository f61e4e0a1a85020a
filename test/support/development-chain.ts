import { readdirSync, readFileSync } from 'node:fs';

/** The process of the anvil that serves this URL, as /proc tells it; undefined when there is none at the moment. */
export function anvilPid(rpc: string): number | undefined {
  const port = `--port=${new URL(rpc).port}`;
  const found = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const [program = '', ...args] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      // Its keeper has the same arguments, and more.
      return program.endsWith('anvil') && args.includes(port);
    } catch {
      // It ended while we looked.
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}

/** Ends the anvil behind this URL as a crash would. Throws when there is none. */
export function killAnvil(rpc: string): void {
  const pid = anvilPid(rpc);
  if (pid === undefined) throw new Error(`no anvil serves ${rpc}`);
  process.kill(pid, 'SIGKILL');
}

/** Asks a node with plain JSON-RPC; throws its error. */
export async function askNode(rpc: string, method: string, ...params: unknown[]): Promise<unknown> {
  const response = await fetch(rpc, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}
