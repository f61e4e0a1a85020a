import { createHash, generateKeyPairSync } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  canonical,
  commit,
  disclosureDigest,
  MAX_ENTRY,
  parseDisclosure,
  parseEntry,
  printDisclosure,
  toBase64url,
  verifyEntry,
  type Entry,
  type Json,
  type Statement,
} from '@yaoji/chaincode/core';
import { keyFrom, signed } from '../support/consortium.ts';
import { code, refusal } from './fabric/refusal.ts';

const { sha256 } = nodeSuite;
const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const stationKey = toBase64url(publicKey.export({ type: 'spki', format: 'der' }));
const salt = (field: number): Uint8Array =>
  createHash('sha256').update(`salt ${field}`).digest().subarray(0, 16);

const statement: Statement = {
  step: 'HERBS_CHECKED',
  subject: keyFrom('subject'),
  links: [keyFrom('link 1'), keyFrom('link 2')].sort(),
  org: 'CentreMSP',
  site: 'site-1',
  station: 'scanner-1',
  n: 17,
  time: '2026-03-10T01:30Z',
  payload: { result: 'PASS', staff: 'TJ007', weightMilligrams: 492_300 },
};
const made = commit(statement, new Set(['result']), salt, sha256);
const entry = signed(made.entry, privateKey);

describe('disclosure', () => {
  it("has the digest of RFC 9901's own example", () => {
    const text = 'WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0';
    expect(disclosureDigest(text, sha256)).to.equal('X9yH0Ajrdm1Oij4tWso9UzzKJvPoDxwmuEcO3XAdRC0');
  });

  it('is read in its one form only: not even as that example is spaced', async () => {
    const text = 'WyJfMjZiYzRMVC1hYzZxMktJNmNCVzVlcyIsICJmYW1pbHlfbmFtZSIsICJNw7ZiaXVzIl0';
    expect(await code(() => parseDisclosure(text))).to.equal('DISCLOSURE_MALFORMED');
    expect(
      parseDisclosure(
        printDisclosure({ salt: '_26bc4LT-ac6q2KI6cBW5es', name: 'family_name', value: 'Möbius' }),
      ),
    ).to.deep.equal({
      salt: '_26bc4LT-ac6q2KI6cBW5es',
      name: 'family_name',
      value: 'Möbius',
    });
  });

  it('needs a salt of 128 bits, a name and a value', async () => {
    const print = (value: Json): string => toBase64url(Buffer.from(canonical(value)));
    const good = toBase64url(new Uint8Array(16));
    for (const value of [
      [toBase64url(new Uint8Array(15)), 'a', 1],
      [good, 'a'],
      [good, 'a', 1, 1],
      [good, 1, 'a'],
      ['!', 'a', 1],
      { 0: good },
      'text',
    ])
      expect(await code(() => parseDisclosure(print(value))), JSON.stringify(value)).to.equal(
        'DISCLOSURE_MALFORMED',
      );
    for (const text of ['', '=', 'W10=', `${print([good, 'a', 1])}=`])
      expect(await code(() => parseDisclosure(text)), text).to.equal('DISCLOSURE_MALFORMED');
  });
});

describe('entry', () => {
  it('shows the open fields, and of the others only sorted salted digests', () => {
    expect(entry.open).to.deep.equal({ result: 'PASS' });
    expect(made.disclosures.map(parseDisclosure)).to.deep.equal([
      { salt: toBase64url(salt(0)), name: 'staff', value: 'TJ007' },
      { salt: toBase64url(salt(1)), name: 'weightMilligrams', value: 492_300 },
    ]);
    const digests = made.disclosures.map((text) => createHash('sha256').update(text).digest('base64url'));
    expect(entry.digests).to.deep.equal(digests.toSorted());
    expect(canonical(entry)).not.to.contain('TJ007');
  });

  it('sorts its links and leaves them out where there are none', () => {
    const { links: _, ...rest } = statement;
    expect(
      commit({ ...rest, links: statement.links!.toReversed() }, new Set(), salt, sha256).entry.links,
    ).to.deep.equal(statement.links);
    expect(commit(rest, new Set(), salt, sha256).entry).not.to.have.property('links');
  });

  it('reads back from its line', () => {
    expect(parseEntry(canonical(entry))).to.deep.equal(entry);
  });

  it('is refused with one thing wrong, and the refusal names it', async () => {
    const cases: [name: string, change: object, place: string][] = [
      ['an unknown field', { extra: 1 }, ''],
      ['another version', { v: 2 }, '/v'],
      ['another suite', { suite: 'SM2' }, '/suite'],
      ['n of zero', { n: 0 }, '/n'],
      ['a lower-case step', { step: 'rx_issued' }, '/step'],
      ['a short subject', { subject: 'abc' }, '/subject'],
      ['a subject with unused bits set', { subject: `${'A'.repeat(21)}B` }, '/subject'],
      ['a time with seconds', { time: '2026-03-10T01:30:00Z' }, '/time'],
      ['a time before 1970', { time: '1969-12-31T23:59Z' }, '/time'],
      ['links out of order', { links: statement.links!.toReversed() }, '/links'],
      ['a link twice', { links: [statement.links![0], statement.links![0]] }, '/links'],
      ['no links at all in a list', { links: [] }, '/links'],
      ['digests out of order', { digests: entry.digests.toReversed() }, '/digests'],
      ['a digest twice', { digests: [entry.digests[0], entry.digests[0]] }, '/digests'],
      ['a short digest', { digests: ['AAAA'] }, '/digests/0'],
      ['an open list', { open: [] }, '/open'],
      ['a short signature', { sig: 'AAAA' }, '/sig'],
      ['an organisation with a slash', { org: 'a/b' }, '/org'],
    ];
    for (const [name, change, place] of cases) {
      const found = await refusal(() => parseEntry(canonical({ ...entry, ...change })));
      expect([found?.code, found?.place], name).to.deep.equal(['ENTRY_MALFORMED', place]);
    }
    for (const line of ['', 'null', '{}', canonical(entry).replace('{', '{ '), `${canonical(entry)}\n`])
      expect(await code(() => parseEntry(line)), line).to.equal('ENTRY_MALFORMED');
  });

  it('has no second text: what is read prints back to the line it was read from', async () => {
    const text = canonical(entry);
    for (const line of [
      text.replace('{"digests"', '{"__proto__":{"a":1},"digests"'),
      text.replace('"open":{', '"open":{"__proto__":{"a":1},'),
      text.replace('"open":{', '"open":{"__proto__":1,'),
    ]) {
      let read: Entry | undefined;
      try {
        read = parseEntry(line);
      } catch {
        read = undefined;
      }
      if (read) expect(canonical(read)).to.equal(line);
    }
  });

  it('may be long, but not too long', async () => {
    const room = MAX_ENTRY - canonical({ ...entry, open: { text: '' } }).length;
    expect(parseEntry(canonical({ ...entry, open: { text: 'x'.repeat(room) } })).open['text']).to.have.length(
      room,
    );
    expect(
      await code(() => parseEntry(canonical({ ...entry, open: { text: 'x'.repeat(room + 1) } }))),
    ).to.equal('ENTRY_MALFORMED');
  });
});

describe("an entry's signature", () => {
  it('holds', async () => {
    expect(await verifyEntry(entry, stationKey, nodeSuite)).to.equal(true);
  });

  it('covers every field', async () => {
    const changes: Partial<Entry>[] = [
      { step: 'HERBS_DISPENSED' },
      { subject: keyFrom('another') },
      { links: [keyFrom('another')] },
      { org: 'OtherMSP' },
      { site: 'site-2' },
      { station: 'scanner-2' },
      { n: 18 },
      { time: '2026-03-10T01:31Z' },
      { open: { result: 'FAIL' } },
      { open: {} },
      { digests: entry.digests.slice(1) },
      { digests: [] },
    ];
    const covered = new Set(changes.flatMap((change) => Object.keys(change)));
    expect(Object.keys(entry).filter((name) => !covered.has(name))).to.have.members(['v', 'suite', 'sig']);
    for (const change of changes)
      expect(
        await verifyEntry({ ...entry, ...change }, stationKey, nodeSuite),
        JSON.stringify(change),
      ).to.equal(false);
    const { links: _, ...unlinked } = entry;
    expect(await verifyEntry(unlinked, stationKey, nodeSuite)).to.equal(false);
  });

  it('has one form: the higher s is refused', async () => {
    const raw = Buffer.from(entry.sig, 'base64url');
    const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
    const high = order - BigInt(`0x${raw.toString('hex', 32)}`);
    const twin = toBase64url(
      Buffer.concat([raw.subarray(0, 32), Buffer.from(high.toString(16).padStart(64, '0'), 'hex')]),
    );
    expect(
      await nodeSuite.verify(
        Buffer.from(stationKey, 'base64url'),
        Buffer.from(canonical(made.entry)),
        Buffer.from(twin, 'base64url'),
      ),
    ).to.equal(true);
    expect(await verifyEntry({ ...entry, sig: twin }, stationKey, nodeSuite)).to.equal(false);
  });

  it('is never good with a changed bit, a zero, or under another key', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(511), async (bit) => {
        const raw = Buffer.from(entry.sig, 'base64url');
        raw[bit >> 3]! ^= 1 << (bit & 7);
        return !(await verifyEntry({ ...entry, sig: toBase64url(raw) }, stationKey, nodeSuite));
      }),
      { numRuns: 40 },
    );
    expect(
      await verifyEntry({ ...entry, sig: toBase64url(new Uint8Array(64)) }, stationKey, nodeSuite),
    ).to.equal(false);
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      type: 'spki',
      format: 'der',
    });
    expect(await verifyEntry(entry, toBase64url(other), nodeSuite)).to.equal(false);
    expect(await verifyEntry(entry, toBase64url(new Uint8Array(91)), nodeSuite)).to.equal(false);
  });
});
