import { expect } from 'chai';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ANCHOR_FAILPOINTS, FAILPOINTS, failpointsOf, type Failpoint } from '@yaoji/api/failpoints';

describe('the failpoints', () => {
  it('stand in the source once each, and nowhere is one that is not listed', () => {
    const api = fileURLToPath(new URL('../../../api', import.meta.url));
    const used = readdirSync(api, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !/^(?:dist|node_modules)\//.test(file))
      .flatMap((file) => [...readFileSync(join(api, file), 'utf8').matchAll(/\bfailpoint\('([^']*)'\)/g)])
      .map(([, name]) => name);
    expect(used).to.have.members([...Object.keys(FAILPOINTS), ...Object.keys(ANCHOR_FAILPOINTS)]);
  });

  /** How often the process would have died at these hits. */
  function deaths(armed: string | undefined, hits: readonly Failpoint[]): number {
    let died = 0;
    const failpoint = failpointsOf(armed === undefined ? {} : { YAOJI_FAILPOINT: armed }, () => died++);
    for (const name of hits) failpoint(name);
    return died;
  }

  it('do nothing unless one is named', () => {
    expect(deaths(undefined, ['batch-judged'])).to.equal(0);
    expect(deaths('batch-ordered', ['batch-judged'])).to.equal(0);
  });

  it('end the process once, at the hit that was asked for', () => {
    expect(deaths('batch-judged', ['batch-judged', 'batch-judged'])).to.equal(1);
    expect(deaths('batch-judged@3', ['batch-judged', 'batch-ordered', 'batch-judged'])).to.equal(0);
    expect(deaths('batch-judged@3', ['batch-judged', 'batch-judged', 'batch-judged'])).to.equal(1);
  });

  it('may sleep until they are told', () => {
    let died = 0;
    const failpoint = failpointsOf({ YAOJI_FAILPOINT: 'batch-judged@2:asleep' }, () => died++);
    for (let i = 0; i < 5; i++) failpoint('batch-judged');
    process.emit('SIGUSR2');
    failpoint('batch-judged');
    expect(died).to.equal(0);
    failpoint('batch-judged');
    expect(died).to.equal(1);
  });

  it('are refused in production, and so is a name that is not listed', () => {
    const production = { YAOJI_FAILPOINT: 'batch-judged', NODE_ENV: 'production' };
    expect(() => failpointsOf(production)).to.throw('production');
    for (const unknown of ['batch-jugded', 'toString', 'batch-judged@0', 'batch-judged@x', '@1'])
      expect(() => failpointsOf({ YAOJI_FAILPOINT: unknown })).to.throw(`there is no ${unknown}`);
  });
});
