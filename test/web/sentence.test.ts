import { expect } from 'chai';
import { CHECKS, type AnchorFacts, type CheckId, type Outcome, type Trust } from '@yaoji/chaincode/core';
import { foundOf } from '@yaoji/web/found';
import { isWhole, sentenceOf, type Seen } from '@yaoji/web/sentence';
import { FOUND } from '@yaoji/web/words/checks';
import { CHECKING, FAILS } from '@yaoji/web/words/page';

const HASH = `0x${'ab'.repeat(32)}`;
/** 12:31 in China */
const TAKEN = Date.parse('2026-11-21T04:31:07Z');
const ANCHOR: AnchorFacts = {
  chain: 'eip155:1',
  contract: `0x${'1'.repeat(40)}`,
  seq: 3,
  block: 1207,
  hash: HASH,
  time: Date.parse('2026-11-21T04:20:59Z'),
  later: 0,
};
const trust: Trust = {
  mediaType: 'application/vnd.yaoji.trust.v1+json',
  channel: 'test',
  chaincode: 'trace',
  organisations: [],
  threshold: 3,
  required: ['form'],
  development: false,
  anchor: { chain: 'eip155:1', contract: ANCHOR.contract, development: false, blocks: [] },
};

interface Plan extends Partial<Omit<Seen, 'report' | 'trust'>> {
  ok?: boolean;
  outcomes?: Partial<Record<CheckId, Outcome>>;
  anchor?: AnchorFacts;
  /** how many of the box's records are anchored */
  anchored?: number;
  trust?: Partial<Trust>;
}
const seen = ({
  ok = true,
  outcomes = {},
  anchor,
  anchored = 1,
  trust: other,
  ...rest
}: Plan = {}): Seen => ({
  report: {
    ok,
    checks: CHECKS.map((id) => ({
      id,
      outcome: outcomes[id] ?? (id === 'ordering' ? 'not-checked' : 'passed'),
      detail: 'why',
    })),
    facts: { taken: TAKEN, signed: 4, organisations: 4, threshold: 3, ...(anchor && { anchor }) },
  },
  bundle: { package: 'box', trails: [{ subject: 'box' }], anchor: { trails: [{ records: anchored }] } },
  trust: { ...trust, ...other },
  now: TAKEN + 60_000,
  token: true,
  blocks: [],
  saved: false,
  ...rest,
});
const said = (plan?: Plan): { outcome: Outcome; zh: string; en: string } => {
  const { outcome, sentence } = sentenceOf(seen(plan));
  return { outcome, ...sentence };
};

describe('a report in one sentence', () => {
  it('says what is whole and until when, who vouches for it, and since when it is public', () => {
    expect(said({ anchor: ANCHOR })).to.deep.equal({
      outcome: 'passed',
      zh: '这箱药的经过完整、没有改过，截至 12:31；4 家机构中的 4 家为它作证；12:20 起在公链上公开。',
      en: 'This box’s trail is complete and unaltered as of 12:31; 4 of 4 organisations vouch for it; public since 12:20.',
    });
  });

  it('gives the date of what is not from today, in China, and the year of what is not from this one', () => {
    const tomorrow = said({ anchor: ANCHOR, now: TAKEN + 12 * 3_600_000 });
    expect(tomorrow.zh).to.contain('截至 11月21日 12:31').and.contain('11月21日 12:20 起');
    expect(tomorrow.en).to.contain('as of 2026-11-21 12:31').and.contain('since 2026-11-21 12:20');
    expect(said({ now: Date.parse('2026-11-21T15:59:59Z') }).zh).to.contain('截至 12:31');
    expect(said({ now: Date.parse('2026-11-21T16:00:00Z') }).zh).to.contain('截至 11月21日 12:31');
    expect(said({ now: Date.parse('2027-01-03T00:00:00Z') }).zh).to.contain('截至 2026年11月21日 12:31');
  });

  it('says that nothing is on a public chain yet, that it awaits a check, or how far it goes', () => {
    const open: Plan = { outcomes: { anchor: 'not-checked' } };
    expect(said(open).zh).to.contain('；还没有公链存证。');
    expect(said({ ...open, anchor: ANCHOR, anchored: 0 }).zh).to.contain('；还没有公链存证。');
    expect(said({ ...open, anchor: ANCHOR }).zh)
      .to.contain('；公链存证等您核对。')
      .and.not.contain('公开');
    expect(said({ anchor: { ...ANCHOR, later: 2 } }).zh).to.contain(
      '；12:20 起在公链上公开，最新的 2 条除外。',
    );
    const development = { anchor: { ...trust.anchor!, development: true } };
    expect(said({ ...open, anchor: ANCHOR, trust: development }).zh).to.contain('写进了开发链，那不算公开');
  });

  it('calls a demonstration ledger one, and nobody’s signature a witness there', () => {
    const demo = said({
      outcomes: { endorsement: 'not-checked', fresh: 'not-checked', anchor: 'not-checked' },
      trust: { development: true },
    });
    expect(demo.zh).to.contain('账本是演示用的').and.not.contain('作证').and.not.contain('完整');
    expect(demo.en).to.contain('the ledger is a demonstration').and.not.contain('vouch');
  });

  it('says of a kept file and of an old view that later steps are not in it', () => {
    expect(said({ saved: true }).zh).to.contain('截至 12:31；之后的步骤不在里面；');
    expect(said({ now: TAKEN + 11 * 60_000, outcomes: { fresh: 'not-checked' } }).en).to.contain(
      '; later steps are not in it;',
    );
    expect(said().zh).not.to.contain('之后的步骤');
  });

  it('is passed only when everything that it claims has passed', () => {
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
      const lacking: Plan = { outcomes: { [id]: 'not-checked' } };
      expect(isWhole(seen(lacking)), id).to.equal(false);
      expect(said(lacking).outcome, id).to.equal('not-checked');
      expect(said(lacking).zh, id).to.match(/^只核对了一部分/);
    }
  });

  it('claims nothing of the box where no token was given', () => {
    const without = said({ token: false, outcomes: { box: 'not-checked' } });
    expect(without.outcome).to.equal('passed');
    expect(without.zh).to.contain('没有核对是哪一箱');
  });

  it('is failed whenever the report is not ok, says what first, and how much more', () => {
    const failed = said({ ok: false, outcomes: { trail: 'failed', rules: 'failed' }, anchor: ANCHOR });
    expect(failed.outcome).to.equal('failed');
    expect(failed.zh).to.equal(`核对不通过：${FAILS.trail.zh}；另有 1 项也不通过。`);
    expect(sentenceOf(seen({ ok: false, outcomes: { box: 'failed' } })).means).to.equal(CHECKING.badMeans);
  });

  it('does not take what is merely old for something wrong, though it does not pass either', () => {
    const old: Plan = { ok: false, outcomes: { fresh: 'failed' }, now: TAKEN + 11 * 60_000 };
    expect(said(old).outcome).to.equal('failed');
    expect(said(old).zh).to.match(/^不算通过：这份记录只到 12:31/);
    expect(sentenceOf(seen(old)).means).to.equal(CHECKING.oldMeans);
    expect(said({ ...old, now: TAKEN }).zh).to.contain(FAILS.fresh.zh);
  });
});

describe('what a check found', () => {
  const found = (id: CheckId, plan?: Plan): string => foundOf(id, seen(plan), FOUND)?.zh ?? '';
  const open = (id: CheckId, more: Plan = {}): Plan => ({ ...more, outcomes: { [id]: 'not-checked' } });

  it('says why each was not made', () => {
    expect(found('box', open('box'))).to.contain('没有给出箱上的码');
    expect(found('rules', open('rules'))).to.contain('不认识的规则集');
    expect(found('endorsement', open('endorsement', { trust: { development: true } }))).to.contain(
      '演示账本',
    );
    expect(found('fresh', open('fresh', { trust: { development: true } }))).to.contain('演示账本');
    expect(found('fresh', open('fresh', { now: TAKEN + 660_000 }))).to.contain('之后的步骤不在里面');
    expect(found('ordering')).to.contain('没有装着区块').and.contain('只有一个签名');
  });

  it('says of the anchor what there is, and what is still to be done', () => {
    const anchor = (plan: Plan): string => found('anchor', open('anchor', plan));
    expect(anchor({})).to.contain('还没有公链存证');
    const { anchor: _, ...none } = trust;
    expect(
      foundOf('anchor', { ...seen(open('anchor', { anchor: ANCHOR })), trust: none }, FOUND)!.zh,
    ).to.contain('没有写明认哪条公链');
    expect(anchor({ anchor: ANCHOR, anchored: 0 })).to.contain('还没有这箱药的记录');
    expect(anchor({ anchor: ANCHOR }))
      .to.contain('链 eip155:1 的第 1207 块')
      .and.contain('从别处');
    const development = { anchor: { ...trust.anchor!, development: true } };
    const blocks = [{ number: 1207, hash: HASH }];
    expect(anchor({ anchor: ANCHOR, trust: development })).to.contain('从别处');
    expect(anchor({ anchor: ANCHOR, trust: development, blocks })).to.contain('是开发链');
    expect(found('anchor', { anchor: { ...ANCHOR, later: 2 } }))
      .to.contain('第 1207 块，12:20')
      .and.contain('最新的 2 条记录在这之后');
  });

  it('adds nothing to what failed, and says so where nothing could be read', () => {
    for (const id of CHECKS) expect(found(id, { ok: false, outcomes: { [id]: 'failed' } })).to.equal('');
    const { facts: _, ...unread } = seen(open('trail')).report;
    expect(foundOf('trail', { ...seen(), report: unread }, FOUND)!.zh).to.contain('读不懂');
  });
});
