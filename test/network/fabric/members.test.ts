import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newLayout, placesIn } from '@yaoji/network/fabric/layout';
import { openMembers, type Member } from '@yaoji/network/fabric/members';
import { certify } from '@yaoji/network/identities/certify';
import { certificatesIn, checkExpiry } from '@yaoji/network/identities/expiry';
import { readIssued } from '@yaoji/network/identities/files';
import { certificatesOf } from '@yaoji/network/identities/member';
import type { NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';

const DAY_MS = 86_400_000;

describe("A member of a real network's certificates", () => {
  let folder: string;
  let member: Member;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-members-'));
    const layout = await newLayout([{ mspId: 'HospitalMSP', kind: 'hospital' }], 'bft');
    [member] = (await openMembers(placesIn(folder), layout.members, () => {})) as [Member];
  });
  after(() => rmSync(folder, { recursive: true }));

  const open = (file: string): X509Certificate => new X509Certificate(readFileSync(file));

  it('do not say that they are for development', () => {
    for (const { name, certificate } of certificatesOf(member.identities)) {
      const { subject, issuer } = new X509Certificate(certificate);
      expect(`${subject} ${issuer}`, name).not.to.include('DEVELOPMENT');
    }
  });

  it('come from three CAs: of the organisation, of its orderer organisation, of its TLS', () => {
    const { ca, ordererCa, tlsCa, ...others } = member.identities;
    const issuers = {
      ca: open(ca.certificate),
      ordererCa: open(ordererCa.certificate),
      tlsCa: open(tlsCa.certificate),
    };
    const issuedBy = (file: string): string =>
      Object.entries(issuers).find(([, issuer]) => open(file).verify(issuer.publicKey))?.[0] ?? 'nobody';
    expect(issuedBy(others.peer.certificate)).to.equal('ca');
    expect(issuedBy(others.service.certificate)).to.equal('ca');
    expect(issuedBy(others.orderer.certificate)).to.equal('ordererCa');
    for (const tls of [others.peerTls, others.ordererTls, others.chaincodeTls, others.clientTls]) {
      expect(issuedBy(tls.certificate)).to.equal('tlsCa');
    }
  });

  it('let servers be called by their address and by localhost, and clients by nothing', () => {
    expect(open(member.identities.peerTls.certificate).subjectAltName).to.equal(
      'IP Address:127.0.0.1, DNS:localhost',
    );
    expect(open(member.identities.clientTls.certificate).subjectAltName).to.equal(undefined);
  });

  it('lie in a wallet as fabric-network reads it', () => {
    const wallet = join(folder, 'organisations', 'HospitalMSP', 'wallet');
    expect(readdirSync(wallet)).to.deep.equal(['admin.id', 'service.id']);
    const { certificate, key } = readIssued(member.identities.service);
    expect(JSON.parse(readFileSync(join(wallet, 'service.id'), 'utf8'))).to.deep.equal({
      credentials: { certificate, privateKey: key },
      mspId: 'HospitalMSP',
      type: 'X.509',
      version: 1,
    });
    expect(statSync(join(wallet, 'service.id')).mode & 0o077).to.equal(0);
  });

  it('are refused by name when they have expired or are about to, and warned of before', async () => {
    const ca = readIssued(member.identities.ca);
    const lasting = async (name: string, ms: number) => ({
      name,
      certificate: (await certify(ca, { name, ou: 'client', notAfter: new Date(Date.now() + ms) }))
        .certificate,
    });
    const now = new Date();
    const good = await lasting('good', 400 * DAY_MS);
    const soon = await lasting('service of HospitalMSP', 10 * DAY_MS);
    expect(checkExpiry([good, soon], now)).to.have.length(1);
    expect(checkExpiry([good, soon], now)[0]).to.match(
      /^the certificate service of HospitalMSP expires at \d{4}-\d\d-\d\d \d\d:\d\d UTC$/,
    );
    const due = await lasting('peer TLS of HospitalMSP', DAY_MS / 2);
    const dead = await lasting('admin of HospitalMSP', -1000);
    expect(() => checkExpiry([good, soon, due, dead], now)).to.throw(
      /^the certificate peer TLS of HospitalMSP expires at .*; the certificate admin of HospitalMSP expired at/,
    );
  });

  it('of a client are those that its profile names', () => {
    const { service, admin, clientTls: client, ca } = member.identities;
    const profile: NetworkProfile = {
      channel: 'channel',
      chaincode: 'trace',
      development: false,
      endorsements: 1,
      organisations: [
        {
          mspId: 'HospitalMSP',
          kind: 'hospital',
          gateway: 'localhost:7051',
          ca: readIssued(ca).certificate,
          client,
          identities: { service, admin },
        },
      ],
    };
    const watched = certificatesIn(profile);
    expect(watched.map(({ name }) => name)).to.deep.equal([
      'CA of HospitalMSP',
      'service of HospitalMSP',
      'admin of HospitalMSP',
      'client TLS of HospitalMSP',
    ]);
    expect(checkExpiry(watched, new Date())).to.deep.equal([]);
  });

  it('are called by words', () => {
    expect(certificatesOf(member.identities).map(({ name }) => name)).to.include.members([
      'CA of HospitalMSP',
      'peer TLS of HospitalMSP',
      'orderer TLS of OrdererHospitalMSP',
      'service of HospitalMSP',
    ]);
  });
});
