import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { isIssuedBy, readCertificate } from '@yaoji/chaincode/core/fabric/certificate';
import { readView } from '@yaoji/chaincode/core/fabric/view';
import { eachChanged, NULL } from './der-tree.ts';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { organisation, peer, type Organisation, type Peer } from './made.ts';
import { ca, MSP_IDS, payload } from './recorded.ts';
import { code } from './refusal.ts';

const REFUSED = /^(CERTIFICATE|DER|SIGNATURE)_MALFORMED$/;

const derOf = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).raw);

function pemOf(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

/** The certificate with the one occurrence of these bytes replaced. */
function replaced(pem: string, from: string, to: string): string {
  const hex = Buffer.from(derOf(pem)).toString('hex');
  expect(hex.split(from).length).equal(2);
  return pemOf(Buffer.from(hex.replace(from, to), 'hex'));
}

const hex = (text: string): string => Buffer.from(text, 'latin1').toString('hex');

describe('a certificate', () => {
  let made: Organisation;
  let peerOf: Peer;
  before(async () => {
    made = await organisation('HospitalMSP');
    peerOf = await peer(made);
  });

  it('reads as node:crypto reads it, recorded and made alike', () => {
    const endorsers = readView(payload).endorsements.map(({ certificate }) => certificate);
    for (const pem of [...MSP_IDS.map(ca), ...endorsers, made.ca.certificate, peerOf.certificate]) {
      const found = readCertificate(pem);
      const other = new X509Certificate(pem);
      expect(found.notBefore).equal(Date.parse(other.validFrom));
      expect(found.notAfter).equal(Date.parse(other.validTo));
      expect(found.isCa).equal(other.ca);
      expect(found.publicKey).deep.equal(
        new Uint8Array(other.publicKey.export({ type: 'spki', format: 'der' })),
      );
      const units = other.subject.split('\n').filter((line) => line.startsWith('OU='));
      expect(found.organisationalUnits).deep.equal(units.map((line) => line.slice(3)));
    }
  });

  it('of an endorser says peer and is issued by its own organisation only', async () => {
    for (const { mspId, certificate } of readView(payload).endorsements) {
      const found = readCertificate(certificate);
      expect(found.organisationalUnits).deep.equal(['peer']);
      for (const other of MSP_IDS)
        expect(await isIssuedBy(found, readCertificate(ca(other)), nodeSuite)).equal(other === mspId);
    }
  });

  it('of a CA issues itself, with the high s too: Fabric lowers it', async () => {
    // This one's own signature has the high s, as cryptogen wrote it.
    const found = readCertificate(ca('OrdererRegulatorMSP'));
    expect(await isIssuedBy(found, found, nodeSuite)).equal(true);
  });

  it('is not issued by a namesake, nor by what is no CA', async () => {
    const found = readCertificate(peerOf.certificate);
    const namesake = readCertificate((await organisation('HospitalMSP')).ca.certificate);
    expect(await isIssuedBy(found, readCertificate(made.ca.certificate), nodeSuite)).equal(true);
    expect(namesake.subject).deep.equal(found.issuer);
    expect(await isIssuedBy(found, namesake, nodeSuite)).equal(false);
    expect(
      await isIssuedBy(found, { ...readCertificate(made.ca.certificate), isCa: false }, nodeSuite),
    ).equal(false);
  });

  it('may end its lines with CR LF and lack the last', () => {
    const unix = readCertificate(peerOf.certificate);
    expect(readCertificate(peerOf.certificate.replaceAll('\n', '\r\n'))).deep.equal(unix);
    expect(readCertificate(peerOf.certificate.trimEnd())).deep.equal(unix);
  });

  it('has times of the past century, the next, and the leap day', async () => {
    for (const time of [
      '1950-01-01T00:00:00Z',
      '1999-12-31T23:59:59Z',
      '2024-02-29T12:34:56Z',
      '2049-12-31T23:59:59Z',
      '2050-01-01T00:00:00Z',
      '9999-12-31T23:59:59Z',
    ]) {
      const { certificate } = await peer(made, { notBefore: new Date(time), notAfter: new Date(time) });
      const { notBefore, notAfter } = readCertificate(certificate);
      expect([notBefore, notAfter]).deep.equal([Date.parse(time), Date.parse(time)], time);
    }
  });

  it('has no time that does not exist', async () => {
    const { certificate } = await peer(made, {
      notBefore: new Date('2023-02-28T23:59:59Z'),
      notAfter: new Date('2033-01-01T00:00:00Z'),
    });
    for (const bad of [
      '230229235959Z',
      '230028235959Z',
      '231328235959Z',
      '230200235959Z',
      '230228245959Z',
      '230228236059Z',
      '230228235960Z',
      '2302282359590',
      '23022823595 Z',
    ])
      expect(
        await code(() => readCertificate(replaced(certificate, hex('230228235959Z'), hex(bad)))),
        bad,
      ).equal('CERTIFICATE_MALFORMED');
  });

  it('is refused for another key, another signature algorithm, an older version', async () => {
    const pem = peerOf.certificate;
    const otherCurve = replaced(pem, '06082a8648ce3d030107', '06082a8648ce3d030106');
    expect(await code(() => readCertificate(otherCurve))).equal('SIGNATURE_MALFORMED');
    expect(await code(() => readCertificate(replaced(pem, 'a003020102', 'a003020101')))).equal(
      'CERTIFICATE_MALFORMED',
    );
    const sha384 = Buffer.from(derOf(pem))
      .toString('hex')
      .replaceAll('06082a8648ce3d040302', '06082a8648ce3d040303');
    expect(await code(() => readCertificate(pemOf(Buffer.from(sha384, 'hex'))))).equal(
      'CERTIFICATE_MALFORMED',
    );
    const one = Buffer.from(derOf(pem))
      .toString('hex')
      .replace('06082a8648ce3d040302', '06082a8648ce3d040303');
    expect(await code(() => readCertificate(pemOf(Buffer.from(one, 'hex'))))).equal('CERTIFICATE_MALFORMED');
  });

  it('is refused for a critical extension that is not known', async () => {
    // keyUsage (2.5.29.15, critical) becomes nameConstraints (2.5.29.30).
    const pem = replaced(peerOf.certificate, '0603551d0f0101ff', '0603551d1e0101ff');
    expect(await code(() => readCertificate(pem))).equal('CERTIFICATE_MALFORMED');
  });

  it('issues nothing without the right to sign certificates', async () => {
    // keyCertSign | cRLSign becomes cRLSign only.
    const pem = replaced(made.ca.certificate, '0603551d0f0101ff040403020106', '0603551d0f0101ff040403020102');
    const found = readCertificate(pem);
    expect(found).include({ isCa: true, mayIssue: false });
    expect(await isIssuedBy(readCertificate(peerOf.certificate), found, nodeSuite)).equal(false);
  });

  it('is refused when it is not one PEM block', async () => {
    const pem = peerOf.certificate;
    const bad = [
      '',
      'x',
      ` ${pem}`,
      `${pem} `,
      pem + pem,
      `${pem}\n`,
      pem.replaceAll('CERTIFICATE', 'PUBLIC KEY'),
      pem.replace('M', '*'),
      pem.replace('\n', '\n\n='),
      pem + 'x'.repeat(20_000),
    ];
    for (const text of bad)
      expect(await code(() => readCertificate(text)), text).equal('CERTIFICATE_MALFORMED');
  });

  it('is refused when cut off or continued, and with any byte changed it is refused or not issued', async () => {
    const der = derOf(peerOf.certificate);
    const issuer = readCertificate(made.ca.certificate);
    expect(await code(() => readCertificate(pemOf(new Uint8Array([...der, 0]))))).equal('DER_MALFORMED');
    for (let i = 0; i < der.length; i++) {
      expect(await code(() => readCertificate(pemOf(der.subarray(0, i))))).match(REFUSED);
      const changed = der.map((byte, at) => (at === i ? byte ^ (1 << (i % 8)) : byte));
      const why = await code(async () => {
        expect(await isIssuedBy(readCertificate(pemOf(changed)), issuer, nodeSuite), `byte ${i}`).equal(
          false,
        );
      });
      if (why) expect(why).match(/^(CERTIFICATE|DER|SIGNATURE)_MALFORMED$|^ENCODING_BAD$/);
    }
  });

  it('has nothing more in any of its structures', async () => {
    // What nobody reads may hold what it likes, under the issuer's signature: the issuer's name, which is compared whole,
    // and the value of the authority key identifier.
    const unread = /^\/0\/3(\/|$)|^\/0\/7\/0\/2\/1(\/|$)/;
    const longer = [peerOf, made.ca].flatMap(({ certificate }) => [
      ...eachChanged(derOf(certificate), (children) => children.push(NULL)),
    ]);
    expect(longer.length).above(50);
    for (const [path, der] of longer)
      if (!unread.test(path)) expect(await code(() => readCertificate(pemOf(der))), path).match(REFUSED);
  });

  it('has no extension twice', async () => {
    for (const [path, der] of eachChanged(derOf(peerOf.certificate), (children) =>
      children.push(children.at(-1)!),
    ))
      if (path === '/0/7/0')
        expect(await code(() => readCertificate(pemOf(der)))).equal('CERTIFICATE_MALFORMED');
  });

  it('may have a path length as a CA', () => {
    const INTEGER_0 = { tag: 2, bytes: new Uint8Array([0]), children: [] };
    for (const [path, der] of eachChanged(derOf(made.ca.certificate), (children) => children.push(INTEGER_0)))
      if (path === '/0/7/0/0/2/0') expect(readCertificate(pemOf(der)).isCa).equal(true);
  });

  it('has an organisational unit that is text', async () => {
    // OU (2.5.4.11) as a T61String.
    const found = Buffer.from(derOf(peerOf.certificate)).toString('hex');
    const unit = /55040b(0c|13)0470656572/.exec(found);
    expect(unit).not.equal(null);
    const pem = replaced(peerOf.certificate, unit![0], '55040b140470656572');
    expect(await code(() => readCertificate(pem))).equal('CERTIFICATE_MALFORMED');
  });

  it('of random bytes is refused and nothing worse', async () => {
    const der = derOf(peerOf.certificate);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(der.length - 1),
        fc.uint8Array({ maxLength: 12 }),
        fc.nat(12),
        async (at, piece, cut) => {
          const changed = new Uint8Array([...der.subarray(0, at), ...piece, ...der.subarray(at + cut)]);
          await code(() => readCertificate(pemOf(changed)));
          await code(() => readCertificate(pemOf(piece)));
        },
      ),
      { numRuns: 2000 },
    );
  });
});
