import { expect } from 'chai';
import { readConfig } from '@yaoji/api/config';

const needed = { DATABASE_URL: 'postgres://x', LEDGER_PROFILE: 'network.json', STATION_KEYS: 'keys' };

describe('the configuration', () => {
  it('names everything that is missing or unusable in one sentence', () => {
    expect(() => readConfig({ PORT: '70000' })).to.throw(
      /DATABASE_URL.*LEDGER_PROFILE.*STATION_KEYS.*PORT is not a port: 70000/,
    );
  });

  it('takes a number of organisations that must sign a view', () => {
    expect(readConfig(needed).viewers).to.equal(undefined);
    expect(readConfig({ ...needed, VIEWERS: '4' }).viewers).to.equal(4);
    for (const bad of ['0', 'all', '2.5'])
      expect(() => readConfig({ ...needed, VIEWERS: bad })).to.throw('VIEWERS is not a number');
  });

  describe('of the chain', () => {
    const chain = {
      CHAIN_RPC: 'https://node.example/secret',
      CHAIN_ID: '1',
      CHAIN_CONTRACT: `0x${'Ab'.repeat(20)}`,
      CHAIN_KEY: '/etc/yaoji/operator.key',
    };
    const read = (env: NodeJS.ProcessEnv) => readConfig({ ...needed, ...env }).chain;

    it('may be left out altogether', () => {
      expect(read({})).to.equal(undefined);
      expect(read({ ANCHOR_EVERY: '60' })).to.equal(undefined);
    });

    it('takes node, chain, contract, and a key or a signer', () => {
      expect(read(chain)).to.deep.equal({
        rpc: chain.CHAIN_RPC,
        id: 1,
        contract: `0x${'ab'.repeat(20)}`,
        key: { file: chain.CHAIN_KEY },
        every: 300_000,
      });
      const { CHAIN_KEY: _, ...rest } = chain;
      const signed = {
        ...rest,
        CHAIN_SIGNER: 'http://127.0.0.1:9000',
        ANCHOR_EVERY: '5',
        CHAIN_CONFIRMATIONS: '0',
      };
      expect(read(signed)).to.deep.include({
        key: { signer: 'http://127.0.0.1:9000' },
        every: 5_000,
        confirmations: 0,
      });
    });

    it('names what is missing of it, whichever it is', () => {
      for (const name of Object.keys(chain))
        expect(() => read({ ...chain, [name]: undefined }), name).to.throw(`${name} is missing`);
      expect(() => read({ CHAIN_SIGNER: 'http://127.0.0.1:9000' })).to.throw(
        /CHAIN_RPC is missing.*CHAIN_ID is missing.*CHAIN_CONTRACT is missing/,
      );
    });

    it('names what is unusable of it, and does not quote an address that may hold a key', () => {
      for (const [name, bad] of [
        ['CHAIN_ID', '0'],
        ['CHAIN_ID', '0x1'.repeat(9)],
        ['CHAIN_CONTRACT', '0x12'],
        ['ANCHOR_EVERY', '0'],
        ['ANCHOR_EVERY', 'often'],
        ['CHAIN_CONFIRMATIONS', '-1'],
        ['CHAIN_SIGNER', 'both'],
        ['CHAIN_RPC', 'ftp://secret'],
      ] as const)
        expect(() => read({ ...chain, [name]: bad }), `${name}=${bad}`).to.throw(name);
      expect(() => read({ ...chain, CHAIN_RPC: 'ftp://secret' })).to.throw(/^(?!.*secret)/);
    });

    it('refuses a development chain in production', () => {
      expect(read({ ...chain, CHAIN_ID: '31337' })?.id).to.equal(31_337);
      expect(() => read({ ...chain, CHAIN_ID: '31337', NODE_ENV: 'production' })).to.throw(
        'development chain',
      );
    });
  });

  it('believes no proxy unless told, and then those addresses and networks', () => {
    expect(readConfig(needed).trustProxy).to.deep.equal([]);
    const proxies = '10.0.0.7, 192.168.1.0/24 ,fd00::/8,';
    expect(readConfig({ ...needed, TRUST_PROXY: proxies }).trustProxy).to.deep.equal([
      '10.0.0.7',
      '192.168.1.0/24',
      'fd00::/8',
    ]);
  });

  it('refuses a proxy that is no address', () => {
    for (const proxy of [
      'true',
      'loopback',
      'proxy.example',
      '10.0.0.7/33',
      '10.0.0.0/8/8',
      'fd00::/129',
      '1.2.3.4/',
    ])
      expect(() => readConfig({ ...needed, TRUST_PROXY: proxy }), proxy).to.throw('TRUST_PROXY');
  });
});
