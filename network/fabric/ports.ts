import { once } from 'node:events';
import { createServer } from 'node:net';

export const HOST = '127.0.0.1';

// Below the ports that systems give to outgoing connections: one of those could sit on ours after a restart.
const FIRST = 20_000;
const LAST = 32_000;

/** That many free ports on 127.0.0.1, each another. They are looked up, not held. Throws when there are not enough. */
export async function choosePorts(count: number): Promise<number[]> {
  const chosen: number[] = [];
  const from = FIRST + Math.floor(Math.random() * (LAST - FIRST));
  for (let i = 0; i < LAST - FIRST && chosen.length < count; i++) {
    const port = FIRST + ((from - FIRST + i) % (LAST - FIRST));
    if (await isFree(port)) chosen.push(port);
  }
  if (chosen.length < count) throw new Error(`this machine has no ${count} free ports`);
  return chosen;
}

/** Whether nobody listens at a port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, HOST);
  try {
    await once(probe, 'listening');
  } catch {
    return false;
  }
  probe.close();
  await once(probe, 'close');
  return true;
}
