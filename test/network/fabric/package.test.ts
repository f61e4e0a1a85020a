import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { archive } from '@yaoji/network/fabric/archive';
import { newPackage, writeBuilder } from '@yaoji/network/fabric/package';
import { openMember } from '@yaoji/network/identities/member';
import { expect } from 'chai';

describe('A chaincode package', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-package-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const unpack = (bytes: Uint8Array): void => {
    const path = join(folder, 'archive.tgz');
    writeFileSync(path, bytes);
    execFileSync('tar', ['-xzf', path, '-C', folder]);
  };
  const read = (name: string): string => readFileSync(join(folder, name), 'utf8');

  it('is an archive that every tar reads', () => {
    const long = 'x'.repeat(3000);
    unpack(archive({ 'b.txt': long, 'a.txt': 'short', 'empty.txt': '' }));
    expect([read('a.txt'), read('b.txt'), read('empty.txt')]).to.deep.equal(['short', long, '']);
  });

  it('has the same bytes whenever and in whatever order it is made', () => {
    const one = archive({ 'a.txt': '1', 'b.txt': '2' });
    expect(archive({ 'b.txt': '2', 'a.txt': '1' }).equals(one)).to.equal(true);
    // No time, and no system.
    expect([...one.subarray(4, 8), one[9]]).to.deep.equal([0, 0, 0, 0, 255]);
    expect(() => archive({ ['n'.repeat(101)]: '' })).to.throw('too long');
  });

  it("tells the peer where its organisation's contract serves, and has the build in its id", async () => {
    const identities = await openMember(join(folder, 'member'), 'HospitalMSP', ['127.0.0.1']);
    const { id, bytes } = newPackage('ab12', 21_000, identities);
    expect(id).to.match(/^trace-ab12:[0-9a-f]{64}$/);
    expect(newPackage('ab12', 21_000, identities).id).to.equal(id);
    expect(newPackage('ab13', 21_000, identities).id).not.to.equal(id);
    unpack(bytes);
    unpack(readFileSync(join(folder, 'code.tar.gz')));
    expect(JSON.parse(read('metadata.json'))).to.deep.equal({ type: 'ccaas', label: 'trace-ab12' });
    expect(JSON.parse(read('connection.json'))).to.include({
      address: '127.0.0.1:21000',
      tls_required: true,
      client_auth_required: true,
    });
  });

  it('is known to the builder, which takes no other', () => {
    writeBuilder(join(folder, 'builder'));
    const detect = (metadata: string): boolean => {
      writeFileSync(join(folder, 'metadata.json'), metadata);
      try {
        execFileSync(join(folder, 'builder', 'bin', 'detect'), [folder, folder], { stdio: 'ignore' });
        return true;
      } catch {
        return false;
      }
    };
    expect(detect('{"type":"ccaas","label":"x"}')).to.equal(true);
    expect(detect('{"type":"node","label":"x"}')).to.equal(false);
  });
});
