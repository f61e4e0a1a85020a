import type { RequestHandler } from 'express';
import type { Service } from '../service.ts';
import { principalOf } from './context.ts';
import { Problem } from './problems.ts';

/** POST /v1/anchors: publishes now what is recorded, for a regulator or an organisation's registrar: it costs money. */
export const postAnchor =
  (service: Service): RequestHandler =>
  async (_req, res) => {
    const { kind, role } = principalOf(res);
    if (kind !== 'regulator' && role !== 'registrar')
      throw new Problem('API_KEY_ROLE_WRONG', { detail: "this needs a registrar's key, or a regulator's" });
    const answer = await service.demandAnchor();
    if (answer.seq !== undefined) res.location(`/v1/anchors/${answer.seq}`);
    res.status(202).json(answer);
  };

const NUMBER = /^[1-9][0-9]{0,15}$/;

/** GET /v1/anchors/{seq}: what has become of an anchor. */
export const getAnchor =
  (service: Service): RequestHandler<{ seq: string }> =>
  async ({ params: { seq } }, res) => {
    const number = NUMBER.test(seq) ? Number(seq) : NaN;
    const anchor = Number.isSafeInteger(number) ? await service.anchor(number) : undefined;
    if (!anchor) throw new Problem('ANCHOR_UNKNOWN');
    const { keptAt, ...state } = anchor;
    res.json({ ...state, keptAt: new Date(keptAt).toISOString() });
  };
