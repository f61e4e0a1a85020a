import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { hmac, toHex } from '@yaoji/chaincode/core';

const repeated = (byte: number, times: number): Uint8Array => new Uint8Array(times).fill(byte);
const text = (value: string): Uint8Array => Buffer.from(value);

describe('hmac', () => {
  it('has the values of RFC 4231 §4', () => {
    const vectors: [key: Uint8Array, message: Uint8Array, hmac: string][] = [
      [
        repeated(0x0b, 20),
        text('Hi There'),
        'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      ],
      [
        text('Jefe'),
        text('what do ya want for nothing?'),
        '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      ],
      [
        repeated(0xaa, 20),
        repeated(0xdd, 50),
        '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
      ],
      [
        Uint8Array.from({ length: 25 }, (_, i) => i + 1),
        repeated(0xcd, 50),
        '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
      ],
      [
        repeated(0xaa, 131),
        text('Test Using Larger Than Block-Size Key - Hash Key First'),
        '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
      ],
      [
        repeated(0xaa, 131),
        text(
          'This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.',
        ),
        '9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2',
      ],
    ];
    for (const [key, message, expected] of vectors)
      expect(toHex(hmac(key, message, nodeSuite.sha256))).to.equal(expected);
  });

  it("is node:crypto's for keys and messages of any length", () => {
    const bytes = fc.uint8Array({ maxLength: 140 });
    fc.assert(
      fc.property(bytes, bytes, (key, message) => {
        expect(toHex(hmac(key, message, nodeSuite.sha256))).to.equal(
          createHmac('sha256', key).update(message).digest('hex'),
        );
      }),
    );
  });
});
