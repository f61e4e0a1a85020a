import type { RuleSet } from './rule-sets.ts';
import type { FulOwn } from './state.ts';

/**
 * What the trail itself shows to be missing or outside the rules when quality control looks at it (process reference 2.7:
 * FIRST, LATE, BOIL-2, and everything that the plan asked for). Sorted check ids, each once. A PASS needs none of them, a
 * CONCESSION closes all.
 */
export function openFindings(own: FulOwn, rules: RuleSet): string[] {
  const { plan } = own;
  const found = new Set<string>();
  const add = (broken: boolean, check: string): void => void (broken && found.add(check));

  add(plan.separate && own.separate?.ended === undefined, 'PLAN_SEPARATE');
  add(plan.dissolve && !own.dissolved, 'PLAN_DISSOLVE');
  for (const { first, second, added } of Object.values(own.runs)) {
    add(plan.first && (added.FIRST === undefined || added.MAIN === undefined), 'PLAN_FIRST');
    add(plan.late && added.LATE === undefined, 'PLAN_LATE');
    add(plan.wrap && added.WRAP === undefined, 'PLAN_WRAP');
    add(plan.second && second === undefined, 'PLAN_SECOND');
    add(
      first.firstBoil === undefined || (second !== undefined && second.firstBoil === undefined),
      'NO_BOIL_MARK',
    );

    if (plan.first && added.MAIN !== undefined && first.firstBoil !== undefined)
      add(outside(added.MAIN - first.firstBoil, rules.firstLead), 'FIRST');
    if (plan.late && added.LATE !== undefined && first.ended !== undefined)
      add(outside(first.ended - added.LATE, rules.lateBeforeEnd), 'LATE');
    const firstBoiled = boiled(first);
    const secondBoiled = second && boiled(second);
    if (firstBoiled !== undefined && secondBoiled !== undefined) add(secondBoiled >= firstBoiled, 'BOIL_2');
  }
  return [...found].sort();
}

const outside = (value: number, { min, max }: { min: number; max: number }): boolean =>
  value < min || value > max;

/** Minutes from the last boil mark to the end. */
function boiled({ lastBoil, ended }: { lastBoil?: number; ended?: number }): number | undefined {
  return lastBoil === undefined || ended === undefined ? undefined : ended - lastBoil;
}
