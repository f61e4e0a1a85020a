import { expect } from 'chai';
import fc from 'fast-check';
import { renderNotFound, renderPackagePage, type PackagePage } from '@yaoji/web/page';
import { CHECKS, RULES } from '@yaoji/chaincode/core';
import { CHECK } from '@yaoji/web/words/checks';
import { FAILS, WHERE } from '@yaoji/web/words/page';

const centre = { zh: '慈安煎药中心', en: 'Ci’an Decoction Centre' };
const courier = { zh: '速达快递', en: 'Suda Express' };
const hospital = { zh: '某某专科医院', en: 'Some Special Hospital' };

const page: PackagePage = {
  token: '7ZQ3M0K9XV4T1S8R5P2NBCDEFG',
  phase: 'OUT',
  centre,
  custodian: courier,
  bags: 14,
  sealNo: 'SEAL-204817',
  bestBefore: '2026-11-27T04:20Z',
  steps: [
    { step: 'RX_ACCEPTED', time: '2026-11-20T01:10Z', org: centre, open: { mode: 'COURIER' } },
    { step: 'DECOCT_STARTED', time: '2026-11-20T02:08Z', org: centre, open: { run: 'r1', stage: 'FIRST' } },
    { step: 'DECOCT_STARTED', time: '2026-11-20T03:10Z', org: centre, open: { run: 'r1', stage: 'SECOND' } },
    { step: 'LABELLED', time: '2026-11-20T04:22Z', org: centre, open: { bags: 14 } },
    { step: 'HANDED_OVER', time: '2026-11-20T07:05Z', org: centre, open: { bags: 14 } },
    {
      step: 'COURIER_ACCEPTED',
      time: '2026-11-20T07:06Z',
      org: courier,
      open: { sealIntact: true, bags: 14 },
    },
    { step: 'HUB_SCANNED', time: '2026-11-20T16:40Z', org: courier, open: { dir: 'IN' } },
    { step: 'OUT_FOR_DELIVERY', time: '2026-11-20T23:50Z', org: courier, open: {} },
  ],
  unsettled: 0,
};

/** What a reader sees: the text of the body, tags gone. */
const textOf = (html: string): string =>
  html
    .slice(html.indexOf('<body'))
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ');
/** Where each of these stands; they must follow one another. */
function expectInOrder(text: string, ...parts: string[]): void {
  let from = 0;
  for (const part of parts) {
    const found = text.indexOf(part, from);
    expect(found, `${part} after ${from}`).to.be.at.least(0);
    from = found + part.length;
  }
}

describe('the page of a box, as the server sends it', () => {
  const html = renderPackagePage(page);
  const text = textOf(html);

  it('says first where the box is, then what its label shows, then the steps', () => {
    expectInOrder(
      text,
      '快递员正在派送这箱药。',
      '现由 速达快递 保管',
      '封签号',
      'SEAL-204817',
      '14 袋',
      '2026-11-27 12:20',
      centre.zh,
      '这箱药的经过',
      RULES['RX_ACCEPTED']!.zh,
    );
  });

  it('says that nothing has been checked, and that this is the service’s word', () => {
    expect(text).to.contain('还没有核对任何内容');
    expect(text).to.contain('Nothing has been checked yet');
    expect(text).to.contain('本服务的说法，尚未核对');
    expect(text).to.contain('您的浏览器没有运行脚本，所以没有核对');
    expect(text).not.to.match(/核对通过|Passed|✓/);
  });

  it('tells the way in chapters, oldest first: when in China, who, and what was done', () => {
    expectInOrder(
      text,
      '这箱药的经过',
      ...[
        '处方 | 11月20日 09 时 | 慈安煎药中心 | 接方',
        '煎煮 | 10–11 时 | 慈安煎药中心 | 10 时 | 煎煮开始 头煎 | 11 时 | 煎煮开始 二煎',
        '包装 | 12 时 | 慈安煎药中心 | 贴标赋码 14 袋',
        '交接 | 15 时 | 交出 | 慈安煎药中心 | 14 袋 | 收下 | 速达快递 | 封签完好',
        '配送 | 11月21日 00–07 时 | 速达快递 | 00 时 | 中转 到站 | 07 时 | 派送',
      ].flatMap((chapter) => chapter.split(' | ')),
    );
  });

  it('shows at one glance how far the box has come, and which stages have no record', () => {
    const way = (html_: string): string[] =>
      [...html_.matchAll(/<li class="(past|now|ahead|unseen)"( aria-current="step")?>([^ ]+) /g)].map(
        ([, reached, current, stage]) => `${stage} ${reached}${current ? '!' : ''}`,
      );
    expect(way(html)).to.deep.equal([
      '处方 past',
      '调配 unseen',
      '浸泡 unseen',
      '煎煮 past',
      '包装 past',
      '质检 unseen',
      '交接 past',
      '配送 now!',
      '送达 ahead',
    ]);
    expect(way(renderPackagePage({ ...page, steps: [] })))
      .to.have.length(9)
      .and.satisfy((all: string[]) => all.every((stage) => stage.endsWith('ahead')));
  });

  it('shows a handover that the other side has not confirmed as one side alone', () => {
    const given = page.steps.slice(
      0,
      page.steps.findIndex(({ step }) => step === 'COURIER_ACCEPTED'),
    );
    const half = renderPackagePage({ ...page, phase: 'HANDED_OVER', steps: given });
    expectInOrder(textOf(half), '交出', '慈安煎药中心', '收下', '对方还没有确认收到');
    expect(html).not.to.contain('对方还没有确认收到');
  });

  it('folds a stage of many steps, and never what was not as it should be', () => {
    const boil = (result?: string) =>
      renderPackagePage({
        ...page,
        steps: [
          ...['DECOCT_STARTED', 'BOIL_REACHED', 'DECOCT_ENDED', 'STRAINED'].map((step) => ({
            step,
            time: '2026-11-20T02:08Z',
            org: centre,
            open: {},
          })),
          ...(result
            ? [{ step: 'DEVIATION_RECORDED', time: '2026-11-20T02:09Z', org: centre, open: {} }]
            : []),
        ],
      });
    expect(boil()).to.contain('看这 4 步').and.not.contain('class="warning"');
    const warned = boil('late');
    const [before] = warned.split('<details>');
    expect(before).to.contain('！与规定不同');
  });

  it('tells strangers the hour of a step, never its minute', () => {
    expect(html).not.to.match(/09:10|10:08|15:0[56]|00:40|07:50|T0[1-9]:/);
  });

  it('gives the patient’s own step to the patient', () => {
    const verified = { step: 'PATIENT_VERIFIED', time: '2026-11-21T00:50Z', org: centre };
    const own = (open: { [name: string]: boolean }): string =>
      textOf(
        renderPackagePage({ ...page, phase: 'DELIVERED', steps: [...page.steps, { ...verified, open }] }),
      );
    expectInOrder(
      own({ outerInnerMatch: true, bagCountOk: true }),
      '派送',
      '您',
      '患者扫码确认 内外标签一致 袋数相符',
    );
    expect(own({ outerInnerMatch: false, bagCountOk: true })).to.contain('！内外标签不一致');
  });

  it('says what is not as it should be', () => {
    const step = {
      step: 'COURIER_ACCEPTED',
      time: '2026-11-20T07:06Z',
      org: courier,
      open: { sealIntact: false },
    };
    const said = renderPackagePage({ ...page, steps: [step] });
    expect(said).to.contain('<li class="chapter HANDOVER warns">');
    expect(textOf(said)).to.contain('！封签破损');
  });

  it('says how many events are not settled', () => {
    expect(text).not.to.contain('还没有得到账本确认');
    expect(textOf(renderPackagePage({ ...page, unsettled: 3 }))).to.contain(
      '另有 3 条新记录还没有得到账本确认',
    );
  });

  it('says who holds the box only until it is delivered', () => {
    for (const phase of ['LABELLED', 'HANDED_OVER', 'IN_CUSTODY', 'OUT'])
      expect(textOf(renderPackagePage({ ...page, phase }))).to.contain(`现由 ${courier.zh} 保管`);
    for (const phase of ['DELIVERED', 'CLOSED']) {
      const said = textOf(renderPackagePage({ ...page, phase }));
      expect(said).to.contain(`由 ${courier.zh} 交付`);
      expect(said).not.to.match(/保管|held by/);
    }
  });

  it('has words for every phase of a package and for every check', () => {
    for (const phase of ['LABELLED', 'HANDED_OVER', 'IN_CUSTODY', 'OUT', 'DELIVERED', 'CLOSED'])
      expect(textOf(renderPackagePage({ ...page, phase }))).to.contain(WHERE[phase]!.zh);
    expect(Object.keys(CHECK)).to.deep.equal([...CHECKS]);
    expect(Object.keys(FAILS)).to.deep.equal([...CHECKS]);
  });

  it('shows nothing that a stranger may not see, even if it is handed over', () => {
    const tooMuch = renderPackagePage({
      ...page,
      steps: [
        { step: 'RX_ISSUED', time: '2026-11-20T00:58Z', org: hospital, open: { plan: 'x', validUntil: 'y' } },
        {
          step: 'RX_ROUTED',
          time: '2026-11-20T01:04Z',
          org: hospital,
          open: { centres: ['C1'], mode: 'WARD' },
        },
        { step: 'EQUIP_CLEANED', time: '2026-11-20T01:05Z', org: centre, open: { deviceId: 'POT-7' } },
        { step: 'constructor', time: '2026-11-20T01:05Z', org: hospital, open: {} },
        {
          step: 'HERBS_DISPENSED',
          time: '2026-11-20T01:22Z',
          org: centre,
          open: { actor: 'ACTOR', staff: 'STAFF-1', items: ['旋覆花'], hubCode: 'HUB-1', toString: 'x' },
        },
      ],
    });
    for (const secret of [
      '专科',
      'Hospital',
      '医院',
      'POT-7',
      'ACTOR',
      'STAFF-1',
      '旋覆花',
      'HUB-1',
      'C1',
      '开方',
    ])
      expect(tooMuch, secret).not.to.contain(secret);
    expect(textOf(tooMuch)).to.contain('调配');
  });

  it('asks to be kept out of searches, has one language tag, and loads nothing from elsewhere and nothing inline', () => {
    expect(html).to.match(/^<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">/);
    expect(html).to.contain('<meta name="robots" content="noindex');
    expect(html).to.contain('<meta name="referrer" content="no-referrer">');
    expect(html).not.to.match(/https?:|\/\/|<style|style=| on[a-z]+=|javascript:/i);
    expect(html.match(/<script[^>]*>[^<]*<\/script>/g)).to.deep.equal([
      '<script type="module" src="/assets/app.js"></script>',
    ]);
    expect(html).to.contain(`href="/v1/packages/${page.token}/bundle" download="yaoji-bundle.json"`);
  });

  it('escapes whatever it is given', () => {
    const evil = `</title></script><script>alert(1)</script>'"&<img src=x onerror=alert(1)>`;
    const names = { zh: evil, en: evil };
    const hostile = renderPackagePage({
      token: evil,
      phase: evil,
      centre: names,
      custodian: names,
      bags: 14,
      sealNo: evil,
      bestBefore: evil,
      steps: [
        { step: evil, time: evil, org: names, open: { [evil]: evil } },
        { step: 'DELIVERED', time: evil, org: names, open: { proof: evil, bags: evil, dir: { a: [evil] } } },
      ],
      unsettled: 1,
    });
    expect(hostile.match(/<script/g)).to.have.length(1);
    expect(hostile).not.to.contain('<img');
    expect(hostile).to.contain('&lt;script&gt;alert(1)&lt;/script&gt;&#39;&quot;&amp;');
    expect(textOf(hostile)).to.contain('现在说不清药箱在哪里');
    expect(textOf(hostile)).to.contain('时间不明');
  });

  it('has the same elements whatever the texts are', () => {
    const shape = (html_: string): string => [...html_.matchAll(/<[^>]*>/g)].map(([tag]) => tag).join('');
    const plain = { ...page, sealNo: 'x', custodian: { zh: 'x', en: 'x' } };
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const odd = { ...page, sealNo: a, custodian: { zh: b, en: a } };
        expect(shape(renderPackagePage(odd))).to.equal(shape(renderPackagePage(plain)));
      }),
    );
  });
});

describe('the page of a code that leads nowhere', () => {
  it('says so, and nothing of what may have been', () => {
    const html = renderNotFound();
    expect(textOf(html)).to.contain('没有这箱药的记录');
    expect(html).to.contain('noindex');
    expect(html).not.to.match(/id="check"|style=|https?:/);
  });
});
