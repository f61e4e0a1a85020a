/** Why input was not what it should be. Verdicts on well-formed entries are not errors: they are codes of rules/needs. */
export type TraceErrorCode =
  | 'ENCODING_BAD'
  | 'JSON_BAD'
  | 'JSON_DUPLICATE_NAME'
  | 'JSON_NOT_CANONICAL'
  | 'VALUE_NOT_ALLOWED'
  | 'ENTRY_MALFORMED'
  | 'RECORD_MALFORMED'
  | 'DISCLOSURE_MALFORMED'
  | 'DISCLOSURE_FOREIGN'
  | 'CHECKPOINT_MALFORMED'
  | 'PROOF_MALFORMED'
  | 'PROOF_WRONG'
  | 'SIGNATURE_MALFORMED'
  | 'PROTOBUF_MALFORMED'
  | 'DER_MALFORMED'
  | 'RLP_MALFORMED'
  | 'CERTIFICATE_MALFORMED'
  | 'VIEW_MALFORMED'
  | 'BUNDLE_MALFORMED'
  | 'TRUST_MALFORMED'
  | 'TOKEN_MALFORMED';

/** A refusal of input: `code` for machines, `message` for people, `place` a JSON pointer (RFC 6901) into what was read. */
export class TraceError extends Error {
  override name = 'TraceError';
  readonly code: TraceErrorCode;
  readonly place: string;

  constructor(code: TraceErrorCode, message: string, options: { place?: string; cause?: unknown } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.place = options.place ?? '';
  }
}

/** Runs what reads a part of something larger: a TraceError's place gets that part's before it. */
export function within<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    throw new TraceError(error.code, error.message, { place: place + error.place, cause: error.cause });
  }
}

/** For our own mistakes, never for input: reaching it is a bug. */
export function invariant(holds: unknown, message: string): asserts holds {
  if (!holds) throw new Error(`invariant: ${message}`);
}
