import { setTimeout as delay } from 'node:timers/promises';

interface Asked<Item, Result> {
  items: readonly Item[];
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

export interface TogetherOptions {
  /** items of one work, if it has several callers */
  most: number;
  /** works that are under way at the same time: one that waits for a lock must not keep everybody waiting */
  atOnce: number;
  /** from the beginning of one work to that of the next at least, ms */
  apart: number;
  /** whether an error is not one caller's alone */
  concernsAll: (error: unknown) => boolean;
}

/**
 * Does a work for several callers together: those who ask soon after one began, or while as many as may be are under way, share
 * the next one. A transaction costs about the same for one item as for fifty, so the more there is to do, the less each costs.
 */
export class Together<Item, Result> {
  readonly #work: (items: readonly Item[]) => Promise<Result>;
  readonly #options: TogetherOptions;
  readonly #waiting: Asked<Item, Result>[] = [];
  #underWay = 0;
  #gathering = false;
  #began = -Infinity;

  constructor(work: (items: readonly Item[]) => Promise<Result>, options: TogetherOptions) {
    this.#work = work;
    this.#options = options;
  }

  /** The result of a work with these items, and perhaps others, in it. */
  do(items: readonly Item[]): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, resolve, reject });
      if (!this.#gathering && this.#underWay < this.#options.atOnce) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#underWay++;
    while (this.#waiting.length > 0 && !this.#gathering) {
      this.#gathering = true;
      const wait = this.#began + this.#options.apart - performance.now();
      if (wait > 0) await delay(wait);
      this.#gathering = false;
      this.#began = performance.now();
      await this.#together(this.#next());
    }
    this.#underWay--;
  }

  #next(): Asked<Item, Result>[] {
    const next = [this.#waiting.shift()!];
    let count = next[0]!.items.length;
    while (this.#waiting.length > 0 && count + this.#waiting[0]!.items.length <= this.#options.most) {
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
      if (callers.length === 1 || this.#options.concernsAll(error))
        for (const { reject } of callers) reject(error);
      // What is wrong with one must not fail the others.
      else for (const caller of callers) await this.#together([caller]);
    }
  }
}
