/** What was found out is good for a short while, and whoever asks meanwhile waits for the same answer. */
export class ShortMemory<T> {
  readonly #goodFor: number;
  readonly #most: number;
  readonly #now: () => number;
  // In the order in which they were asked for: the oldest first.
  readonly #kept = new Map<string, { until: number; value: Promise<T> }>();

  /** `goodFor`: ms; `most`: how many answers are kept, the oldest go first; `now`: ms of any clock. */
  constructor(goodFor: number, most: number, now: () => number) {
    this.#goodFor = goodFor;
    this.#most = most;
    this.#now = now;
  }

  /** The answer under this name, found out now if there is none that is good. A failure is told to all and is not kept. */
  get(name: string, find: () => Promise<T>): Promise<T> {
    const kept = this.#kept.get(name);
    if (kept && kept.until > this.#now()) return kept.value;
    this.forget(name);
    const value = find();
    this.#kept.set(name, { until: this.#now() + this.#goodFor, value });
    value.catch(() => {
      if (this.#kept.get(name)?.value === value) this.forget(name);
    });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= this.#most) break;
      this.forget(oldest);
    }
    return value;
  }

  forget(name: string): void {
    this.#kept.delete(name);
  }
}
