import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSameBuild, keepBuild, readBuild } from '@yaoji/network/fabric/build';
import { expect } from 'chai';

describe('A build of the contract', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-build-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (path: string, content: string): void => {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  };
  const contract = (name: string): string => {
    write(`${name}/package.json`, JSON.stringify({ name: 'contract', main: 'dist/contract/index.js' }));
    write(`${name}/dist/contract/index.js`, 'export const contracts = [];');
    write(`${name}/dist/core/index.js`, 'export const one = 1;');
    return join(folder, name);
  };

  it('has a hash of what decides how the contract judges, and of nothing else', () => {
    const one = contract('one');
    const { hash } = readBuild(one);
    expect(hash).to.match(/^[0-9a-f]{64}$/);
    write('one/dist/core/index.js.map', 'a map');
    write('one/contract/index.ts', 'a source');
    expect(readBuild(one).hash).to.equal(hash);
    expect(readBuild(contract('two')).hash).to.equal(hash);
    write('two/dist/core/index.js', 'export const one = 2;');
    expect(readBuild(join(folder, 'two')).hash).not.to.equal(hash);
  });

  it('is refused where there is none', () => {
    expect(() => readBuild(folder)).to.throw('holds no chaincode package');
    write('package.json', JSON.stringify({ main: 'dist/index.js' }));
    expect(() => readBuild(folder)).to.throw('has not been compiled');
  });

  it('is kept as it was agreed upon, whatever is compiled later', () => {
    const one = contract('one');
    const kept = keepBuild(join(folder, 'kept'), readBuild(one));
    write('one/dist/core/index.js', 'export const one = 2;');
    expect(readFileSync(join(kept, 'dist/core/index.js'), 'utf8')).to.equal('export const one = 1;');
    expect(readBuild(kept).manifest.main).to.equal('dist/contract/index.js');
  });

  it('finds its libraries in the copy', () => {
    const real = dirname(fileURLToPath(import.meta.resolve('@yaoji/chaincode/package.json')));
    const kept = keepBuild(join(folder, 'kept'), readBuild(real));
    expect(existsSync(join(kept, 'dist/contract/index.js'))).to.equal(true);
    expect(existsSync(join(dirname(kept), 'node_modules', 'fabric-shim', 'package.json'))).to.equal(true);
  });

  it('must be the same everywhere: who has another is named', () => {
    const same = { HospitalMSP: 'aa', DecoctionMSP: 'aa', CourierMSP: 'aa' };
    checkSameBuild(new Map(Object.entries(same)));
    expect(() => checkSameBuild(new Map(Object.entries({ ...same, RegulatorMSP: 'bb' })))).to.throw(
      'differ: RegulatorMSP bb; but HospitalMSP, DecoctionMSP, CourierMSP aa',
    );
  });
});
