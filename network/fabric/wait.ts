import { setTimeout as sleep } from 'node:timers/promises';

/** Tries until it succeeds; throws the last error, with what was tried, when that takes longer than the limit (ms). */
export async function insist<T>(
  what: string,
  limitMs: number,
  attempt: () => Promise<T>,
  pauseMs = 100,
): Promise<T> {
  for (const deadline = Date.now() + limitMs; ; await sleep(pauseMs)) {
    try {
      return await attempt();
    } catch (cause) {
      if (Date.now() > deadline) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${what}: not within ${limitMs / 1000} s: ${why}`, { cause });
      }
    }
  }
}
