const said = new Set<string>();

/** Says that tests were left out because this machine lacks what they need, once for each reason. */
export function leftOut(what: string, why: string): void {
  said.add(`${what}: ${why}`);
}

/** Leaves out the running test or suite, and says so. */
export function leaveOut(test: Mocha.Context, what: string, why: string): never {
  leftOut(what, why);
  return test.skip();
}

/** Leaves out the running suite where LONG=1 does not ask for what takes minutes and is a second profile of another suite. */
export function needsTime(test: Mocha.Context, what: string, minutes: number): void {
  if (process.env['LONG'] !== '1') leaveOut(test, what, `it takes ${minutes} minutes more; LONG=1 runs it`);
}

/** What was left out so far: the runner prints it at the end, where somebody sees it. */
export const leftOutReasons = (): string[] => [...said];

/** Whether tests that need this may not be left out: YAOJI_REQUIRE is a list such as `browser,postgres`. */
export const isRequired = (what: string): boolean =>
  (process.env['YAOJI_REQUIRE'] ?? '').split(/[\s,]+/).includes(what);
