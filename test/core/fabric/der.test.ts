import { expect } from 'chai';
import { DerReader, INTEGER, positiveInteger, trueOrAbsent } from '@yaoji/chaincode/core/fabric/der';
import { code } from './refusal.ts';

const reader = (...bytes: number[]): DerReader => new DerReader(new Uint8Array(bytes));
const octets = (length: number[], size: number): DerReader =>
  reader(4, ...length, ...Array<number>(size).fill(7));

describe('a DER element', () => {
  it('has its length in the shortest form, of up to three bytes', () => {
    expect(octets([0x7f], 0x7f).next().content.length).equal(0x7f);
    expect(octets([0x81, 0x80], 0x80).next().content.length).equal(0x80);
    expect(octets([0x81, 0xff], 0xff).next().content.length).equal(0xff);
    expect(octets([0x82, 1, 0], 0x100).next().content.length).equal(0x100);
    expect(octets([0x83, 1, 0, 0], 0x10000).next().content.length).equal(0x10000);
    expect(reader(4, 1, 7, 5, 0).next().whole).deep.equal(new Uint8Array([4, 1, 7]));
  });

  const refused: Record<string, DerReader> = {
    'no bytes': reader(),
    'a tag alone': reader(4),
    'a tag of several bytes': reader(0x1f, 1, 7),
    'an indefinite length': reader(0x30, 0x80, 0, 0),
    'a length of four bytes': octets([0x84, 0, 0, 0, 0x80], 0x80),
    'a length cut off': reader(4, 0x82, 1),
    'a long form for a short length': octets([0x81, 0x7f], 0x7f),
    'a longer form than needed': octets([0x82, 0, 0x80], 0x80),
    'a three-byte form for two': octets([0x83, 0, 1, 0], 0x100),
    'content cut off': reader(4, 2, 7),
  };
  for (const [what, from] of Object.entries(refused))
    it(`is refused for ${what}`, async () => {
      expect(await code(() => from.next())).equal('DER_MALFORMED');
    });

  it('is of the tag asked for', async () => {
    expect(await code(() => reader(4, 0).next(INTEGER))).equal('DER_MALFORMED');
    expect(await code(() => reader(4, 0).end())).equal('DER_MALFORMED');
  });

  it('may be a positive integer in its shortest form', async () => {
    expect(positiveInteger(reader(2, 1, 0x7f))).deep.equal(new Uint8Array([0x7f]));
    expect(positiveInteger(reader(2, 2, 0, 0x80))).deep.equal(new Uint8Array([0x80]));
    for (const bad of [[0], [], [0x80], [0, 0x7f], [0, 0, 0x80]])
      expect(await code(() => positiveInteger(reader(2, bad.length, ...bad)))).equal('DER_MALFORMED');
  });

  it('may be true, and leaves false out', async () => {
    expect(trueOrAbsent(reader(1, 1, 0xff))).equal(true);
    expect(trueOrAbsent(reader(2, 1, 1))).equal(false);
    for (const bad of [[0], [1], [], [0xff, 0xff]])
      expect(await code(() => trueOrAbsent(reader(1, bad.length, ...bad)))).equal('DER_MALFORMED');
  });
});
