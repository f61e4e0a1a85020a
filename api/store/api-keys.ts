import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../service.ts';
import type { Db } from './pool.ts';

// API keys: `id.secret`. The secret is 256 random bits, so one SHA-256 is enough to keep it by: there is nothing to guess.

/** What a key may do, and for whom. */
export type KeyScope = Pick<Principal, 'org' | 'site' | 'role'>;

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Makes a key. Its text is given here once and is kept nowhere. */
export async function createApiKey(
  db: Db,
  { org, site, role }: KeyScope,
  expiresAt?: Date,
): Promise<{ id: string; key: string }> {
  const id = randomBytes(9).toString('base64url');
  const secret = randomBytes(32).toString('base64url');
  await db.query(
    'insert into api_key (id, secret_hash, org, site, role, expires_at) values ($1, $2, $3, $4, $5, $6)',
    [id, sha256(secret), org, site, role, expiresAt ?? null],
  );
  return { id, key: `${id}.${secret}` };
}

// No secret has this hash.
const NOBODY = Buffer.alloc(32);

/**
 * The key with this text; undefined for one that is unknown, revoked or expired, or whose secret is wrong. An unknown id
 * is compared as well, so that the time it takes does not tell which ids exist.
 */
export async function findApiKey(db: Db, text: string): Promise<(KeyScope & { id: string }) | undefined> {
  const dot = text.indexOf('.');
  const id = text.slice(0, Math.max(dot, 0));
  const { rows } = await db.query<KeyScope & { id: string; secret_hash: Buffer; usable: boolean }>(
    `select id, secret_hash, org, site, role,
       (expires_at is null or expires_at > now())
         and not exists (select from api_key_revocation as revocation where revocation.id = api_key.id) as usable
     from api_key where id = $1`,
    [id],
  );
  const [found] = rows;
  const same = timingSafeEqual(sha256(text.slice(dot + 1)), found?.secret_hash ?? NOBODY);
  if (!found || !same || !found.usable) return undefined;
  const { org, site, role } = found;
  return { id, org, site, role };
}

/** Revokes a key for good. Again: no change. */
export async function revokeApiKey(db: Db, id: string): Promise<void> {
  await db.query('insert into api_key_revocation (id) values ($1) on conflict do nothing', [id]);
}
