import canonicalize from 'canonicalize';
import { expect } from 'chai';
import fc from 'fast-check';
import { canonical, parseCanonical, parseJson, TraceError, type Json } from '@yaoji/chaincode/core';
import { code, refusal } from './fabric/refusal.ts';

const wellFormed = fc.string({ unit: 'binary' });
/** Whatever may be hashed. */
const { json } = fc.letrec<{ json: Json }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4 },
    wellFormed,
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.array(tie('json'), { maxLength: 5 }),
    fc.dictionary(
      wellFormed.filter((name) => name !== '__proto__'),
      tie('json'),
      { maxKeys: 5 },
    ),
  ),
}));
const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

describe('canonical', () => {
  it('writes what another implementation of RFC 8785 writes', () => {
    fc.assert(
      fc.property(json, (value) => canonical(value) === canonicalize(value)),
      { numRuns: 500 },
    );
  });

  it('sorts members as RFC 8785 §3.2.3 shows it', () => {
    const value = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\ud83d\ude00': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const found = JSON.parse(
      canonical(value)
        .replaceAll(/"([^"]*)":("[^"]*"),?/g, '$2,')
        .replace('{', '[')
        .replace(',}', ']'),
    );
    expect(found).to.deep.equal([
      'Carriage Return',
      'One',
      'Control',
      'Latin Small Letter O With Diaeresis',
      'Euro Sign',
      'Emoji: Grinning Face',
      'Hebrew Letter Dalet With Dagesh',
    ]);
  });

  it('escapes strings as RFC 8785 §3.2.2.2 shows it', () => {
    expect(canonical('\u20ac$\u000f\nA\'B"\\\\"/')).to.equal(`"\u20ac$\\u000f\\nA'B\\"\\\\\\\\\\"/"`);
  });

  it('leaves out members that are undefined', () => {
    expect(canonical({ b: undefined, a: 1 })).to.equal('{"a":1}');
  });

  it('refuses what cannot be hashed, and says where it stands', async () => {
    for (const bad of [
      null,
      undefined,
      1.5,
      -0,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 53,
      1n,
      '\ud800',
      'a\udc00b',
      new Date(0),
      new Map(),
      Symbol('s'),
      () => 1,
      Array(1),
    ]) {
      const found = await refusal(() => canonical({ list: [0, { 'a/b~c': bad }] }));
      if (bad === undefined) expect(found).to.equal(undefined);
      else
        expect([found?.code, found?.place.startsWith('/list/1/a~1b~0c')]).to.deep.equal([
          'VALUE_NOT_ALLOWED',
          true,
        ]);
    }
    expect(await code(() => canonical({ '\udfff': 1 }))).to.equal('VALUE_NOT_ALLOWED');
    const found = await refusal(() => parseCanonical('{"a":{"__proto__":{}}}'));
    expect([found?.code, found?.place]).to.deep.equal(['VALUE_NOT_ALLOWED', '/a/__proto__']);
  });

  it('goes 16 levels deep and no further', async () => {
    expect(canonical(nested(16))).to.equal(`${'['.repeat(16)}1${']'.repeat(16)}`);
    expect(await code(() => canonical(nested(17)))).to.equal('VALUE_NOT_ALLOWED');
  });
});

describe('parseCanonical', () => {
  it('reads back what canonical wrote', () => {
    fc.assert(
      fc.property(json, (value) => expect(parseCanonical(canonical(value))).to.deep.equal(value) && true),
    );
  });

  it('refuses every other text of the same value', async () => {
    for (const text of [
      '{"b":1,"a":2}',
      '{"a":1,"a":1}',
      '{"a":1,"a":2}',
      ' {}',
      '{ }',
      '{}\n',
      '[1, 2]',
      '"\\u0041"',
      '"\\/"',
      '1e2',
      '1.0',
      '10.0e-1',
    ])
      expect(await code(() => parseCanonical(text)), text).to.equal('JSON_NOT_CANONICAL');
    for (const text of ['null', '1.5', '-0', '[null]', '"\\ud800"', '9007199254740992'])
      expect(await code(() => parseCanonical(text)), text).to.equal('VALUE_NOT_ALLOWED');
    for (const text of ['', '{', '{a:1}', "'a'", '01', '+1', 'NaN', '[1,]'])
      expect(await code(() => parseCanonical(text)), text).to.equal('JSON_BAD');
  });
});

describe('parseJson', () => {
  it('reads what JSON.parse reads, however it is spaced', () => {
    fc.assert(
      fc.property(json, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        // JSON.stringify cannot be told apart from a person who writes `__proto__`: that name is refused, below.
        const text = JSON.stringify(value, undefined, space);
        if (text.includes('"__proto__"')) return;
        expect(parseJson(text)).to.deep.equal(JSON.parse(text));
      }),
    );
  });

  it('says where a name stands twice, escaped as RFC 6901 has it', async () => {
    const found = await refusal(() => parseJson('{"list":[{}, {"a/b~":1, "x":0, "a/b~":2}]}'));
    expect([found?.code, found?.place]).to.deep.equal(['JSON_DUPLICATE_NAME', '/list/1/a~1b~0']);
  });

  it('refuses nulls, fractions, exponents, large numbers, lone surrogates, __proto__ and depth, with the place', async () => {
    const cases: [text: string, place: string][] = [
      ['{"a":null}', '/a'],
      ['{"a":[1.5]}', '/a/0'],
      ['[1e3]', '/0'],
      ['[-0]', '/0'],
      ['[9007199254740992]', '/0'],
      ['[123456789012345678901]', '/0'],
      ['{"a":"\\ud800"}', '/a'],
      ['{"__proto__":{}}', '/__proto__'],
      ['{"\\u005f_proto__":{}}', '/__proto__'],
      ['{"a":"\u0001"}', '/a'],
      ['{"a":"unfinished', '/a'],
      ['{"a" 1}', '/a'],
      ['{"a":1,}', ''],
      ['[1,]', '/1'],
      ['[1 2]', ''],
      ['{"a":1} x', ''],
      ['\ufeff{}', ''],
      ['', ''],
      ['['.repeat(17), '/0'.repeat(16)],
    ];
    for (const [text, place] of cases) {
      const found = await refusal(() => parseJson(text));
      expect([found?.code, found?.place], text).to.deep.equal(['JSON_BAD', place]);
    }
  });

  it('refuses a text beyond its limit unread', async () => {
    expect(await code(() => parseJson('[1]', 2))).to.equal('JSON_BAD');
    expect(parseJson('[1]', 3)).to.deep.equal([1]);
  });

  it('never answers anything but a value or a refusal', () => {
    const near = fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0d8tfn1-.eE /~'.split('')) });
    fc.assert(
      fc.property(near, (text) => {
        try {
          expect(parseJson(text)).to.deep.equal(JSON.parse(text));
        } catch (error) {
          expect(error).to.be.instanceOf(TraceError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});
