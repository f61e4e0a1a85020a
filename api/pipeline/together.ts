interface Asked<Item, Result> {
  items: readonly Item[];
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/** How many works are under way at the same time: while one waits for the disk, the next is made ready. */
const AT_ONCE = 2;

/**
 * Does a work for several callers together: those who ask while it is under way share the next one. A transaction costs about
 * the same for one item as for fifty, so the more there is to do, the less each costs.
 */
export class Together<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<Result>;
  readonly #most: number;
  readonly #concernsAll: (error: unknown) => boolean;
  readonly #waiting: Asked<Item, Result>[] = [];
  #underWay = 0;

  /** `most`: items of one work, if it has several callers; `concernsAll`: an error that is not one caller's alone. */
  constructor(
    work: (items: readonly Item[]) => Promise<Result>,
    most: number,
    concernsAll: (error: unknown) => boolean,
  ) {
    this.#work = work;
    this.#most = most;
    this.#concernsAll = concernsAll;
  }

  /** The result of a work with these items, and perhaps others, in it. */
  do(items: readonly Item[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, resolve, reject });
      if (this.#underWay < AT_ONCE) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#underWay++;
    while (this.#waiting.length > 0) await this.#together(this.#next());
    this.#underWay--;
  }

  #next(): Asked<Item, Result>[] {
    const next = [this.#waiting.shift()!];
    let count = next[0]!.items.length;
    while (this.#waiting.length > 0 && count + this.#waiting[0]!.items.length <= this.#most) {
      count += this.#waiting[0]!.items.length;
      next.push(this.#waiting.shift()!);
    }
    return next;
  }

  async #together(callers: readonly Asked<Item, Result>[]): Promise<void> {
    try {
      const result = await this.#work(callers.flatMap(({ items }) => items));
      for (const { resolve } of callers) resolve(result);
    } catch (error) {
      if (callers.length === 1 || this.#concernsAll(error)) for (const { reject } of callers) reject(error);
      // What is wrong with one must not fail the others.
      else for (const caller of callers) await this.#together([caller]);
    }
  }
}
