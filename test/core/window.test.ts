import { expect } from 'chai';
import fc from 'fast-check';
import { spend, WINDOW, type Window } from '@yaoji/chaincode/core';

/** RFC 4303 §3.4.3 without a ring: everything ever seen, and the newest. */
class Model {
  private readonly seen = new Set<number>();
  private top = 0;

  spend(n: number): 'N_USED' | 'N_TOO_OLD' | 'new' {
    if (n <= this.top - WINDOW) return 'N_TOO_OLD';
    if (this.seen.has(n)) return 'N_USED';
    this.seen.add(n);
    this.top = Math.max(this.top, n);
    return 'new';
  }
}

function play(numbers: readonly number[]): void {
  const model = new Model();
  let window: Window | undefined;
  for (const n of numbers) {
    const outcome = spend(window, n);
    expect(typeof outcome === 'string' ? outcome : 'new', `n = ${n}`).to.equal(model.spend(n));
    if (typeof outcome !== 'string') window = outcome;
  }
}

describe("a station's window", () => {
  it('says what a set of all numbers ever seen would say', () => {
    const near = fc.integer({ min: 1, max: 4 * WINDOW });
    const leap = fc.array(
      fc.oneof(fc.integer({ min: -WINDOW - 5, max: 40 }), fc.integer({ min: 0, max: 3 * WINDOW })),
      { maxLength: 200 },
    );
    fc.assert(fc.property(fc.array(near, { maxLength: 300 }), play), { numRuns: 60 });
    fc.assert(
      fc.property(leap, (steps) => {
        let top = WINDOW;
        play(
          steps.map((step) => {
            const n = Math.max(1, top + step);
            top = Math.max(top, n);
            return n;
          }),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('spends each number once, in any order within the window', () => {
    play([1, 2, 2, 1, WINDOW, 3, 3, WINDOW + 1, 1, 2, WINDOW + 1]);
    play([WINDOW + 5, 5, 6, 6, 2 * WINDOW + 6, WINDOW + 6, WINDOW + 7, 5]);
  });

  it('holds up to the largest number', () => {
    play([
      1,
      Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER,
      Number.MAX_SAFE_INTEGER - WINDOW + 1,
      Number.MAX_SAFE_INTEGER - WINDOW,
    ]);
  });

  it('leaves the window it was given as it was', () => {
    const first = spend(undefined, 7) as Window;
    const copy = { ...first };
    spend(Object.freeze(first), 9);
    expect(first).to.deep.equal(copy);
  });
});
