import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import {
  assertLowS,
  assertP256Key,
  lowSSignature,
  rawSignature,
  toLowS,
} from '@yaoji/chaincode/core/fabric/signature';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { code } from './refusal.ts';

const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF = ORDER >> 1n;

const scalar = (value: bigint): Uint8Array => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const raw = (r: bigint, s: bigint): Uint8Array => new Uint8Array([...scalar(r), ...scalar(s)]);
const integer = (...bytes: number[]): number[] => [2, bytes.length, ...bytes];
const sequence = (...bytes: number[]): Uint8Array => new Uint8Array([0x30, bytes.length, ...bytes]);

/** The one DER form of a scalar. */
const derOf = (value: Uint8Array): number[] => {
  const bytes = [...value.subarray(value.findIndex((byte) => byte > 0))];
  return integer(...(bytes[0]! >= 128 ? [0, ...bytes] : bytes));
};

describe('a signature', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }));
  const text = new TextEncoder().encode('药迹');

  it('of DER becomes the r ‖ s that verifies, and its low-S form too', async () => {
    for (let i = 0; i < 50; i++) {
      const found = rawSignature(sign('sha256', text, privateKey));
      expect(await nodeSuite.verify(spki, text, found)).equal(true);
      expect(await nodeSuite.verify(spki, text, toLowS(found))).equal(true);
      assertLowS(toLowS(found));
    }
  });

  it('may have an s of n/2 and no more', async () => {
    assertLowS(raw(1n, HALF));
    expect(await code(() => assertLowS(raw(1n, HALF + 1n)))).equal('SIGNATURE_MALFORMED');
    expect(toLowS(raw(5n, HALF + 1n))).deep.equal(raw(5n, HALF));
    expect(toLowS(raw(5n, ORDER - 1n))).deep.equal(raw(5n, 1n));
    expect(toLowS(raw(5n, HALF))).deep.equal(raw(5n, HALF));
  });

  it('has r and s from 1 to n − 1, and 64 bytes', async () => {
    for (const bad of [
      raw(0n, 1n),
      raw(1n, 0n),
      raw(ORDER, 1n),
      raw(1n, ORDER),
      new Uint8Array(63).fill(1),
      new Uint8Array(65).fill(1),
    ])
      expect(await code(() => assertLowS(bad))).equal('SIGNATURE_MALFORMED');
    assertLowS(raw(ORDER - 1n, 1n));
  });

  it('of an endorsement must be low-S', async () => {
    const high = sequence(...integer(1), ...integer(0, ...scalar(ORDER - 1n)));
    expect(rawSignature(high)).deep.equal(raw(1n, ORDER - 1n));
    expect(await code(() => lowSSignature(high))).equal('SIGNATURE_MALFORMED');
  });

  const refused: Record<string, Uint8Array> = {
    'nothing at all': new Uint8Array(),
    'a negative integer': sequence(...integer(0x80), ...integer(1)),
    zero: sequence(...integer(0), ...integer(1)),
    'an integer of no bytes': sequence(...integer(), ...integer(1)),
    'a padded integer': sequence(...integer(0, 1), ...integer(1)),
    'three integers': sequence(...integer(1), ...integer(1), ...integer(1)),
    'one integer': sequence(...integer(1)),
    'a long length': new Uint8Array([0x30, 0x81, 6, ...integer(1), ...integer(1)]),
    'an indefinite length': new Uint8Array([0x30, 0x80, ...integer(1), ...integer(1), 0, 0]),
    'trailing bytes': new Uint8Array([...sequence(...integer(1), ...integer(1)), 0]),
    'another tag': new Uint8Array([0x31, 6, ...integer(1), ...integer(1)]),
    'an integer of 33 bytes': sequence(...integer(1, ...Array<number>(32).fill(0)), ...integer(1)),
    'an s of 33 bytes': sequence(...integer(1), ...integer(1, ...Array<number>(32).fill(0))),
    'an r of n': sequence(...integer(0, ...scalar(ORDER)), ...integer(1)),
    'an s of n': sequence(...integer(1), ...integer(0, ...scalar(ORDER))),
    'an integer cut off': new Uint8Array([0x30, 6, 2, 1, 1, 2, 2, 1]),
  };
  for (const [what, der] of Object.entries(refused))
    it(`is refused for ${what}`, async () => {
      expect(await code(() => rawSignature(der))).match(/^(DER|SIGNATURE)_MALFORMED$/);
    });

  it('of random bytes ends in a refusal or in two scalars that have one DER form', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 12 }), async (tail) => {
        const der = new Uint8Array([0x30, tail.length, ...tail]);
        const refusal = await code(() => {
          const found = rawSignature(der);
          expect(sequence(...derOf(found.subarray(0, 32)), ...derOf(found.subarray(32)))).deep.equal(der);
        });
        expect(refusal).oneOf([undefined, 'DER_MALFORMED', 'SIGNATURE_MALFORMED']);
      }),
    );
  });

  it('is made by an uncompressed P-256 key of 91 bytes and no other', async () => {
    assertP256Key(spki);
    const others = [
      spki.subarray(1),
      new Uint8Array([...spki, 0]),
      spki.map((byte, i) => (i === 26 ? 2 : byte)),
      new Uint8Array(91),
      new Uint8Array(
        generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({
          type: 'spki',
          format: 'der',
        }),
      ),
      new Uint8Array(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })),
    ];
    for (const other of others) expect(await code(() => assertP256Key(other))).equal('SIGNATURE_MALFORMED');
    expect(() => createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })).not.throw();
  });

  it('does not verify with a point that is off the curve', async () => {
    const off = spki.slice();
    off[90]! ^= 1;
    assertP256Key(off);
    expect(await nodeSuite.verify(off, text, toLowS(rawSignature(sign('sha256', text, privateKey))))).equal(
      false,
    );
  });
});
