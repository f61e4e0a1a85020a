import { decodeRlp as ethersDecode, encodeRlp, getBytes, hexlify, type RlpStructuredData } from 'ethers';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  bytesOf,
  decodeRlp,
  listOf,
  MAX_RLP,
  numberOf,
  rlpOfNumber,
  type Rlp,
} from '@yaoji/chaincode/core/chain/rlp';
import { code, refusal } from '../fabric/refusal.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const ascii = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
type Named = string | number | Named[];
/** A value as Ethereum's tests write it: text is its bytes, a number is big-endian. */
const valueOf = (named: Named): Rlp => {
  if (Array.isArray(named)) return named.map(valueOf);
  if (typeof named === 'string') return ascii(named);
  return named
    ? hex(named.toString(16).padStart(named > 255 ? 4 + (named > 65_535 ? 2 : 0) : 2, '0'))
    : hex('');
};

const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
const WORDS = ['asdf', 'qwer', 'zxcv'];
const WORDS_RLP = 'cf84617364668471776572847a786376';
const LOREM = 'Lorem ipsum dolor sit amet, consectetur adipisicing elit';

/** github.com/ethereum/tests, RLPTests/rlptest.json: what is read, and its only encoding. */
const VALID: [name: string, value: Named, rlp: string][] = [
  ['emptystring', '', '80'],
  ['bytestring00', '\u0000', '00'],
  ['bytestring01', '\u0001', '01'],
  ['bytestring7F', '\u007f', '7f'],
  ['shortstring', 'dog', '83646f67'],
  ['shortstring2', LOREM.slice(0, 55), `b7${Buffer.from(LOREM.slice(0, 55)).toString('hex')}`],
  ['longstring', LOREM, `b838${Buffer.from(LOREM).toString('hex')}`],
  ['zero', 0, '80'],
  ['smallint', 1, '01'],
  ['smallint4', 127, '7f'],
  ['mediumint1', 128, '8180'],
  ['mediumint2', 1000, '8203e8'],
  ['mediumint3', 100_000, '830186a0'],
  ['emptylist', [], 'c0'],
  ['stringlist', ['dog', 'god', 'cat'], 'cc83646f6783676f6483636174'],
  ['multilist', ['zw', [4], 1], 'c6827a77c10401'],
  [
    'shortListMax1',
    [...WORDS, ...WORDS, ...WORDS, 'asdf', 'qwer'],
    `f7${WORDS_RLP.slice(2).repeat(3)}84617364668471776572`,
  ],
  ['longList1', times(4, WORDS), `f840${WORDS_RLP.repeat(4)}`],
  ['longList2', times(32, WORDS), `f90200${WORDS_RLP.repeat(32)}`],
  ['listsoflists', [[[], []], []], 'c4c2c0c0c0'],
  ['listsoflists2', [[], [[]], [[], [[]]]], 'c7c0c1c0c3c0c1c0'],
  [
    'dictTest1',
    [1, 2, 3, 4].map((n) => [`key${n}`, `val${n}`]),
    'ecca846b6579318476616c31ca846b6579328476616c32ca846b6579338476616c33ca846b6579348476616c34',
  ],
];

/** The same, RLPTests/invalidRLPTest.json. */
const INVALID: [name: string, rlp: string][] = [
  ['int32Overflow', 'bf0f000000000000021111'],
  ['int32Overflow2', 'ff0f000000000000021111'],
  ['wrongSizeList', 'f80180'],
  ['wrongSizeList2', 'f80100'],
  ['incorrectLengthInArray', 'b9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be3f82ea2110e582081b0565df0'],
  [
    'randomRLP',
    'f861f83eb9002100dc2b275d0f74e8a53e6f4ec61b27f24278820be3f82ea2110e582081b0565df027b90015002d5ef8325ae4d034df55d4b58d0dfba64d61ddd17be00000b9001a00dae30907045a2f66fa36f2bb8aa9029cbb0b8a7b3b5c435ab331',
  ],
  ['bytesShouldBeSingleByte00', '8100'],
  ['bytesShouldBeSingleByte01', '8101'],
  ['bytesShouldBeSingleByte7F', '817f'],
  ['leadingZerosInLongLengthArray1', `b90040${'00'.repeat(64)}`],
  ['leadingZerosInLongLengthArray2', 'b800'],
  ['leadingZerosInLongLengthList1', `fb00000040${'00'.repeat(64)}`],
  ['leadingZerosInLongLengthList2', 'f800'],
  ['nonOptimalLongLengthArray1', 'b81000112233445566778899aabbccddeeff'],
  ['nonOptimalLongLengthArray2', 'b801ff'],
  ['nonOptimalLongLengthList1', 'f810000102030405060708090a0b0c0d0e0f'],
  ['nonOptimalLongLengthList2', 'f803112233'],
];

const plain = (value: Rlp): RlpStructuredData =>
  value instanceof Uint8Array ? hexlify(value) : value.map(plain);
const { value: anyValue } = fc.letrec<{ value: Rlp; list: Rlp[] }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.uint8Array({ maxLength: 4 }),
    fc.uint8Array({ minLength: 50, maxLength: 300 }),
    tie('list'),
  ),
  list: fc.array(tie('value'), { maxLength: 12 }),
}));

describe('RLP', () => {
  for (const [name, value, rlp] of VALID)
    it(`reads Ethereum's own ${name}`, () => {
      expect(decodeRlp(hex(rlp))).to.deep.equal(valueOf(value));
    });

  for (const [name, rlp] of INVALID)
    it(`refuses Ethereum's own ${name}`, async () => {
      expect(await code(() => decodeRlp(hex(rlp)))).to.equal('RLP_MALFORMED');
    });

  it('reads what another library writes, whatever its shape', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        expect(plain(decodeRlp(getBytes(encodeRlp(plain(value)))))).to.deep.equal(plain(value));
      }),
    );
  });

  it('has one encoding for each value: what it reads is written back as the same bytes', () => {
    const near = fc.tuple(anyValue, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([value, at, mask]) => {
      const bytes = getBytes(encodeRlp(plain(value)));
      bytes[at % bytes.length]! ^= mask;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(near, fc.uint8Array({ maxLength: 40 })), (bytes) => {
        let value: Rlp;
        try {
          value = decodeRlp(bytes);
        } catch (error) {
          expect(error).to.have.property('code', 'RLP_MALFORMED');
          return;
        }
        expect(hexlify(bytes)).to.equal(encodeRlp(plain(value)));
        expect(plain(value)).to.deep.equal(ethersDecode(bytes));
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses every cut of a value, and every byte after it', async () => {
    const bytes = hex(VALID.find(([name]) => name === 'longList2')![2]);
    for (let size = 0; size < bytes.length; size++)
      expect(await code(() => decodeRlp(bytes.subarray(0, size)))).to.equal('RLP_MALFORMED');
    expect(await code(() => decodeRlp(Uint8Array.of(...bytes, 0)))).to.equal('RLP_MALFORMED');
  });

  it('refuses an item that reaches beyond its list', async () => {
    expect((await refusal(() => decodeRlp(hex('c483646f'))))?.message).to.equal('a value is cut off');
    // The list ends inside its item, though the bytes go on.
    expect((await refusal(() => decodeRlp(hex('c6c383646f6780'))))?.code).to.equal('RLP_MALFORMED');
    expect((await refusal(() => decodeRlp(hex('c2c28080'))))?.code).to.equal('RLP_MALFORMED');
  });

  it('refuses what is too deep or too large, at once', async () => {
    // Inside out, as what writes it in one go goes as deep as it does.
    const nested = (depth: number): Uint8Array => {
      let text = 'c0';
      for (let i = 1; i < depth; i++) {
        const size = text.length / 2;
        const long = size.toString(16).padStart(size > 255 ? 4 : 2, '0');
        text = (size < 56 ? (0xc0 + size).toString(16) : (0xf7 + long.length / 2).toString(16) + long) + text;
      }
      return hex(text);
    };
    expect(decodeRlp(nested(16))).to.have.length(1);
    expect((await refusal(() => decodeRlp(nested(17))))?.message).to.equal('nested too deeply');
    expect((await refusal(() => decodeRlp(nested(5000))))?.message).to.equal('nested too deeply');
    const many = new Uint8Array(MAX_RLP - 1).fill(1);
    many.set([0xf9, 0xff, 0xfc]);
    expect(decodeRlp(many)).to.have.length(0xfffc);
    const large = getBytes(encodeRlp(new Uint8Array(MAX_RLP)));
    expect((await refusal(() => decodeRlp(large)))?.message).to.equal('longer than 65536 bytes');
  });

  it('writes numbers as Ethereum does, and reads only those back', async () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (number) => {
        expect(hexlify(rlpOfNumber(number))).to.equal(
          encodeRlp(
            number
              ? `0x${number
                  .toString(16)
                  .padStart(14, '0')
                  .replace(/^(00)+/, '')}`
              : '0x',
          ),
        );
        expect(numberOf(decodeRlp(rlpOfNumber(number)), 'it')).to.equal(number);
      }),
    );
    for (const bytes of [hex('00'), hex('0001'), hex('20000000000000'), new Uint8Array(40).fill(255)])
      expect(await code(() => numberOf(bytes, 'it')), hexlify(bytes)).to.equal('RLP_MALFORMED');
    expect(numberOf(hex('1fffffffffffff'), 'it')).to.equal(Number.MAX_SAFE_INTEGER);
  });

  it('keeps bytes and lists apart, and says what was expected', async () => {
    expect((await refusal(() => bytesOf([], 'the status')))?.message).to.equal(
      'the status is not a string of bytes',
    );
    expect((await refusal(() => bytesOf(undefined, 'the status')))?.code).to.equal('RLP_MALFORMED');
    expect((await refusal(() => bytesOf(hex('00'), 'the root', 32)))?.message).to.equal(
      'the root has not 32 bytes',
    );
    expect((await refusal(() => listOf(hex('00'), 'the header')))?.message).to.equal(
      'the header is not a list',
    );
    expect((await refusal(() => numberOf([], 'it')))?.code).to.equal('RLP_MALFORMED');
  });
});
