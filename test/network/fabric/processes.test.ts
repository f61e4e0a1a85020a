import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  endProcesses,
  forgetProcess,
  isRunning,
  readProcess,
  readProcesses,
  recordProcess,
} from '@yaoji/network/fabric/processes';
import { expect } from 'chai';

describe("A network's processes", () => {
  let folder: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-processes-'));
  });
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    rmSync(folder, { recursive: true });
  });

  const start = async (script: string): Promise<number> => {
    const child = spawn(process.execPath, ['-e', `${script}; console.log('up')`], { stdio: 'pipe' });
    children.push(child);
    await once(child.stdout, 'data');
    return child.pid!;
  };
  const FOREVER = 'setInterval(() => {}, 1000)';

  it('are noted by name until they are forgotten', async () => {
    const record = recordProcess(folder, 'peer-hospital', await start(FOREVER));
    expect(readProcesses(folder)).to.deep.equal([record]);
    expect(readProcess(folder, 'peer-hospital')).to.deep.equal(record);
    expect(isRunning(record)).to.equal(true);
    forgetProcess(folder, 'peer-hospital');
    expect(readProcesses(folder)).to.deep.equal([]);
    expect(readProcesses(join(folder, 'nowhere'))).to.deep.equal([]);
  });

  it('are told from a later process with the same number', async () => {
    const record = recordProcess(folder, 'one', await start(FOREVER));
    const earlier = { ...record, started: `${record.started}0` };
    expect(isRunning(earlier)).to.equal(false);
    await endProcesses([earlier], 1000);
    expect(isRunning(record)).to.equal(true);
  });

  it('are ended, also those that do not want to', async () => {
    const willing = recordProcess(folder, 'willing', await start(FOREVER));
    const stubborn = recordProcess(
      folder,
      'stubborn',
      await start(`process.on('SIGTERM', () => {}); ${FOREVER}`),
    );
    await endProcesses([willing, stubborn], 300);
    expect([isRunning(willing), isRunning(stubborn)]).to.deep.equal([false, false]);
  });

  it('are not noted when they are gone already', async () => {
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    expect(() => recordProcess(folder, 'gone', child.pid!)).to.throw('gone ended at once');
  });
});
