import { createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';

import { certify, newDevelopmentCa } from '@yaoji/network/identities/certify';
import { newMembership } from '@yaoji/network/identities/membership';
import { signLowS, verifyLowS } from '@yaoji/network/identities/signature';
import { newSigner, serializeIdentity } from '@yaoji/network/identities/signer';
import { expect } from 'chai';

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

describe('Identities', () => {
  it('sign low-S, and take no other signature for good', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = createPublicKey(privateKey);
    for (let round = 0; round < 200; round++) {
      const data = randomBytes(32);
      const signature = signLowS(privateKey, data);
      expect(verifyLowS(key, data, signature)).to.equal(true);
      expect(verifyLowS(key, data, highS(signature))).to.equal(false);
      expect(verifyLowS(key, randomBytes(32), signature)).to.equal(false);
    }
  });

  it('refuse any bytes as a signature without throwing', () => {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    for (let length = 0; length < 80; length++) {
      const bytes = randomBytes(length);
      bytes.set([0x30, length - 2, 0x02].slice(0, length));
      expect(verifyLowS(publicKey, randomBytes(8), bytes)).to.equal(false);
    }
  });

  it('belong to the organisation whose CA issued them, in the unit it says', async () => {
    const ca = await newDevelopmentCa('HospitalMSP');
    const members = newMembership(new Map([['HospitalMSP', ca.certificate]]));
    const { certificate, key } = await certify(ca, { name: 'peer', ou: 'peer' });
    const signer = newSigner('HospitalMSP', certificate, key);
    const member = members.member(signer.identity);
    expect([member.mspId, member.ou]).to.deep.equal(['HospitalMSP', 'peer']);
    expect(member.verify(Buffer.from('data'), signer.sign(Buffer.from('data')))).to.equal(true);
    expect(member.isExpired(new Date())).to.equal(false);
  });

  it('do not belong where another CA of the same name issued them, nor is the CA itself a member', async () => {
    const ca = await newDevelopmentCa('HospitalMSP');
    const members = newMembership(new Map([['HospitalMSP', ca.certificate]]));
    const { certificate } = await certify(await newDevelopmentCa('HospitalMSP'), {
      name: 'peer',
      ou: 'peer',
    });
    expect(() => members.member(serializeIdentity('HospitalMSP', certificate))).to.throw('not issued');
    expect(() => members.member(serializeIdentity('HospitalMSP', ca.certificate))).to.throw('not issued');
    expect(() => members.member(serializeIdentity('NobodyMSP', certificate))).to.throw('unknown');
  });

  it('carry attributes where the contract looks for them', async () => {
    const ca = await newDevelopmentCa('HospitalMSP');
    const { certificate } = await certify(ca, {
      name: 'service',
      ou: 'client',
      attributes: { role: 'service' },
    });
    const { raw } = new X509Certificate(certificate);
    expect(raw.toString('latin1')).to.include('{"attrs":{"role":"service"}}');
  });
});

/** The other signature that is as good as this one to those who do not look at S. */
function highS(der: Buffer): Buffer {
  const at = 4 + (der[3] ?? 0);
  const s = ORDER - BigInt(`0x${der.subarray(at + 2).toString('hex')}`);
  const bytes = Buffer.from(s.toString(16).padStart(64, '0'), 'hex');
  const integer = Buffer.concat([Buffer.of(0x02, 33, 0), bytes]);
  const body = Buffer.concat([der.subarray(2, at), integer]);
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}
