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
