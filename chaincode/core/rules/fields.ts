import * as z from 'zod/mini';
import { parseMinute } from '../time.ts';

// The kinds of fields that payloads are made of. Bounds are the HARD ones of the process reference (2.7): beyond them a value
// is impossible and refused; what is merely against the rules is accepted and becomes a deviation. Units are in the names.

/** A JSON Schema `description` travels with the schema into the API's documentation. */
function described<T extends z.ZodMiniType>(schema: T, description: string): T {
  z.globalRegistry.add(schema, { description });
  return schema;
}

export const int = (min: number, max: number) => z.int().check(z.minimum(min), z.maximum(max));
export const bool = z.boolean();
export const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) => z.enum(values);
export const text = (max: number) => z.string().check(z.minLength(1), z.maxLength(max));
export const list = <T extends z.ZodMiniType>(item: T, min: number, max: number) =>
  z.array(item).check(z.minLength(min), z.maxLength(max));
export const maybe = z.optional;

const base64url = (bytes: number) => {
  const length = Math.ceil((bytes * 4) / 3);
  // The last character carries unused bits: it must be one whose unused bits are zero, so that each value has one text.
  const last = ['[A-Za-z0-9_-]', '[AQgw]', '[AEIMQUYcgkosw048]'][bytes % 3]!;
  return z.string().check(z.regex(new RegExp(`^[A-Za-z0-9_-]{${length - 1}}${last}$`)));
};

export const key = described(base64url(16), 'the random key of a subject: 128 bits, base64url');
export const hash = described(base64url(32), '32 bytes, base64url');
export const signature = described(base64url(64), 'ECDSA P-256 over SHA-256: r ‖ s with low s, base64url');
export const id = described(
  z.string().check(z.regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)),
  'a name of up to 64 characters',
);
export const minute = described(
  z.string().check(
    z.refine((value) => {
      try {
        return parseMinute(value) >= 0;
      } catch {
        return false;
      }
    }, 'not a minute of UTC such as 2026-11-21T02:31Z'),
  ),
  'a minute of UTC, such as 2026-11-21T02:31Z',
);

export const plan = z.strictObject({
  first: bool,
  late: bool,
  wrap: bool,
  separate: bool,
  dissolve: bool,
  second: bool,
});
export const mode = oneOf('SELF', 'COURIER', 'WARD');
export const stage = oneOf('FIRST', 'SECOND');
export const tempDeciC = int(-100, 1500);
export const herbRefs = list(id, 1, 60);
export const bags = int(1, 400);
