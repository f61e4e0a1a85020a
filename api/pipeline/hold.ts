import type { Entry, State, Subject } from '@yaoji/chaincode/core';

/** How long a taker's side waits for the giver's before it is submitted to get its code, ms. */
export const HOLD_FOR = 2 * 3600_000;

/**
 * Whether this is the taker's side of a handover whose giver's side has not arrived: phones upload when they can, so either
 * side may come first. Not so when the handover is known and something else is wrong with the step.
 */
export function awaitsGiver(entry: Pick<Entry, 'step' | 'open'>, box: Subject | undefined): boolean {
  if (entry.step !== 'COURIER_ACCEPTED') return false;
  if (!box) return true;
  const { own, kind } = box.state as State<'PKG'>;
  return kind === 'PKG' && own.phase !== 'HANDED_OVER' && own.handover?.id !== entry.open['handover'];
}
