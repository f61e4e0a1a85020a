import { parseToken, TraceError } from '@yaoji/chaincode/core';
import type { Request } from 'express';

/** The token in a request's path, as somebody scanned or typed it; undefined where it cannot be one. */
export function tokenOf(req: Request): string | undefined {
  try {
    return parseToken(String(req.params['token']));
  } catch (error) {
    if (error instanceof TraceError) return undefined;
    throw error;
  }
}
