import { appendFileSync } from 'node:fs';

const said = new Set<string>();

/**
 * Says that tests were left out because this machine lacks what they need, once for each reason. Mocha prints skipped tests
 * somewhere in the middle; the runner prints these lines at the end, from the file that YAOJI_LEFT_OUT names.
 */
export function leftOut(what: string, why: string): void {
  const line = `${what}: ${why}`;
  if (said.has(line)) return;
  said.add(line);
  const file = process.env['YAOJI_LEFT_OUT'];
  if (file) appendFileSync(file, `${line}\n`);
}

/** Whether tests that need this may not be left out: YAOJI_REQUIRE is a list such as `browser,postgres`. */
export const isRequired = (what: string): boolean =>
  (process.env['YAOJI_REQUIRE'] ?? '').split(/[\s,]+/).includes(what);
