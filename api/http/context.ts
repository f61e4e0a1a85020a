import { invariant } from '@yaoji/chaincode/core';
import type { Response } from 'express';
import type { Principal } from '../service.ts';

/** What is known of a request while it is answered. */
export interface RequestContext {
  /** names this request in the log and in a problem */
  traceId: string;
  principal?: Principal;
}

/** The context of the request that this answers; `requestLog` makes it. */
export const contextOf = (res: Response): RequestContext => res.locals as RequestContext;

/** Who asks. Only behind `authenticate`. */
export function principalOf(res: Response): Principal {
  const { principal } = contextOf(res);
  invariant(principal, 'the route authenticates its caller');
  return principal;
}

/** The part of a pino logger that the HTTP side uses. */
export interface Log {
  info(facts: object, sentence: string): void;
  error(facts: object, sentence: string): void;
}
