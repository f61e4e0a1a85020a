import { expect } from 'chai';
import { CHECKS, type CheckId, type Outcome, type Report } from '@yaoji/chaincode/core';
import { htmlOf } from '@yaoji/web/element';
import { isWhole, resultOf } from '@yaoji/web/report';
import { CHECKING } from '@yaoji/web/words/page';

const report = (ok: boolean, others: Partial<Record<CheckId, Outcome>>): Report => ({
  ok,
  checks: CHECKS.map((id) => ({ id, outcome: others[id] ?? 'passed', detail: 'why' })),
});
const said = (given: Report, development = false): string =>
  resultOf(given, development).map(htmlOf).join('');

describe('the result of a check in one sentence', () => {
  it('is passed only when everything that the sentence claims has passed', () => {
    expect(said(report(true, { anchor: 'not-checked' }))).to.contain('核对通过：10 项通过，1 项未检查。');
    for (const id of [
      'form',
      'box',
      'signatures',
      'trail',
      'rules',
      'disclosures',
      'inclusion',
      'endorsement',
    ] as const) {
      const lacking = report(true, { [id]: 'not-checked' });
      expect(isWhole(lacking, false), id).to.equal(false);
      expect(said(lacking))
        .to.contain('只核对了一部分')
        .and.not.contain('核对通过')
        .and.not.contain('passed"');
    }
  });

  it('needs no endorsement on a development ledger, and says that it is one', () => {
    const one = report(true, { endorsement: 'not-checked', fresh: 'not-checked' });
    expect(said(one, true)).to.contain(CHECKING.okMeansDemo.zh).and.contain(CHECKING.demo.zh);
    expect(said(one, true)).not.to.contain(CHECKING.okMeans.zh);
  });

  it('is failed whenever the report is not ok, whatever has passed', () => {
    const failed = said(report(false, { trail: 'failed' }));
    expect(failed).to.contain('核对不通过：1 项不对。').and.contain('verdict failed');
    expect(failed).not.to.contain(CHECKING.clock.zh);
  });

  it('thinks of the clock of the phone when the view is not from now', () => {
    expect(said(report(false, { fresh: 'failed' }))).to.contain(CHECKING.clock.zh);
  });
});
