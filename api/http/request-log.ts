import { randomBytes } from 'node:crypto';
import type { RequestHandler } from 'express';
import { contextOf, type Log } from './context.ts';

/**
 * Names each request and writes one line when it is over. Its route, never its URL: a token in a path is a secret. Never a
 * body, and of an API key only the id.
 */
export const requestLog =
  (log: Log): RequestHandler =>
  (req, res, next) => {
    const context = contextOf(res);
    context.traceId = randomBytes(16).toString('hex');
    const started = performance.now();
    res.on('close', () => {
      const { traceId, principal } = context;
      const route: unknown = (req.route as { path?: unknown } | undefined)?.path;
      log.info(
        {
          method: req.method,
          route: typeof route === 'string' ? route : 'none',
          status: res.statusCode,
          ms: Math.round(performance.now() - started),
          traceId,
          ...(principal ? { principal: principal.id } : {}),
          ...(res.writableFinished ? {} : { aborted: true }),
        },
        'request',
      );
    });
    next();
  };
