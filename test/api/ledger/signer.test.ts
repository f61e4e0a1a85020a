import { expect } from 'chai';
import { generateKeyPairSync, randomBytes, verify } from 'node:crypto';
import { signerOf } from '@yaoji/api/ledger/signer';
import { lowSSignature } from '@yaoji/chaincode/core';

describe("the ledger client's signer", () => {
  it('makes DER signatures with the low s, which verify, for messages of any length', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const sign = signerOf(privateKey);
    const lengths = new Set<number>();
    // One r or s in 256 is shorter than 32 bytes.
    for (let i = 0; i < 1_500; i++) {
      const message = randomBytes(i % 100);
      const der = await sign(message);
      lengths.add(der.length);
      expect(verify('sha256', message, publicKey, der)).to.equal(true);
      expect(lowSSignature(der)).to.have.length(64);
    }
    expect(Math.min(...lengths)).to.be.lessThan(70);
  });
});
