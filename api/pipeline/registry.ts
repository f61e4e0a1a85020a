import { failpoint } from '../failpoints.ts';
import { readState } from '../ledger/view.ts';
import { isUnavailable } from '../ledger/errors.ts';
import type { Db } from '../store/pool.ts';
import { readWorld, writeRegistered } from '../store/world.ts';
import type { Pipeline } from './context.ts';

// Members, sites, stations and devices come onto the ledger through registrations, not through batches: what the mirror
// lacks of them is read from the ledger once.
const REGISTERED = /^(?:member|site|station)~/;

/**
 * Sees to it that the mirror holds what the ledger has under the registry keys among these. An unreachable ledger changes
 * nothing: scanning goes on with what is known.
 */
export async function mirrorRegistry(
  { pool, ledger, mirrored, log }: Pipeline,
  org: string,
  keys: readonly string[],
): Promise<void> {
  const asked = keys.filter((key) => REGISTERED.test(key) && !mirrored.has(key));
  if (asked.length === 0) return;
  const known = await readWorld(pool, asked);
  for (const key of asked) if (known.get(key) !== undefined) mirrored.add(key);
  const missing = asked.filter((key) => !mirrored.has(key));
  if (missing.length === 0) return;
  try {
    const registry = await readState(ledger, org, missing);
    failpoint('registry-read');
    await writeRegistered(pool, registry);
    failpoint('registry-written');
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    log({ level: 'warn', what: 'registry not read: the ledger is unreachable' });
  }
}

/** Reads keys of one organisation's registry anew, after a registration changed them. */
export async function refreshRegistry(
  { ledger }: Pipeline,
  db: Db,
  org: string,
  keys: readonly string[],
): Promise<void> {
  await writeRegistered(db, await readState(ledger, org, keys));
}
