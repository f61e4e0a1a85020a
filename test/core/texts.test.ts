import { expect } from 'chai';
import fc from 'fast-check';
import {
  canonical,
  parseEntry,
  recordBytes,
  recordText,
  signedBytes,
  toBase64url,
  utf8,
  type Entry,
  type Json,
} from '@yaoji/chaincode/core';
import { keyFrom } from '../support/consortium.ts';

// An entry's text is kept and cut, a record's is put together: both must be what canonical JSON says.

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.constantFrom('sig', '"sig":"x",', '药', '\\'),
);
const entries: fc.Arbitrary<Entry> = fc
  .record({
    sig: fc.uint8Array({ minLength: 64, maxLength: 64 }).map(toBase64url),
    n: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    site: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9-]{0,20}$/),
    open: fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      fc.oneof(text, fc.boolean(), fc.array(text)),
    ),
  })
  .map(({ sig, n, site, open }) => ({
    v: 1,
    suite: 'ES256',
    step: 'RX_ISSUED',
    subject: keyFrom('subject'),
    org: 'HospitalMSP',
    site,
    station: 'connector',
    n,
    time: '2026-03-10T01:30Z',
    // A member of the name that is cut out, with the very value that is cut out.
    open: { ...open, sig } as Record<string, Json>,
    digests: [],
    sig,
  }));
const wellFormed = (entry: Entry): boolean => {
  try {
    return canonical(entry) !== '';
  } catch {
    return false;
  }
};

describe('the text of an entry and of a record', () => {
  it('that the station signs is the canonical one without the signature, also where the entry was read', () => {
    fc.assert(
      fc.property(entries.filter(wellFormed), (entry) => {
        const { sig: _, ...unsigned } = entry;
        const expected = utf8(canonical(unsigned));
        expect(signedBytes(entry)).to.deep.equal(expected);
        expect(signedBytes(parseEntry(canonical(entry)))).to.deep.equal(expected);
      }),
    );
  });

  it('that the leaf commits to is the canonical one', () => {
    fc.assert(
      fc.property(entries.filter(wellFormed), fc.nat(), fc.nat(), (entry, index, seq) => {
        const record = {
          entry: parseEntry(canonical(entry)),
          index,
          seq,
          prev: keyFrom('prev'),
          at: '2026-03-10T01:31Z',
          rules: 'national-2009.1',
        };
        expect(recordText(record)).to.equal(canonical(record));
        expect(recordBytes(record)).to.deep.equal(utf8(canonical(record)));
      }),
    );
  });

  it('is refused where canonical JSON refuses', () => {
    const [entry] = fc.sample(entries.filter(wellFormed), 1) as [Entry];
    const record = { entry, index: 0.5, seq: 1, prev: '', at: '2026-03-10T01:31Z', rules: 'national-2009.1' };
    expect(() => recordText(record)).to.throw('0.5');
  });
});
