import * as z from 'zod/mini';
import { bool, id, int, list, oneOf, text } from '../rules/fields.ts';
import { ROLES, type Role } from '../rules/table.ts';

// What stands in the registry part of the ledger's state; see world.ts for the meaning.

const names = { zh: text(64), en: text(64) };
export const memberSchema = z.strictObject({
  kind: oneOf('hospital', 'decoction', 'courier', 'regulator'),
  ...names,
});
export const siteSchema = z.strictObject({ ...names, rules: id });
export const stationSchema = z.strictObject({
  org: id,
  site: id,
  roles: list(z.enum(Object.keys(ROLES) as [Role, ...Role[]]), 1, 12),
  key: z.string().check(z.regex(/^[A-Za-z0-9_-]{122}$/)),
  hosted: bool,
  enrolled: int(0, Number.MAX_SAFE_INTEGER),
  revoked: z.optional(int(0, Number.MAX_SAFE_INTEGER)),
});
