import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { soak, summary } from '@yaoji/scripts/soak/run';
import { expect } from 'chai';

const SECOND = 1000;

describe('A whole instance in which everything goes wrong for a while', function () {
  this.timeout(400 * SECOND);

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-soak-'));
    // PostgreSQL does not run as root: where we do, its user must be able to enter.
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('loses nothing, doubles nothing and leaves nothing undecided', async () => {
    const lines: string[] = [];
    const soaked = await soak({
      folder,
      seed: 20_261_120,
      ms: 25 * SECOND,
      tellers: 6,
      say: (line) => lines.push(line),
    });
    expect(soaked.differences, [...lines, ...summary(soaked)].join('\n')).to.deep.equal([]);
    // Otherwise it has shown nothing.
    expect(soaked.tally.stories).to.be.at.least(3);
    expect(soaked.restarts.api + soaked.restarts.ledger).to.be.at.least(1);
  });
});
