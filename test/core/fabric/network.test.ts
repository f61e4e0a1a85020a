import { expect } from 'chai';
import { toTrust, verify, type Report } from '@yaoji/chaincode/core';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { readNetworkBox } from '../../support/network-box.ts';

// What a real network of four organisations signed, verified where there is none.

describe('a bundle of a real Fabric network', () => {
  const { bundle, trust, token, taken } = readNetworkBox();
  const check = (changes: object = {}, at = taken): Promise<Report> =>
    verify(bundle, { trust: toTrust({ ...trust, ...changes }), token, now: at, suite: verifierSuite });
  const outcomes = ({ checks }: Report): Record<string, string> =>
    Object.fromEntries(checks.map(({ id, outcome }) => [id, outcome]));

  it('passes every check that it can be put to, endorsement and freshness among them', async () => {
    const report = await check();
    expect(report.ok).to.equal(true);
    expect(outcomes(report)).to.deep.equal({
      form: 'passed',
      box: 'passed',
      signatures: 'passed',
      trail: 'passed',
      rules: 'passed',
      disclosures: 'passed',
      inclusion: 'passed',
      endorsement: 'passed',
      fresh: 'passed',
      ordering: 'not-checked',
      anchor: 'not-checked',
    });
  });

  it('is signed by all four, and by no fifth', async () => {
    expect(outcomes(await check({ threshold: 4 }))['endorsement']).to.equal('passed');
    expect(outcomes(await check({ threshold: 5 }))['endorsement']).to.equal('failed');
  });

  it('fails where the trust file has another CA for one of the organisations', async () => {
    const [first, second, ...others] = trust.organisations;
    const organisations = [{ ...first!, ca: second!.ca }, second!, ...others];
    expect(outcomes(await check({ organisations }))['endorsement']).to.equal('failed');
  });

  it('is no longer fresh after a week', async () => {
    const report = await check({}, taken + 7 * 24 * 3600_000);
    expect([report.ok, outcomes(report)['fresh']]).to.deep.equal([false, 'failed']);
  });
});
