import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, MemoryStore, rateLimit } from 'express-rate-limit';
import { Problem } from './problems.ts';
import { tokenOf } from './token.ts';

/** How often one address may ask, per minute, and how much is done at the same time. */
export interface Limits {
  /** for one box */
  perBox: number;
  /** with a code that no box has, or with a key that is not good: above that it is guessing */
  failures: number;
  /** with events, from all addresses, at the same time: each may hold a body of a MiB and waits for the store */
  inFlight: number;
}
export const DEFAULT_LIMITS: Limits = { perBox: 120, failures: 120, inFlight: 128 };

const MINUTE = 60_000;
const tooMany = (seconds = '60'): Problem =>
  new Problem('TOO_MANY_REQUESTS', { headers: { 'Retry-After': seconds } });
const addressOf = (req: Request): string => ipKeyGenerator(req.ip ?? '');

/** For the routes of a box: how often one address asks for one box. */
export const limitPerBox = ({ perBox }: Limits): RequestHandler =>
  rateLimit({
    windowMs: MINUTE,
    limit: perBox,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    identifier: 'box',
    keyGenerator: (req) => `${addressOf(req)} ${tokenOf(req) ?? ''}`,
    handler: () => {
      throw tooMany();
    },
  });

/**
 * Stops an address that was often answered with this status: 401 where keys are tried, 404 where codes are. Counts when the
 * answer is known: rateLimit's own way counts every request under way as failed, and a centre's scanners share an address.
 */
export function limitFailures({ failures }: Limits, status: 401 | 404): RequestHandler {
  const failed = new MemoryStore();
  failed.init({ windowMs: MINUTE } as Parameters<MemoryStore['init']>[0]);
  return async (req, res, next) => {
    const address = addressOf(req);
    const seen = await failed.get(address);
    if (seen && seen.totalHits >= failures) throw tooMany();
    res.once('finish', () => {
      if (res.statusCode === status) void failed.increment(address);
    });
    next();
  };
}

/** Bounds how many requests of a route are under way: one more is told to come again at once, before its body is read. */
export function limitInFlight({ inFlight }: Limits): RequestHandler {
  let underWay = 0;
  return (_req, res, next) => {
    if (underWay >= inFlight) throw tooMany('1');
    underWay++;
    res.once('close', () => underWay--);
    next();
  };
}
