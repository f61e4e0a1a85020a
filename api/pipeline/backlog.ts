import type { Db } from '../store/pool.ts';
import { countPending } from '../store/queue.ts';

/** How long a count is good for, ms. What arrives meanwhile is a small part of any bound worth having. */
const FRESH = 1_000;

/** Whether too many events wait for their verdicts, from a count that is made once a second at most. */
export class Backlog {
  private readonly db: Db;
  private readonly most: number;
  private counted = -Infinity;
  private counting: Promise<number> | undefined;
  private pending = 0;

  constructor(db: Db, most: number) {
    this.db = db;
    this.most = most;
  }

  /** Throws what the store throws. */
  async full(): Promise<boolean> {
    if (performance.now() - this.counted > FRESH) {
      this.counting ??= countPending(this.db).finally(() => (this.counting = undefined));
      this.pending = await this.counting;
      this.counted = performance.now();
    }
    return this.pending > this.most;
  }
}
