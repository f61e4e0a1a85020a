import * as z from 'zod/mini';
import { int } from '../rules/fields.ts';

// What names a place on an EVM chain, each in one spelling.

/** A chain's id (CAIP-2 in the namespace eip155): `eip155:1`. */
export const chainId = z.string().check(z.regex(/^eip155:[1-9][0-9]{0,31}$/));
/** A contract's address: 20 bytes, lower-case hex. */
export const address = z.string().check(z.regex(/^0x[0-9a-f]{40}$/));
/** A block by its number and hash: 32 bytes, lower-case hex. */
export const block = z.strictObject({
  number: int(0, Number.MAX_SAFE_INTEGER),
  hash: z.string().check(z.regex(/^0x[0-9a-f]{64}$/)),
});
/** A block as a reader names it who has it from elsewhere than the bundle. */
export type KnownBlock = z.infer<typeof block>;
