import { expect } from 'chai';
import fc from 'fast-check';
import { originOf, parseCheckpoint, printCheckpoint, toBase64 } from '@yaoji/chaincode/core';
import { code } from './fabric/refusal.ts';

const ROOT = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';
const GOOD = `yaoji-local/DecoctionMSP\n20852163\n${ROOT}\n`;

describe('checkpoint', () => {
  it('reads what it prints', () => {
    fc.assert(
      fc.property(
        fc.maxSafeNat(),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.string({ minLength: 1 }).filter((text) => !text.includes('\n')),
        (size, root, origin) => {
          const text = printCheckpoint({ origin, size, root });
          expect(text).to.equal(`${origin}\n${size}\n${toBase64(root)}\n`);
          expect(parseCheckpoint(text)).to.deep.equal({ origin, size, root });
        },
      ),
    );
  });

  it('names a log by channel and organisation', () => {
    expect(parseCheckpoint(GOOD).origin).to.equal(originOf('yaoji-local', 'DecoctionMSP'));
  });

  it('refuses every text that it would not print', async () => {
    for (const size of ['1e3', ' 7', '7 ', '07', '+7', '-1', '0x7', '7.0', '9007199254740992', 'NaN', ''])
      expect(await code(() => parseCheckpoint(GOOD.replace('20852163', size))), size).to.equal(
        'CHECKPOINT_MALFORMED',
      );
    for (const text of [
      '',
      GOOD.slice(0, -1),
      `${GOOD}\n`,
      `${GOOD}extension\n`,
      `\n${GOOD}`,
      GOOD.replaceAll('\n', '\r\n'),
      GOOD.replace('yaoji-local/DecoctionMSP', ''),
      GOOD.replace(ROOT, ROOT.slice(0, -1)),
      GOOD.replace(ROOT, ROOT.replace('2I=', '2J=')),
      GOOD.replace(ROOT, toBase64(new Uint8Array(31))),
      GOOD.replace(ROOT, toBase64(new Uint8Array(33))),
      GOOD.replace('/Xajj', '_Xajj'),
    ])
      expect(await code(() => parseCheckpoint(text)), text).to.equal('CHECKPOINT_MALFORMED');
  });
});
