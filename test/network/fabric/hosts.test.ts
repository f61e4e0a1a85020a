import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Binaries } from '@yaoji/network/fabric/binaries';
import { writeApiService } from '@yaoji/network/fabric/hosts/api';
import { memberOf, parseConsortium } from '@yaoji/network/fabric/hosts/consortium';
import { filesIn } from '@yaoji/network/fabric/hosts/folder';
import { parseHandOver } from '@yaoji/network/fabric/hosts/hand-over';
import { prepareMember } from '@yaoji/network/fabric/hosts/prepare';
import { expect } from 'chai';
import { leaveOut } from '../../support/left-out.ts';
import { readUnit } from '../../support/unit-file.ts';

const HOSPITAL = { mspId: 'HospitalMSP', kind: 'hospital', host: 'ledger.hospital.example' };
const COURIER = { mspId: 'CourierMSP', kind: 'courier', host: '10.1.2.3', ports: { peer: 17051 } };
const DESCRIPTION = JSON.stringify({ channel: 'care', ordering: 'raft', organisations: [HOSPITAL, COURIER] });

describe('The description of a consortium over several hosts', () => {
  const refuses = (organisations: unknown, says: RegExp, more = {}): void => {
    expect(() => parseConsortium(JSON.stringify({ organisations, ...more }))).to.throw(says);
  };

  it('says who is where, and leaves ports to us', () => {
    const consortium = parseConsortium(DESCRIPTION);
    expect([consortium.channel, consortium.ordering]).to.deep.equal(['care', 'raft']);
    const [hospital, courier] = consortium.members;
    expect(hospital).to.deep.include({ name: 'hospital', host: { name: HOSPITAL.host, listen: '0.0.0.0' } });
    expect(hospital?.orderer).to.deep.equal({ listen: 7050, admin: 7053, operations: 8443 });
    expect(courier?.host).to.deep.equal({ name: '10.1.2.3', listen: '10.1.2.3' });
    expect(courier?.peer).to.deep.equal({ listen: 17051, chaincode: 7052, operations: 9443 });
    expect(() => memberOf(consortium, 'NobodyMSP')).to.throw(
      'has no NobodyMSP, only HospitalMSP, CourierMSP',
    );
  });

  it('is refused where it cannot be meant', () => {
    refuses([], /must be a list/);
    refuses([{ ...HOSPITAL, host: 'localhost' }], /nobody else can reach localhost/);
    refuses([{ ...HOSPITAL, listen: '127.0.0.1' }], /nobody else can reach/);
    refuses([{ ...HOSPITAL, host: 'a host' }], /must be a name or an IPv4 address/);
    refuses([{ ...HOSPITAL, mspId: '../MSP' }], /no name for an organisation/);
    refuses([HOSPITAL, HOSPITAL], /both be called hospital/);
    refuses([{ ...HOSPITAL, ports: { peer: 7050 } }], /not all different/);
    refuses([{ ...HOSPITAL, ports: { gossip: 1 } }], /unknown field gossip/);
    refuses([HOSPITAL], /ordering must be one of bft, raft/, { ordering: 'solo' });
    refuses([HOSPITAL], /no name for a channel/, { channel: 'Care' });
  });
});

/** Fails with whatever systemd has to say about the units in a folder. */
function systemdSaysNothing(test: Mocha.Context, units: string): void {
  const files = readdirSync(units).map((file) => join(units, file));
  const { error, stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', ...files], {
    encoding: 'utf8',
  });
  if (error) leaveOut(test, 'systemd about our units', error.message);
  // It is content with a setting that it does not know, and says so only.
  expect(`${stdout}${stderr}`).to.equal('');
}

describe('The service of the API', () => {
  const out = mkdtempSync(join(tmpdir(), 'yaoji-api-'));
  after(() => rmSync(out, { recursive: true }));
  const main = join(out, 'main.js');
  const write = () => writeApiService(out, main, join(out, 'network.json'));

  it('is run by a unit that restarts it and lets it write to the keys of its stations only', () => {
    const { command, environment } = readUnit(write().unit);
    expect(command).to.deep.equal([process.execPath, main]);
    expect(environment).to.include({ NODE_ENV: 'production', LEDGER_PROFILE: join(out, 'network.json') });
    expect(environment['STATION_KEYS']).to.equal(join(out, 'station-keys'));
    const unit = readFileSync(join(out, 'units', 'yaoji-api.service'), 'utf8').split('\n');
    expect(unit).to.include.members(['Restart=always', `ReadWritePaths=${join(out, 'station-keys')}`]);
  });

  it('keeps the settings that its operator has completed, and nobody else reads them', () => {
    const { environment } = write();
    expect(statSync(environment).mode & 0o077).to.equal(0);
    writeFileSync(environment, 'DATABASE_URL=postgres://yaoji@db/yaoji\n');
    write();
    expect(readFileSync(environment, 'utf8')).to.equal('DATABASE_URL=postgres://yaoji@db/yaoji\n');
  });

  it('has a unit that systemd finds nothing to say about', function () {
    write();
    systemdSaysNothing(this, join(out, 'units'));
  });
});

describe("A member's folder on a host of its own", () => {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-host-'));
  const own = join(folder, 'courier');
  const { members } = parseConsortium(DESCRIPTION);
  const file = (...path: string[]): string => readFileSync(join(own, ...path), 'utf8');
  const binaries: Binaries = {
    path: (program) => join(folder, 'bin', program),
    config: folder,
    versions: { peer: 'none', orderer: 'none' },
  };
  const prepare = (mspId = 'CourierMSP', into = own) =>
    prepareMember({ binaries, command: 'yaoji-hosts', warn: () => {} }, into, DESCRIPTION, mspId);

  before(async () => {
    for (const yaml of ['core.yaml', 'orderer.yaml']) writeFileSync(join(folder, yaml), '');
    mkdirSync(join(folder, 'bin'));
    for (const program of ['peer', 'orderer']) {
      writeFileSync(join(folder, 'bin', program), '', { mode: 0o755 });
    }
    await prepare();
  });
  after(() => rmSync(folder, { recursive: true }));

  it('has the keys of no other member, and hands over none of its own', () => {
    expect(readdirSync(join(own, 'organisations'))).to.deep.equal(['CourierMSP']);
    const handOver = readFileSync(filesIn(own).handOver, 'utf8');
    expect(handOver).not.to.include('PRIVATE');
    const read = parseHandOver(handOver, members);
    expect(read.certificates.ca).to.equal(file('organisations', 'CourierMSP', 'ca.pem'));
  });

  it("lets orderer and peer listen at the host's address, and all else at loopback", () => {
    const settings = ['orderer', 'peer'].map(
      (kind) => readUnit(join(own, 'units', `yaoji-${kind}-courier.service`)).environment,
    );
    const listening = settings.flatMap((env) =>
      Object.entries(env).filter(([name]) => /LISTEN(ADDRESS|PORT)$/.test(name)),
    );
    expect(Object.fromEntries(listening)).to.deep.equal({
      ORDERER_GENERAL_LISTENADDRESS: '10.1.2.3',
      ORDERER_GENERAL_LISTENPORT: '7050',
      ORDERER_ADMIN_LISTENADDRESS: '127.0.0.1:7053',
      ORDERER_OPERATIONS_LISTENADDRESS: '127.0.0.1:8443',
      CORE_PEER_LISTENADDRESS: '10.1.2.3:17051',
      CORE_PEER_CHAINCODELISTENADDRESS: '127.0.0.1:7052',
      CORE_OPERATIONS_LISTENADDRESS: '127.0.0.1:9443',
    });
    const mutual = settings.flatMap((env) =>
      Object.entries(env).filter(([name]) => name.endsWith('_CLIENTAUTHREQUIRED')),
    );
    expect(mutual.map(([, value]) => value)).to.deep.equal(Array.from({ length: 5 }, () => 'true'));
  });

  it('has units that restart, write to their own data only, and gain nothing', () => {
    const unit = file('units', 'yaoji-peer-courier.service');
    for (const setting of [
      `ExecStart=${join(folder, 'bin', 'peer')} node start`,
      'User=yaoji',
      'Restart=always',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
      `ReadWritePaths=${join(own, 'data', 'peer-courier')}`,
    ]) {
      expect(unit.split('\n')).to.include(setting);
    }
    expect(existsSync(join(own, 'data', 'peer-courier'))).to.equal(true);
  });

  it('has units that systemd finds nothing to say about', function () {
    systemdSaysNothing(this, join(own, 'units'));
  });

  it('says what to open for whom, and what to do', () => {
    expect(file('FIREWALL.md')).to.include(
      "| 17051 | peer and gateway | the members' hosts: ledger.hospital.example; the host of the API |",
    );
    expect(file('FIREWALL.md')).to.include('HospitalMSP: ledger.hospital.example, ports 7050 and 7051');
    expect(file('JOIN.md')).to.include(`yaoji-hosts join --folder ${own}`);
  });

  it('is for one member of one consortium', async () => {
    const error = await prepare('HospitalMSP').catch((cause: Error) => cause.message);
    expect(error).to.include('is of CourierMSP');
  });

  it('renews what was deleted, with the same CA, and nothing else', async () => {
    const certificates = (): Record<string, string> =>
      Object.fromEntries(
        readdirSync(join(own, 'organisations', 'CourierMSP'))
          .filter((name) => name.endsWith('.pem'))
          .map((name) => [name, file('organisations', 'CourierMSP', name)]),
      );
    const before = certificates();
    for (const name of ['peer-tls.pem', 'peer-tls.key'])
      rmSync(join(own, 'organisations', 'CourierMSP', name));
    await prepare();
    const now = certificates();
    expect(Object.keys(now).filter((name) => now[name] !== before[name])).to.deep.equal(['peer-tls.pem']);
    const ca = new X509Certificate(now['tls-ca.pem']!);
    const renewed = new X509Certificate(now['peer-tls.pem']!);
    expect(renewed.verify(ca.publicKey)).to.equal(true);
    expect(renewed.publicKey.equals(new X509Certificate(before['peer-tls.pem']!).publicKey)).to.equal(false);
    // The channel knows an orderer by its key; so that has to stay.
    rmSync(join(own, 'organisations', 'CourierMSP', 'orderer.pem'));
    await prepare();
    const [old, next] = [before, certificates()].map((all) => new X509Certificate(all['orderer.pem']!));
    expect(next!.serialNumber).not.to.equal(old!.serialNumber);
    expect(next!.publicKey.equals(old!.publicKey)).to.equal(true);
  });

  describe('of which a hand-over', () => {
    let handOver: { member: object; certificates: Record<string, string> };
    let others: Record<string, string>;
    before(async () => {
      const read = (at: string) => JSON.parse(readFileSync(filesIn(at).handOver, 'utf8')) as typeof handOver;
      handOver = read(own);
      const another = join(folder, 'another');
      mkdirSync(another);
      await prepare('CourierMSP', another);
      others = read(another).certificates;
    });
    const refuses = (changed: object, says: string): void => {
      expect(() => parseHandOver(JSON.stringify({ ...handOver, ...changed }), members)).to.throw(says);
    };
    const certificates = (changed: Record<string, string>) => ({
      certificates: { ...handOver.certificates, ...changed },
    });

    it('is refused when it is not of the description', () => {
      refuses({ member: { ...handOver.member, host: { name: 'elsewhere', listen: '0.0.0.0' } } }, 'does not');
      refuses({ member: { ...handOver.member, mspId: 'NobodyMSP' } }, 'has no NobodyMSP');
      refuses({ version: 2 }, 'another version');
    });

    it('is refused when its certificates do not belong together', () => {
      refuses(certificates({ orderer: others['orderer']! }), "not from its orderers' CA");
      refuses(certificates({ 'orderer-tls': others['orderer-tls']! }), 'not from its TLS CA');
      refuses(certificates({ ca: handOver.certificates['orderer']! }), 'ca is no root CA');
      refuses(certificates({ 'peer-key': 'x' }), 'unknown field peer-key');
    });

    it('keeps nothing but certificates', () => {
      const ca = `${handOver.certificates['ca']}${file('organisations', 'CourierMSP', 'ca.key')}`;
      const read = parseHandOver(JSON.stringify({ ...handOver, ...certificates({ ca }) }), members);
      expect(JSON.stringify(read)).not.to.include('PRIVATE');
    });
  });
});
