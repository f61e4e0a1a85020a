import { expect } from 'chai';
import * as fc from 'fast-check';
import { readMessage } from '@yaoji/chaincode/core/fabric/protobuf';
import { message } from './made.ts';
import { envelope } from './recorded.ts';
import { code } from './refusal.ts';

const FIELDS = {
  count: [1, 'uint'],
  name: [2, 'text'],
  data: [3, 'bytes'],
  inner: [4, 'message'],
  list: [16, 'repeated'],
} as const;

const read = (...bytes: number[]) => readMessage(new Uint8Array(bytes), FIELDS);

describe('a protobuf message', () => {
  it('is read field by field', () => {
    const bytes = message([1, 300], [2, '药'], [3, 'd'], [4, ''], [16, ''], [16, 'x']);
    expect(readMessage(bytes, FIELDS)).deep.equal({
      count: 300,
      name: '药',
      data: new Uint8Array([100]),
      inner: new Uint8Array(),
      list: [new Uint8Array(), new Uint8Array([120])],
    });
  });

  it('has defaults for what is absent, and tells an absent message from an empty one', () => {
    expect(read()).deep.equal({ count: 0, name: '', data: new Uint8Array(), inner: undefined, list: [] });
  });

  it('holds integers up to 2^53 − 1 and refuses larger ones', async () => {
    expect(readMessage(message([1, Number.MAX_SAFE_INTEGER]), FIELDS).count).equal(Number.MAX_SAFE_INTEGER);
    expect(await code(() => read(8, 128, 128, 128, 128, 128, 128, 128, 16))).equal('PROTOBUF_MALFORMED');
    expect(await code(() => read(8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1))).equal(
      'PROTOBUF_MALFORMED',
    );
    expect(await code(() => read(8, ...Array<number>(2000).fill(128), 1))).equal('PROTOBUF_MALFORMED');
  });

  const refused: Record<string, number[]> = {
    'an unknown field': [0x28, 1],
    'the field number 0': [2, 1, 1],
    'another wire type': [0x0a, 1, 1],
    'a group': [0x1b, 0x1c],
    'a fixed-width field': [0x1d, 1, 2, 3, 4],
    'a singular field twice': [8, 1, 8, 1],
    'fields out of order': [0x12, 1, 97, 8, 1],
    'a number in a longer form than needed': [8, 0x81, 0],
    'a tag in a longer form than needed': [0x88, 0, 1],
    'a length in a longer form than needed': [0x12, 0x81, 0, 97],
    'a number cut off': [8, 0x81],
    'a field cut off': [0x12, 2, 97],
    'a tag without a value': [8],
    'a default number written out': [8, 0],
    'an empty text written out': [0x12, 0],
    'empty bytes written out': [0x1a, 0],
    'a text that is not UTF-8': [0x12, 1, 0xff],
    'trailing bytes': [8, 1, 0],
  };
  for (const [what, bytes] of Object.entries(refused))
    it(`is refused for ${what}`, async () => {
      expect(await code(() => read(...bytes))).equal('PROTOBUF_MALFORMED');
    });

  it('has one serialisation only: what is read prints back to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        let found;
        try {
          found = readMessage(bytes, FIELDS);
        } catch {
          return;
        }
        const again = message(
          ...(found.count ? [[1, found.count] as const] : []),
          ...(found.name ? [[2, found.name] as const] : []),
          ...(found.data.length > 0 ? [[3, found.data] as const] : []),
          ...(found.inner ? [[4, found.inner] as const] : []),
          ...found.list.map((item) => [16, item] as const),
        );
        expect(again).deep.equal(bytes);
      }),
      { numRuns: 5000 },
    );
  });

  it('is the whole of the recorded envelope, to the byte', async () => {
    const fields = { payload: [1, 'bytes'], signature: [2, 'bytes'] } as const;
    expect(readMessage(envelope, fields).payload.length).equal(6063);
    expect(await code(() => readMessage(envelope.subarray(0, -1), fields))).equal('PROTOBUF_MALFORMED');
    expect(await code(() => readMessage(new Uint8Array([...envelope, 0]), fields))).equal(
      'PROTOBUF_MALFORMED',
    );
  });
});
