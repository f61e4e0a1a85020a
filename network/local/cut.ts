import { status } from '@grpc/grpc-js';

import type { Faults } from './faults.ts';
import { rpcError } from './rpc.ts';

/**
 * Runs something that lasts until its signal is aborted, which happens when the client's is or when the streams are cut.
 * Throws UNAVAILABLE when they were cut, as a client sees it whose peer has gone.
 */
export async function uncut<T>(
  faults: Faults,
  client: AbortSignal,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  let isCut = false;
  const cut = (): void => {
    isCut = true;
    end();
  };
  client.addEventListener('abort', end, { once: true });
  faults.once('cut', cut);
  try {
    const result = await run(ended.signal);
    if (!isCut) return result;
  } catch (error) {
    if (!isCut) throw error;
  } finally {
    client.removeEventListener('abort', end);
    faults.off('cut', cut);
  }
  throw rpcError(status.UNAVAILABLE, 'Connection dropped');
}
