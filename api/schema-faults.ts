import type * as z from 'zod/mini';

/** What is wrong at one place of a value that does not fit its schema. */
export interface SchemaFault {
  code: 'FIELD_UNKNOWN' | 'FIELD_MISSING' | 'VALUE_BAD';
  path: readonly PropertyKey[];
  message: string;
}

/** The faults that a schema found in a value, in its order; each unknown field is one of its own. */
export const schemaFaults = ({ issues }: z.core.$ZodError, value: unknown): SchemaFault[] =>
  issues.flatMap((issue): SchemaFault[] => {
    const { path, message } = issue;
    if (issue.code === 'unrecognized_keys')
      return issue.keys.map((key) => ({ code: 'FIELD_UNKNOWN', path: [...path, key], message }));
    return [{ code: isThere(value, path) ? 'VALUE_BAD' : 'FIELD_MISSING', path, message }];
  });

function isThere(value: unknown, path: readonly PropertyKey[]): boolean {
  let inside: unknown = value;
  for (const step of path) {
    if (typeof inside !== 'object' || inside === null || !Object.hasOwn(inside, step)) return false;
    inside = (inside as Record<PropertyKey, unknown>)[step];
  }
  return true;
}
