import { expect } from 'chai';
import { DatabaseError } from 'pg';
import { isStoreUnavailable } from '@yaoji/api/store/unavailable';

const coded = (code: string): DatabaseError => Object.assign(new DatabaseError('x', 1, 'error'), { code });
const socket = (code: string, syscall: string): Error => Object.assign(new Error(code), { code, syscall });

describe('a store that is out', () => {
  it('is known by what PostgreSQL, its client and the system say', () => {
    for (const error of [
      ...['57P01', '57P02', '57P03', '53300', '53100', '08006', '40P01', '55P03', '57014', '58030'].map(
        coded,
      ),
      socket('ECONNREFUSED', 'connect'),
      socket('ENOENT', 'connect'),
      socket('ECONNRESET', 'read'),
      socket('EPIPE', 'write'),
      new AggregateError([socket('ECONNREFUSED', 'connect')]),
      new Error('Connection terminated unexpectedly'),
      new Error('Connection terminated due to connection timeout'),
      new Error('timeout exceeded when trying to connect'),
      new Error('Client has encountered a connection error and is not queryable'),
      new Error('Query read timeout'),
    ])
      expect(isStoreUnavailable(error), error.message + String((error as { code?: string }).code)).to.equal(
        true,
      );
  });

  it('is not the reason of our own mistakes, nor of what a file or the ledger lacks', () => {
    for (const error of [
      ...['23505', '42601', '42501', '22P02', 'XX000'].map(coded),
      socket('ENOENT', 'open'),
      new Error('the transaction was rolled back: a failed statement was ignored in it'),
      'Connection terminated',
      undefined,
    ])
      expect(isStoreUnavailable(error), String(error)).to.equal(false);
  });
});
