import type { QueryResultRow } from 'pg';
import type { Db } from '../store/pool.ts';

const PAGE = 500;
let made = 0;

/**
 * The rows of a query, a page at a time. The connection must be in a transaction, whose end closes the cursor, and may be used
 * between two rows.
 */
export async function* rowsOf<Row extends QueryResultRow>(db: Db, query: string): AsyncGenerator<Row> {
  const name = `audit_${++made}`;
  await db.query(`declare ${name} no scroll cursor for ${query}`);
  for (;;) {
    const { rows } = await db.query<Row>(`fetch ${PAGE} from ${name}`);
    yield* rows;
    if (rows.length < PAGE) return;
  }
}
