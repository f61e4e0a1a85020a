import { fromBase64, toBase64 } from './bytes.ts';
import { TraceError } from './error.ts';

/**
 * A log at one size, as C2SP tlog-checkpoint writes it, without extension lines:
 *
 *     yaoji-local/DecoctionMSP
 *     20852163
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 */
export interface Checkpoint {
  origin: string;
  size: number;
  /** 32 bytes */
  root: Uint8Array;
}

/** The origin of an organisation's log: the channel and the organisation's id on it. */
export const originOf = (channel: string, org: string): string => `${channel}/${org}`;

export function printCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${toBase64(root)}\n`;
}

/** Throws CHECKPOINT_MALFORMED for any text that printCheckpoint would not write. */
export function parseCheckpoint(text: string): Checkpoint {
  const malformed = (cause?: unknown): TraceError =>
    new TraceError('CHECKPOINT_MALFORMED', 'this is not a checkpoint in its one form', { cause });
  const [origin, size, root, end, ...more] = text.split('\n');
  if (!origin || !size || !root || end !== '' || more.length) throw malformed();
  let checkpoint: Checkpoint;
  try {
    checkpoint = { origin, size: Number(size), root: fromBase64(root) };
  } catch (cause) {
    throw malformed(cause);
  }
  if (!Number.isSafeInteger(checkpoint.size) || checkpoint.size < 0 || checkpoint.root.length !== 32)
    throw malformed();
  // Number('1e3') and Number(' 7') must not pass: what is read must print back.
  if (printCheckpoint(checkpoint) !== text) throw malformed();
  return checkpoint;
}
