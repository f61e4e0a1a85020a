import { expect } from 'chai';
import fc from 'fast-check';
import {
  concat,
  equal,
  fromBase64,
  fromBase64url,
  fromUtf8,
  toBase64,
  toBase64url,
  toHex,
  TraceError,
  utf8,
} from '@yaoji/chaincode/core';
import { code } from './fabric/refusal.ts';

const bytes = fc.uint8Array({ maxLength: 70 });

/** What it answers, or its refusal's code: any other error is passed on. */
function outcome<T>(run: () => T): T | string {
  try {
    return run();
  } catch (error) {
    if (error instanceof TraceError) return error.code;
    throw error;
  }
}

describe('bytes', () => {
  it('writes the test vectors of RFC 4648 §10', () => {
    const vectors = {
      '': '',
      f: 'Zg==',
      fo: 'Zm8=',
      foo: 'Zm9v',
      foob: 'Zm9vYg==',
      fooba: 'Zm9vYmE=',
      foobar: 'Zm9vYmFy',
    };
    for (const [plain, text] of Object.entries(vectors)) {
      expect(toBase64(utf8(plain))).to.equal(text);
      expect(fromUtf8(fromBase64(text))).to.equal(plain);
    }
  });

  it('encodes and decodes as Buffer does', () => {
    fc.assert(
      fc.property(bytes, (value) => {
        const buffer = Buffer.from(value);
        expect(toBase64(value)).to.equal(buffer.toString('base64'));
        expect(toBase64url(value)).to.equal(buffer.toString('base64url'));
        expect(toHex(value)).to.equal(buffer.toString('hex'));
        expect(fromBase64(toBase64(value))).to.deep.equal(value);
        expect(fromBase64url(toBase64url(value))).to.deep.equal(value);
      }),
    );
  });

  it('reads no text as base64 that it would not write', () => {
    const near = fc.string({ unit: fc.constantFrom(...'AQgwEIMx+/-_= \n'.split('')) });
    fc.assert(
      fc.property(near, (text) => {
        for (const [read, name] of [
          [fromBase64, 'base64'],
          [fromBase64url, 'base64url'],
        ] as const) {
          const canonical = Buffer.from(text, name).toString(name) === text;
          const found = outcome(() => Buffer.from(read(text)).toString('hex'));
          expect(found).to.equal(canonical ? Buffer.from(text, name).toString('hex') : 'ENCODING_BAD');
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses padding in base64url, its absence in base64, and unused bits that are not zero', async () => {
    for (const text of ['Zg==', 'Zh', 'Zm9', 'Z', 'Zm9v ', 'Zm+v', 'Zm9v\u0100'])
      expect(await code(() => fromBase64url(text)), text).to.equal('ENCODING_BAD');
    for (const text of ['Zg', 'Zh==', 'Zg=', 'Zg===', 'Zm9v====', '=', 'Zm-v'])
      expect(await code(() => fromBase64(text)), text).to.equal('ENCODING_BAD');
  });

  it('writes UTF-8 as Buffer does, and refuses lone surrogates', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '\u0080', '药', '\ud83d', '\ude00', '\u{1f33f}', '\uffff') }),
        (text) => {
          const found = outcome(() => toHex(utf8(text)));
          expect(found).to.equal(/\p{Cs}/u.test(text) ? 'ENCODING_BAD' : Buffer.from(text).toString('hex'));
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('reads UTF-8 as strictly as TextDecoder with fatal does', () => {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const lead = fc.constantFrom(
      0x41,
      0x7f,
      0x80,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xed,
      0xef,
      0xf0,
      0xf4,
      0xf5,
      0xff,
      0x9f,
      0xa0,
      0x8f,
      0x90,
    );
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          fc.array(lead, { maxLength: 6 }).map((list) => Uint8Array.from(list)),
        ),
        (value) => {
          let expected = 'ENCODING_BAD';
          try {
            expected = decoder.decode(value);
          } catch {
            // not UTF-8
          }
          expect(outcome(() => fromUtf8(value))).to.equal(expected);
        },
      ),
      { numRuns: 5000 },
    );
  });

  it('reads long texts whole', () => {
    const text = '药迹🌿'.repeat(5000);
    expect(fromUtf8(utf8(text))).to.equal(text);
  });

  it('compares and joins', () => {
    expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).to.equal(true);
    expect(equal(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).to.equal(false);
    expect(equal(Uint8Array.of(1), Uint8Array.of(1, 0))).to.equal(false);
    expect(concat(Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3))).to.deep.equal(
      Uint8Array.of(1, 2, 3),
    );
  });
});
