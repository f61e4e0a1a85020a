import { DatabaseError } from 'pg';

// PostgreSQL's codes and classes (its appendix A) after which the same statement may well succeed later.
const CODES: ReadonlySet<string> = new Set([
  '25006', // read-only: a standby that is being promoted
  '40001', // serialization failure
  '40P01', // deadlock
  '55P03', // a lock was not to be had in time
  '57014', // the statement took too long
  '57P01', // the server is shutting down
  '57P02', // another process of it crashed
  '57P03', // it is starting
  '57P05', // the connection lay idle
]);
const CLASSES: ReadonlySet<string> = new Set([
  '08', // connections
  '53', // resources: disk full, memory, connections
  '58', // errors of the system below it
]);

const SOCKET_CALLS: ReadonlySet<string> = new Set(['connect', 'read', 'write', 'getaddrinfo']);

// `pg` and `pg-pool` give these no code.
const WORDS =
  /^(?:Connection terminated|timeout exceeded when trying to connect|Query read timeout|Client (?:has encountered|was closed)|Cannot use a pool after)/;

/**
 * Whether this error says that the store could not be reached or could not do it now, so that asking again later is the only
 * answer. Thrown by a commit, it leaves open whether that happened.
 */
export function isStoreUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof DatabaseError)
    return CODES.has(error.code ?? '') || CLASSES.has(error.code?.slice(0, 2) ?? '');
  // Where a name has several addresses, there is one error for each.
  if (error instanceof AggregateError) return error.errors.some(isStoreUnavailable);
  const { syscall } = error as NodeJS.ErrnoException;
  return (syscall !== undefined && SOCKET_CALLS.has(syscall)) || WORDS.test(error.message);
}
