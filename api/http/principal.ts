import type { RequestHandler } from 'express';
import type { Principal, Service } from '../service.ts';
import { Problem } from './problems.ts';
import { contextOf } from './context.ts';

const BEARER = /^Bearer +([A-Za-z0-9._-]{1,200})$/i;

/**
 * Lets callers pass whose API key (`Authorization: Bearer id.secret`) has this role, or any. With 'optional' callers without a
 * key pass as well; a key that is given must be good all the same.
 */
export const authenticate =
  (service: Service, role: Principal['role'] | 'any' | 'optional'): RequestHandler =>
  async (req, res, next) => {
    const header = req.get('authorization');
    if (header === undefined) {
      if (role !== 'optional')
        throw new Problem('API_KEY_MISSING', { headers: { 'WWW-Authenticate': 'Bearer realm="yaoji"' } });
      next();
      return;
    }
    const key = BEARER.exec(header)?.[1];
    const principal = key === undefined ? undefined : await service.principal(key);
    if (!principal)
      throw new Problem('API_KEY_BAD', {
        headers: { 'WWW-Authenticate': 'Bearer realm="yaoji", error="invalid_token"' },
      });
    contextOf(res).principal = principal;
    if ((role === 'recorder' || role === 'registrar') && principal.role !== role)
      throw new Problem('API_KEY_ROLE_WRONG', { detail: `this needs the key of a ${role}` });
    next();
  };
