import type { Db } from './pool.ts';

/** The last of the ledger's blocks whose content the store holds; -1 before the first. */
export async function readCursor(db: Db): Promise<number> {
  const { rows } = await db.query<{ block: string }>('select block from ledger_cursor');
  return Number(rows[0]?.block ?? -1);
}

/** Moves the cursor on to a block. Another process of this service may be further: then it stays there. */
export async function moveCursor(tx: Db, block: number): Promise<void> {
  await tx.query(
    `insert into ledger_cursor (block) values ($1)
     on conflict (whole) do update set block = greatest(ledger_cursor.block, excluded.block)`,
    [block],
  );
}
