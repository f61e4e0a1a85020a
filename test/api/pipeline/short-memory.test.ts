import { expect } from 'chai';
import { ShortMemory } from '@yaoji/api/pipeline/short-memory';

describe('a short memory', () => {
  let now = 0;
  let asked = 0;
  const find = (): Promise<number> => Promise.resolve(++asked);
  beforeEach(() => {
    now = 0;
    asked = 0;
  });

  it('finds out once for all who ask while the answer is good, and again after', async () => {
    const memory = new ShortMemory<number>(5_000, 10, () => now);
    expect(await Promise.all([memory.get('a', find), memory.get('a', find)])).to.deep.equal([1, 1]);
    now = 4_999;
    expect(await memory.get('a', find)).to.equal(1);
    now = 5_000;
    expect(await memory.get('a', find)).to.equal(2);
    expect(await memory.get('b', find)).to.equal(3);
    memory.forget('a');
    expect(await memory.get('a', find)).to.equal(4);
  });

  it('tells a failure to all who wait for it, and keeps none', async () => {
    const memory = new ShortMemory<number>(5_000, 10, () => now);
    const fail = (): Promise<number> => Promise.reject(new Error('not now'));
    const both = await Promise.allSettled([memory.get('a', fail), memory.get('a', find)]);
    expect(both.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
    expect(await memory.get('a', find)).to.equal(1);
  });

  it('keeps no more than so many answers, the newest', async () => {
    const memory = new ShortMemory<number>(5_000, 2, () => now);
    for (const name of ['a', 'b', 'c']) await memory.get(name, find);
    expect(await memory.get('c', find)).to.equal(3);
    expect(await memory.get('b', find)).to.equal(2);
    expect(await memory.get('a', find)).to.equal(4);
  });
});
