const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5000;
const SETTLED_MS = 10_000;

/** How long to wait before a process that has exited is started again: longer and longer while it exits at once. */
export class Backoff {
  private pause = FIRST_PAUSE_MS;

  /** Milliseconds to wait, after a process that ran this many milliseconds. */
  next(ranMs: number): number {
    this.pause = ranMs > SETTLED_MS ? FIRST_PAUSE_MS : Math.min(this.pause * 2, LONGEST_PAUSE_MS);
    return this.pause;
  }
}
