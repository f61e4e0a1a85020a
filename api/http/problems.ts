import type { ErrorRequestHandler, Request, Response } from 'express';
import { invariant, pointer as pointerTo, type Json, type Refusal } from '@yaoji/chaincode/core';
import { isProblemCode, PROBLEM_TITLES, type ProblemCode } from '@yaoji/web/words/problems';
import type * as z from 'zod/mini';
import {
  ChainAbsent,
  LedgerUnavailable,
  QueueFull,
  RegistrationRefused,
  StoreUnavailable,
  type ItemAnswer,
  type Receipt,
  type Rejection,
} from '../service.ts';
import { schemaFaults } from '../schema-faults.ts';
import { contextOf, type Log } from './context.ts';

// Every answer that is not what was asked for: RFC 9457, with a stable code, titles in both languages, and where the fault
// lies in a body, JSON pointers (RFC 6901). What somebody sent is never echoed, and no stack leaves the process.

type OwnCode = Exclude<ProblemCode, Refusal>;

/**
 * Code → HTTP status, where nothing was stored. A refusal that is not named is a conflict with what is recorded: 409, as
 * every refusal that *was* stored with its event. A bad signature is 422, not 401: the caller's API key was good, and it
 * is the content that does not hold.
 */
const STATUS: Readonly<Record<OwnCode, number> & Partial<Record<Refusal, number>>> = {
  REQUEST_MALFORMED: 400,
  NONCE_BAD: 400,
  BODY_NOT_UTF8: 400,
  BODY_NOT_JSON: 400,
  JSON_NOT_STRICT: 400,
  JSON_DUPLICATE_NAME: 400,

  API_KEY_MISSING: 401,
  API_KEY_BAD: 401,

  API_KEY_ROLE_WRONG: 403,
  PRINCIPAL_FOREIGN: 403,
  STATION_FOREIGN: 403,
  STATION_REVOKED: 403,
  ROLE_NOT_ALLOWED: 403,
  MEMBER_UNKNOWN: 403,
  NOT_A_CENTRE: 403,

  ROUTE_UNKNOWN: 404,
  PACKAGE_UNKNOWN: 404,
  RECEIPT_UNKNOWN: 404,
  ANCHOR_UNKNOWN: 404,
  METHOD_NOT_ALLOWED: 405,

  N_CONFLICT: 409,
  STATION_EXISTS: 409,
  REGISTRATION_REFUSED: 409,
  CHAIN_ABSENT: 409,

  BODY_TOO_LARGE: 413,
  BODY_TYPE_WRONG: 415,

  FIELD_UNKNOWN: 422,
  FIELD_MISSING: 422,
  VALUE_BAD: 422,
  EVENTS_COUNT: 422,
  ITEM_MALFORMED: 422,
  ENTRY_MALFORMED: 422,
  DISCLOSURE_FOREIGN: 422,
  SIGNATURE_BAD: 422,
  STATION_NOT_HOSTED: 422,
  STATION_UNKNOWN: 422,
  SITE_UNKNOWN: 422,
  TIME_FUTURE: 422,
  TIME_TOO_OLD: 422,
  KEY_BAD: 422,

  TOO_MANY_REQUESTS: 429,
  INTERNAL: 500,
  LEDGER_UNAVAILABLE: 503,
  STORE_UNAVAILABLE: 503,
  QUEUE_FULL: 503,
};

/** The HTTP status of a problem with this code where nothing was stored. */
export const statusOf = (code: ProblemCode): number => STATUS[code] ?? 409;

/** One fault in a body. */
export interface Fault {
  code: ProblemCode;
  /** RFC 6901, from the body's root */
  pointer: string;
  detail: string;
}

/** A problem as it is sent. */
export interface ProblemBody {
  type: string;
  title: string;
  titles: { zh: string; en: string };
  status: number;
  code: ProblemCode;
  traceId: string;
  detail?: string;
  pointer?: string;
  errors?: Fault[];
  receipt?: Receipt;
}

interface ProblemOptions {
  detail?: string;
  pointer?: string;
  errors?: Fault[];
  receipt?: Receipt;
  status?: number;
  headers?: Readonly<Record<string, string>>;
}

/** Thrown where a request cannot be answered as asked; the error middleware makes the answer. */
export class Problem extends Error {
  override name = 'Problem';
  readonly code: ProblemCode;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, options: ProblemOptions = {}) {
    super(code);
    this.code = code;
    this.options = options;
  }

  get status(): number {
    return this.options.status ?? statusOf(this.code);
  }

  /** What is sent. */
  body(traceId: string): ProblemBody {
    const { detail, pointer, errors, receipt } = this.options;
    return {
      type: `/problems/${this.code}`,
      title: PROBLEM_TITLES[this.code].zh,
      titles: PROBLEM_TITLES[this.code],
      status: this.status,
      code: this.code,
      traceId,
      ...(detail === undefined ? {} : { detail }),
      ...(pointer === undefined ? {} : { pointer: shortened(pointer) }),
      ...(errors === undefined ? {} : { errors }),
      ...(receipt === undefined ? {} : { receipt }),
    };
  }
}

const MAX_POINTER = 256;

/** A pointer holds names from the body, so it may be as long as the body: cut to the nearest place that is not. */
const shortened = (pointer: string): string =>
  pointer.length <= MAX_POINTER ? pointer : pointer.slice(0, pointer.lastIndexOf('/', MAX_POINTER));

const MAX_FAULTS = 20;

/** The problem that a schema's issues make: the first one's code and pointer, and all of them where there are several. */
export function schemaProblem(error: z.core.$ZodError, body: Json): Problem {
  const faults = schemaFaults(error, body).map(({ code, path }): Fault => ({
    code,
    pointer: shortened(pointerTo(path)),
    detail: PROBLEM_TITLES[code].en,
  }));
  const [first] = faults;
  invariant(first, 'an error of a schema has an issue');
  const { code, ...where } = first;
  return new Problem(code, faults.length > 1 ? { ...where, errors: faults.slice(0, MAX_FAULTS) } : where);
}

/** The problem of an item that was not stored. `prefix`: the JSON pointer of the item in the body. */
export const rejectionProblem = ({ code, pointer, detail }: Rejection, prefix: string): Problem =>
  new Problem(code, { detail, pointer: prefix + pointer });

// Where in an item a refusal points; any other is about the step.
const PLACES: Readonly<Partial<Record<Refusal, string>>> = {
  ENTRY_MALFORMED: '',
  STATION_UNKNOWN: '/station',
  STATION_FOREIGN: '/station',
  STATION_REVOKED: '/station',
  N_USED: '/n',
  N_TOO_OLD: '/n',
  SITE_UNKNOWN: '/site',
  RULES_UNKNOWN: '/site',
  TIME_FUTURE: '/time',
  TIME_TOO_OLD: '/time',
  TIME_ORDER: '/time',
  DURATION_IMPOSSIBLE: '/time',
  TOO_EARLY: '/time',
  SUBJECT_EXISTS: '/subject',
  SUBJECT_UNKNOWN: '/subject',
  SUBJECT_WRONG_KIND: '/subject',
  LINK_UNKNOWN: '/links',
  PRESCRIPTION_NOT_ROUTED: '/links',
  PRESCRIPTION_REVOKED: '/links',
  PRESCRIPTION_EXPIRED: '/links',
  PRESCRIPTION_USED: '/links',
  CENTRE_NOT_NAMED: '/links',
  DEVICE_BUSY: '/links',
  DEVICE_DIRTY: '/links',
  DEVICE_DIFFERS: '/links',
};

/** The problem of an event that is stored and was refused: always 409, with its receipt. */
export function refusalProblem(receipt: Receipt, item: Json, prefix: string): Problem {
  invariant(receipt.code, 'a refused event has a code');
  const part = typeof item === 'object' && Object.hasOwn(item, 'statement') ? 'statement' : 'entry';
  return new Problem(receipt.code, {
    status: 409,
    detail: `refused by the ${receipt.by ?? 'ledger'}; the event is stored with this code`,
    pointer: `${prefix}/${part}${PLACES[receipt.code] ?? '/step'}`,
    receipt,
  });
}

/** The answer for one item of a request. */
export type ItemReply = { status: number; receipt: Receipt } | { status: number; problem: ProblemBody };

/** What one item's answer is over HTTP: 200 settled, 202 no verdict yet, otherwise a problem. */
export function itemReply(answer: ItemAnswer, item: Json, prefix: string, traceId: string): ItemReply {
  const problem = answer.rejection
    ? rejectionProblem(answer.rejection, prefix)
    : answer.receipt.outcome === 'refused' && refusalProblem(answer.receipt, item, prefix);
  if (problem) return { status: problem.status, problem: problem.body(traceId) };
  invariant(answer.receipt, 'an answer has a receipt or a rejection');
  return { status: answer.receipt.outcome === 'settled' ? 200 : 202, receipt: answer.receipt };
}

/** Sends a problem. */
export function sendProblem(res: Response, problem: ProblemBody): void {
  res.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

/** The one place where an error becomes an answer. */
export const errorHandler =
  (log: Log): ErrorRequestHandler =>
  (error: unknown, _req: Request, res: Response, _next: unknown): void => {
    const { traceId } = contextOf(res);
    const problem = toProblem(error);
    if (problem.status >= 500) log.error({ traceId, ...witness(error) }, problem.code);
    if (res.headersSent) {
      // The answer is under way: cutting it off is the only way left to say that it is not whole.
      res.destroy();
      return;
    }
    res.set(problem.options.headers ?? {});
    sendProblem(res, problem.body(traceId));
  };

const RETRY_AFTER_SECONDS = '5';
const later = (code: ProblemCode): Problem =>
  new Problem(code, { headers: { 'Retry-After': RETRY_AFTER_SECONDS } });

function toProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof LedgerUnavailable) return later('LEDGER_UNAVAILABLE');
  if (error instanceof StoreUnavailable) return later('STORE_UNAVAILABLE');
  if (error instanceof ChainAbsent) return new Problem('CHAIN_ABSENT');
  if (error instanceof QueueFull) return later('QUEUE_FULL');
  if (error instanceof RegistrationRefused)
    return isProblemCode(error.code)
      ? new Problem(error.code, { pointer: REGISTRATION_PLACES[error.code] ?? '' })
      : new Problem('REGISTRATION_REFUSED', { detail: error.code });
  const { status, type } = error as { status?: unknown; type?: unknown };
  if (type === 'entity.too.large') return new Problem('BODY_TOO_LARGE');
  if (type === 'encoding.unsupported') return new Problem('BODY_TYPE_WRONG');
  // What Express and body-parser say of a request that they cannot read: a bad escape in the path, a body cut short.
  if (typeof status === 'number' && status >= 400 && status < 500) return new Problem('REQUEST_MALFORMED');
  return new Problem('INTERNAL');
}

const REGISTRATION_PLACES: Readonly<Partial<Record<ProblemCode, string>>> = {
  KEY_BAD: '/key',
  ROLE_NOT_ALLOWED: '/roles',
  SITE_UNKNOWN: '/site',
  STATION_EXISTS: '/station',
  STATION_UNKNOWN: '/station',
  SUBJECT_EXISTS: '/device',
};

/**
 * What the log says of an error: its class, code and where it was thrown. Not its message: those of JSON.parse and of
 * PostgreSQL quote what was sent.
 */
function witness(error: unknown): { error: string; code?: unknown; frames: string[]; cause?: object } {
  if (!(error instanceof Error)) return { error: typeof error, frames: [] };
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return {
    error: error.name,
    ...('code' in error ? { code: error.code } : {}),
    frames: frames.slice(0, 12).map((line) => line.trim()),
    ...(error.cause === undefined ? {} : { cause: witness(error.cause) }),
  };
}
