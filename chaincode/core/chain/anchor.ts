import * as z from 'zod/mini';
import { fromBase64url, utf8 } from '../bytes.ts';
import { originOf, parseCheckpoint, printCheckpoint, type Checkpoint } from '../checkpoint.ts';
import { TraceError } from '../error.ts';
import { at as keyOf } from '../ledger/world.ts';
import { append, EMPTY, leafHash, root } from '../merkle.ts';
import { hash, int } from '../rules/fields.ts';
import type { Suite } from '../suite.ts';

/** The part of a log (ledger/world.ts) that a checkpoint is made of. */
const logSchema = z.object({ size: int(0, Number.MAX_SAFE_INTEGER), root: hash });
const LOG = keyOf.log('');

/**
 * The checkpoints of the logs in a view's values, sorted by origin (UTF-16 code units). Keys of other things and logs that do
 * not exist yet are left out. Throws VIEW_MALFORMED for a value that is no log or an organisation that no origin can name.
 */
export function checkpointsOf(values: ReadonlyMap<string, unknown>, channel: string): Checkpoint[] {
  const checkpoints: Checkpoint[] = [];
  for (const [key, value] of values) {
    if (!key.startsWith(LOG) || value === undefined) continue;
    const log = logSchema.safeParse(value);
    if (!log.success) throw new TraceError('VIEW_MALFORMED', `the view's ${key} is not a log`);
    const { size, root: rootHash } = log.data;
    const checkpoint = {
      origin: originOf(channel, key.slice(LOG.length)),
      size,
      root: fromBase64url(rootHash),
    };
    try {
      parseCheckpoint(printCheckpoint(checkpoint));
    } catch (cause) {
      if (!(cause instanceof TraceError)) throw cause;
      throw new TraceError('VIEW_MALFORMED', `${key} names no log that has checkpoints`, { cause });
    }
    checkpoints.push(checkpoint);
  }
  return checkpoints.sort((a, b) => (a.origin < b.origin ? -1 : 1));
}

/**
 * What the chain is shown of a set of checkpoints: the RFC 6962 tree hash (§2.1) over their printed texts, in the order of
 * checkpointsOf. So one organisation's checkpoint can be shown to be on the chain without the others'.
 */
export function anchorRoot(checkpoints: readonly Checkpoint[], sha256: Suite['sha256']): Uint8Array {
  let frontier = EMPTY;
  for (const checkpoint of checkpoints)
    frontier = append(frontier, leafHash(utf8(printCheckpoint(checkpoint)), sha256), sha256);
  return root(frontier, sha256);
}
