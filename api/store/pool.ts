import { Pool, type QueryConfig, type QueryResult, type QueryResultRow } from 'pg';

/** What runs one SQL statement: a pool, or the connection of a transaction. */
export interface Db {
  query<Row extends QueryResultRow>(
    statement: string | QueryConfig,
    values?: unknown[],
  ): Promise<QueryResult<Row>>;
}

/** How a pool connects. */
export interface PoolOptions {
  /** The role every connection takes on. It must exist, and the URL's user must be a member of it. */
  readonly role?: string;
  /** Most connections at once; 10 if not said. */
  readonly max?: number;
  /** Told of each connection that broke while nobody used it (the server was stopped). The pool makes a new one. */
  readonly onError: (error: Error) => void;
}

/**
 * A pool of connections; none is opened before the first query. A statement may run for 30 s and wait for a lock for
 * 10 s, a transaction may lie idle for 60 s, a connection must be made in 10 s, an answer must come in 40 s; past that the
 * query fails.
 */
export function openPool(url: string, { role, max = 10, onError }: PoolOptions): Pool {
  const pool = new Pool({
    connectionString: withOptions(url, role === undefined ? KEEPALIVES : [`role=${role}`, ...KEEPALIVES]),
    max,
    application_name: 'yaoji',
    statement_timeout: 30_000,
    lock_timeout: 10_000,
    idle_in_transaction_session_timeout: 60_000,
    // For a server that does not answer any more, not even that a statement took too long.
    query_timeout: 40_000,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  pool.on('error', onError);
  // A connection that breaks in someone's hands, between two queries, has no listener of the pool's and would end the
  // process. Its next query fails, so nothing is hidden.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pool;
}

// What the server is to do about a client's host that is gone without a word (power, network): its sessions, and the advisory
// locks by which workers take turns, are given up within 25 s. Its own default is more than two hours.
const KEEPALIVES = ['tcp_keepalives_idle=10', 'tcp_keepalives_interval=5', 'tcp_keepalives_count=3'];

/** The URL's own options stay: what stands in a URL wins over the pool's settings, so these must stand there too. */
function withOptions(url: string, options: readonly string[]): string {
  const given = new URL(url);
  const all = [given.searchParams.get('options'), ...options.map((option) => `-c ${option}`)];
  given.searchParams.set('options', all.filter(Boolean).join(' '));
  return given.href;
}

/**
 * Runs the work in one transaction, commits it and resolves to its result. If the work throws, everything is rolled
 * back and its error is thrown. Throws as well if the commit did not happen because the work hid an SQL error.
 * If the connection breaks during the commit itself, the error leaves open whether it happened.
 */
export async function withTransaction<T>(pool: Pool, work: (tx: Db) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let usable = false;
  try {
    await client.query('begin');
    try {
      const result = await work(client);
      // PostgreSQL answers COMMIT of a failed transaction with ROLLBACK and no error.
      const { command } = await client.query('commit');
      if (command !== 'COMMIT')
        throw new Error('the transaction was rolled back: a failed statement was ignored in it');
      usable = true;
      return result;
    } catch (error) {
      // A failing rollback means a broken connection; the first error says more.
      usable = await client.query('rollback').then(
        () => true,
        () => false,
      );
      throw error;
    }
  } finally {
    client.release(!usable);
  }
}
