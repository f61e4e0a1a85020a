import type { RequestHandler } from 'express';
import type { Service } from '../service.ts';

/** GET /healthz: the process answers. */
export const getHealthz: RequestHandler = (_req, res) => {
  res.json({ alive: true });
};

/**
 * GET /readyz: whether requests should be sent here. The store decides alone: where the ledger is down, scanning goes on, and
 * taking the service away for it would stop what still works.
 */
export const getReadyz =
  (service: Service): RequestHandler =>
  async (_req, res) => {
    const health = await service.health();
    res.status(health.store ? 200 : 503).json({ ready: health.store, ...health });
  };
