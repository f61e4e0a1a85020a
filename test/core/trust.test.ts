import { expect } from 'chai';
import { toTrust } from '@yaoji/chaincode/core';
import { trustOf } from '../support/bundles.ts';
import { refusal } from './fabric/refusal.ts';

describe("a trust file's chain", () => {
  const contract = `0x${'ab'.repeat(20)}`;
  const block = { number: 1207, hash: `0x${'0c'.repeat(32)}` };
  const good = { chain: 'eip155:1', contract, development: false, blocks: [block] };
  const read = async (anchor: unknown) => toTrust({ ...(await trustOf()), anchor });

  it('may be absent, or name a chain, a contract and blocks', async () => {
    expect(toTrust(await trustOf())).not.to.have.property('anchor');
    for (const change of [{}, { blocks: [] }, { chain: 'eip155:31337', development: true }])
      expect((await read({ ...good, ...change })).anchor).to.deep.equal({ ...good, ...change });
  });

  it('is refused with the place in any other form', async () => {
    for (const [change, place] of [
      [{ chain: 'eip155:01' }, '/anchor/chain'],
      [{ chain: 'eip155:0' }, '/anchor/chain'],
      [{ chain: 'eip155:' }, '/anchor/chain'],
      [{ chain: '1' }, '/anchor/chain'],
      [{ chain: 'cosmos:hub' }, '/anchor/chain'],
      [{ chain: `eip155:${'1'.repeat(33)}` }, '/anchor/chain'],
      [{ contract: contract.slice(2) }, '/anchor/contract'],
      [{ contract: contract.toUpperCase() }, '/anchor/contract'],
      [{ contract: `${contract}0` }, '/anchor/contract'],
      [{ development: undefined }, '/anchor/development'],
      [{ blocks: undefined }, '/anchor/blocks'],
      [{ blocks: Array.from({ length: 65 }, () => block) }, '/anchor/blocks'],
      [{ blocks: [{ ...block, number: -1 }] }, '/anchor/blocks/0/number'],
      [{ blocks: [{ ...block, number: '1207' }] }, '/anchor/blocks/0/number'],
      [{ blocks: [block, { ...block, hash: block.hash.slice(2) }] }, '/anchor/blocks/1/hash'],
      [{ blocks: [{ ...block, time: 1 }] }, '/anchor/blocks/0'],
      [{ more: 1 }, '/anchor'],
    ] as const) {
      const refused = await refusal(() => read({ ...good, ...change }));
      expect([refused?.code, refused?.place], JSON.stringify(change)).to.deep.equal([
        'TRUST_MALFORMED',
        place,
      ]);
    }
  });
});
