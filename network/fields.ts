/** A value that is an object with exactly these fields. Throws a sentence that names the field where it is not. */
export function object(
  value: unknown,
  name: string,
  required: string[],
  optional: string[] = [],
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${name} must be an object`);
  const fields = Object.fromEntries(Object.entries(value));
  for (const field of required) if (!(field in fields)) throw new Error(`${name} lacks ${field}`);
  for (const field of Object.keys(fields)) {
    if (!required.includes(field) && !optional.includes(field))
      throw new Error(`${name} has an unknown field ${field}`);
  }
  return fields;
}

/** A field that is a text, and not an empty one. Throws a sentence that names it where it is not. */
export function text(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string' || value === '') throw new Error(`${name} must be a text`);
  return value;
}
