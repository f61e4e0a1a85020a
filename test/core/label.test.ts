import { createHash, createHmac } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { parseToken, pseudonym, sealCommitment, tokenCommitment, tokenFrom } from '@yaoji/chaincode/core';
import { code } from './fabric/refusal.ts';

const { sha256 } = nodeSuite;
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const random = fc.uint8Array({ minLength: 17, maxLength: 20 });
const token = random.map(tokenFrom);

describe('token', () => {
  it('is the first 130 bits as 26 characters of Crockford base32', () => {
    fc.assert(
      fc.property(random, (bytes) => {
        const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
        const expected = Array.from(
          { length: 26 },
          (_, i) => ALPHABET[Number.parseInt(bits.slice(i * 5, i * 5 + 5), 2)],
        );
        expect(tokenFrom(bytes)).to.equal(expected.join(''));
      }),
    );
  });

  it('needs 130 bits', async () => {
    expect(await code(() => tokenFrom(new Uint8Array(16)))).to.equal('TOKEN_MALFORMED');
  });

  it('is read however it is typed: lower case, in groups, with look-alikes', () => {
    const alike: Record<string, string[]> = { '0': ['0', 'O', 'o'], '1': ['1', 'I', 'i', 'L', 'l'] };
    fc.assert(
      fc.property(token, fc.infiniteStream(fc.nat(9)), (good, choice) => {
        const pick = (): number => choice.next().value as number;
        const typed = good
          .split('')
          .map((character) => {
            const ways = alike[character] ?? [character, character.toLowerCase()];
            return ways[pick() % ways.length]! + ['', '', '', '-', ' '][pick() % 5]!;
          })
          .join('')
          .slice(0, 64);
        fc.pre(typed.replaceAll(/[- ]/g, '').length === 26);
        expect(parseToken(typed)).to.equal(good);
      }),
    );
  });

  it('is 26 characters of the alphabet and nothing else', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ maxLength: 40 }),
          fc.string({
            unit: fc.constantFrom(...ALPHABET.split(''), 'U', 'u', '*'),
            minLength: 25,
            maxLength: 27,
          }),
        ),
        (text) => {
          let read: string | undefined;
          try {
            read = parseToken(text);
          } catch {
            read = undefined;
          }
          if (read !== undefined) {
            expect(read).to.match(/^[0-9A-HJKMNP-TV-Z]{26}$/);
            expect(parseToken(read)).to.equal(read);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('refuses what is too short, too long, or foreign', async () => {
    const good = '7ZQ3M0K9XV4T1S8R5P2NBCDEFG';
    expect(parseToken(good)).to.equal(good);
    for (const text of [
      '',
      good.slice(1),
      `${good}0`,
      good.replace('Z', 'U'),
      good.replace('Z', '*'),
      `${good}${' '.repeat(40)}`,
      good.replace('Z', 'Ζ'),
    ])
      expect(await code(() => parseToken(text)), text).to.equal('TOKEN_MALFORMED');
  });
});

describe('what the ledger knows of a label and of persons', () => {
  it("is the token's hash and HMACs, as node:crypto makes them", () => {
    const good = '7ZQ3M0K9XV4T1S8R5P2NBCDEFG';
    expect(tokenCommitment(good, sha256)).to.equal(
      createHash('sha256').update(`yaoji token\n${good}`).digest('base64url'),
    );
    expect(sealCommitment(good, 'S-1', sha256)).to.equal(
      createHmac('sha256', good).update('S-1').digest('base64url'),
    );
    const key = Buffer.alloc(32, 5);
    expect(pseudonym(key, 'F', 'staff', sha256)).to.equal(
      createHmac('sha256', key).update('F\nstaff').digest('base64url'),
    );
  });

  it('does not show that one person worked on two fulfilments', () => {
    const key = Buffer.alloc(32, 5);
    expect(pseudonym(key, 'F1', 'staff', sha256)).not.to.equal(pseudonym(key, 'F2', 'staff', sha256));
  });
});
