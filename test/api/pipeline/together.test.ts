import { expect } from 'chai';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Together } from '@yaoji/api/pipeline/together';

describe('work done together', () => {
  let works: number[][];
  let finish: (() => void)[];
  const work = async (items: readonly number[]): Promise<number> => {
    works.push([...items]);
    await new Promise<void>((resolve) => finish.push(resolve));
    if (items.includes(13)) throw new Error('13');
    return items.length;
  };
  beforeEach(() => {
    works = [];
    finish = [];
  });
  async function finishAll(): Promise<void> {
    while (finish.length > 0) {
      finish.shift()!();
      await turn();
    }
  }

  it('begins at once, and lets those who come meanwhile share the next', async () => {
    const together = new Together(work, { most: 10, atOnce: 2, apart: 0, concernsAll: () => false });
    const results = [[1], [2], [3], [4, 5], [6]].map((items) => together.do(items));
    expect(works).to.deep.equal([[1], [2]]);
    await finishAll();
    expect(await Promise.all(results)).to.deep.equal([1, 1, 4, 4, 4]);
    expect(works).to.deep.equal([[1], [2], [3, 4, 5, 6]]);
  });

  it('lets those who come soon after it began share the next, though another may be under way', async () => {
    const together = new Together(work, { most: 10, atOnce: 2, apart: 50, concernsAll: () => false });
    const results = [[1], [2], [3]].map((items) => together.do(items));
    expect(works).to.deep.equal([[1]]);
    await sleep(80);
    expect(works).to.deep.equal([[1], [2, 3]]);
    await finishAll();
    expect(await Promise.all(results)).to.deep.equal([1, 2, 2]);
  });

  it('keeps to its bound, and takes more than that from one caller only', async () => {
    const together = new Together(work, { most: 3, atOnce: 2, apart: 0, concernsAll: () => false });
    const results = [[1], [2], [3, 4], [5], [6], [7, 8, 9, 10], [11]].map((items) => together.do(items));
    await finishAll();
    await Promise.all(results);
    expect(works).to.deep.equal([[1], [2], [3, 4, 5], [6], [7, 8, 9, 10], [11]]);
  });

  it('does each alone where one of them fails, so that only that one is told', async () => {
    const together = new Together(work, { most: 10, atOnce: 2, apart: 0, concernsAll: () => false });
    const results = Promise.allSettled([[1], [2], [3], [13], [4]].map((items) => together.do(items)));
    await finishAll();
    expect((await results).map(({ status }) => status)).to.deep.equal([
      'fulfilled',
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
    ]);
  });

  it('tells all of them of a failure that concerns all', async () => {
    const together = new Together(work, { most: 10, atOnce: 2, apart: 0, concernsAll: () => true });
    const results = Promise.allSettled([[1], [2], [3], [13]].map((items) => together.do(items)));
    await finishAll();
    expect((await results).map(({ status }) => status)).to.deep.equal([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(works).to.have.length(3);
  });
});
