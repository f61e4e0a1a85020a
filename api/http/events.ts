import { pointer, type Json } from '@yaoji/chaincode/core';
import type { RequestHandler } from 'express';
import type { Service } from '../service.ts';
import { jsonOf } from './body.ts';
import { itemReply, Problem, sendProblem } from './problems.ts';
import { contextOf, principalOf } from './context.ts';

/** A request may carry this many events. */
export const MAX_EVENTS = 500;

/** POST /v1/events: one event, or {"events": […]} with an answer for each, in order. */
export const postEvents =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const { items, many } = itemsOf(jsonOf(req));
    const answers = await service.receive(principalOf(res), items);
    const replies = answers.map((answer, i) =>
      itemReply(answer, items[i]!, many ? pointer(['events', i]) : '', contextOf(res).traceId),
    );
    if (many) {
      res.json({ answers: replies });
      return;
    }
    const reply = replies[0]!;
    if ('problem' in reply) {
      sendProblem(res, reply.problem);
      return;
    }
    const { station, n } = reply.receipt;
    res.status(reply.status).location(`/v1/receipts/${station}/${n}`).json(reply.receipt);
  };

function itemsOf(body: Json): { items: readonly Json[]; many: boolean } {
  if (typeof body !== 'object' || Array.isArray(body) || !Object.hasOwn(body, 'events'))
    return { items: [body], many: false };
  const { events, ...others } = body;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw new Problem('FIELD_UNKNOWN', { pointer: pointer([unknown]) });
  if (!Array.isArray(events)) throw new Problem('VALUE_BAD', { pointer: '/events' });
  if (events.length < 1 || events.length > MAX_EVENTS)
    throw new Problem('EVENTS_COUNT', { pointer: '/events' });
  return { items: events, many: true };
}

const NUMBER = /^[1-9][0-9]{0,15}$/;

/** GET /v1/receipts/{station}/{n}: what became of an event. The same answer for one that is not there and one of others. */
export const getReceipt =
  (service: Service): RequestHandler<{ station: string; n: string }> =>
  async ({ params: { station, n } }, res) => {
    const number = NUMBER.test(n) ? Number(n) : NaN;
    const receipt = Number.isSafeInteger(number)
      ? await service.receipt(principalOf(res), station, number)
      : undefined;
    if (!receipt) throw new Problem('RECEIPT_UNKNOWN');
    res.json(receipt);
  };
