import type { ProcessCheckId } from './checks.ts';
import { outside, type RuleSet } from './rule-sets.ts';
import { boiledFor, type FulOwn } from './state.ts';

/**
 * What the trail itself shows to be missing or outside the rules when quality control looks at it (process reference 2.7:
 * FIRST, LATE, BOIL-2, and everything that the plan asked for). Sorted check ids, each once. A PASS needs none of them, a
 * CONCESSION closes all.
 */
export function openFindings(own: FulOwn, rules: RuleSet): ProcessCheckId[] {
  const { plan } = own;
  const found = new Set<ProcessCheckId>();
  const add = (broken: boolean, check: ProcessCheckId): void => void (broken && found.add(check));

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
    const firstBoiled = boiledFor(first);
    const secondBoiled = second && boiledFor(second);
    if (firstBoiled !== undefined && secondBoiled !== undefined) add(secondBoiled >= firstBoiled, 'BOIL_2');
  }
  return [...found].sort();
}
