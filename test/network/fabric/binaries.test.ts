import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FabricMissing, findBinaries } from '@yaoji/network/fabric/binaries';
import { expect } from 'chai';

describe("Fabric's programs", () => {
  let folder: string;
  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'yaoji-binaries-')));
    mkdirSync(join(folder, 'bin'));
    mkdirSync(join(folder, 'config'));
    for (const program of ['peer', 'orderer', 'configtxgen', 'configtxlator', 'osnadmin']) {
      const path = join(folder, 'bin', program);
      writeFileSync(path, `#!/bin/sh\necho "${program}:"\necho " Version: v3.1.5"\n`);
      chmodSync(path, 0o755);
    }
    for (const file of ['core.yaml', 'orderer.yaml']) writeFileSync(join(folder, 'config', file), '');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const complaint = (env: NodeJS.ProcessEnv): Promise<string> =>
    findBinaries(env).then(
      () => 'found',
      (error: unknown) => (error instanceof FabricMissing ? error.message : `not said: ${String(error)}`),
    );

  it('are found where FABRIC_HOME says', async () => {
    const found = await findBinaries({ FABRIC_HOME: folder, PATH: '' });
    expect(found.path('peer')).to.equal(join(folder, 'bin', 'peer'));
    expect(found.config).to.equal(join(folder, 'config'));
    expect(found.versions).to.deep.equal({ peer: 'v3.1.5', orderer: 'v3.1.5' });
  });

  it('are found on PATH, behind a link too', async () => {
    expect((await findBinaries({ PATH: `/nowhere:${join(folder, 'bin')}` })).config).to.equal(
      join(folder, 'config'),
    );
    const links = join(folder, 'links');
    mkdirSync(links);
    symlinkSync(join(folder, 'bin', 'peer'), join(links, 'peer'));
    expect((await findBinaries({ PATH: links })).path('orderer')).to.equal(join(folder, 'bin', 'orderer'));
  });

  it('are missing in words that say what is missing and how to get it', async () => {
    expect(await complaint({ PATH: join(folder, 'config') }))
      .to.match(/^Hyperledger Fabric's programs were not found: FABRIC_HOME is not set and PATH has no peer/)
      .and.include('release archive');
    rmSync(join(folder, 'bin', 'osnadmin'));
    rmSync(join(folder, 'config', 'core.yaml'));
    expect(await complaint({ FABRIC_HOME: folder }))
      .to.include(`${folder} has no bin/osnadmin, no config/core.yaml`)
      .and.include('FABRIC_HOME');
  });

  it('are said not to run where they do not', async () => {
    writeFileSync(join(folder, 'bin', 'orderer'), '#!/bin/sh\nexit 1\n');
    expect(await complaint({ FABRIC_HOME: folder })).to.include('bin/orderer does not run on this machine');
  });

  it('may not say what version they are', async () => {
    writeFileSync(join(folder, 'bin', 'peer'), '#!/bin/sh\necho latest\n');
    expect((await findBinaries({ FABRIC_HOME: folder })).versions.peer).to.equal('unknown');
  });
});
