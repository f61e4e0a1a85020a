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

/** What of an entry says which side of which handover it is. */
export type Side = Pick<Entry, 'org' | 'subject' | 'step' | 'open'>;

/** Names the handover that an entry is a side of; undefined for all other steps. */
export const handoverOf = ({ step, subject, open }: Omit<Side, 'org'>): string | undefined =>
  step === 'HANDED_OVER' || step === 'COURIER_ACCEPTED'
    ? `${subject} ${open['handover'] as string}`
    : undefined;

/**
 * The events in the order in which they can take effect: a taker's side that arrived before its giver's stands behind it, and
 * so does what the taker recorded of that box meanwhile.
 */
export function giversFirst<T>(events: readonly T[], sideOf: (event: T) => Side): T[] {
  const toCome = new Set<string>();
  for (const side of events.map(sideOf)) if (side.step === 'HANDED_OVER') toCome.add(handoverOf(side)!);

  const ordered: T[] = [];
  const late = new Map<string, T[]>();
  const takers = new Map<string, string[]>();
  function take(event: T): void {
    const side = sideOf(event);
    const handover = handoverOf(side);
    const taker = `${side.org} ${side.subject}`;
    const before = late.get(taker);
    if (before) {
      before.push(event);
    } else if (side.step === 'COURIER_ACCEPTED' && toCome.has(handover!)) {
      late.set(taker, [event]);
      takers.set(handover!, [...(takers.get(handover!) ?? []), taker]);
    } else {
      ordered.push(event);
      if (side.step !== 'HANDED_OVER') return;
      toCome.delete(handover!);
      for (const waiting of takers.get(handover!) ?? []) {
        const those = late.get(waiting)!;
        late.delete(waiting);
        for (const one of those) take(one);
      }
    }
  }
  for (const event of events) take(event);
  // Only sides of one handover that wait for one another in a circle are left.
  return [...ordered, ...[...late.values()].flat()];
}
