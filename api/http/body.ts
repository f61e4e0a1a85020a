import { fromUtf8, parseJson, TraceError, type Json } from '@yaoji/chaincode/core';
import type { ProblemCode } from '@yaoji/web/words/problems';
import { raw, type RequestHandler } from 'express';
import { Problem } from './problems.ts';

/** A body may be this long, in bytes. */
export const MAX_BODY = 1 << 20;

const JSON_TYPE = /^application\/json(\s*;\s*charset="?utf-8"?)?\s*$/i;

const requireJson: RequestHandler = (req, _res, next) => {
  if (!JSON_TYPE.test(req.get('content-type') ?? '')) throw new Problem('BODY_TYPE_WRONG');
  next();
};

/**
 * Reads a body as bytes, for `jsonOf`. Never express.json: JSON.parse lets the last of two equal names win, so that what was
 * checked and what was meant could differ; and a compressed body could be far longer than its limit.
 */
export const readBody: RequestHandler[] = [
  requireJson,
  raw({ type: () => true, limit: MAX_BODY, inflate: false }),
];

/** The value of a body that `readBody` read: strict UTF-8, strict JSON. Throws a Problem with the place. */
export function jsonOf({ body }: { body: unknown }): Json {
  const text = textOf(body instanceof Uint8Array ? body : new Uint8Array());
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new Problem(problemOf(error, text), {
      detail: error.message,
      pointer: error.place,
    });
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    throw new Problem('BODY_NOT_UTF8');
  }
}

function problemOf({ code }: TraceError, text: string): ProblemCode {
  if (!isJson(text)) return 'BODY_NOT_JSON';
  return code === 'JSON_DUPLICATE_NAME' ? code : 'JSON_NOT_STRICT';
}

/** Whether the text is JSON at all, however loose: it decides only what the caller is told. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
