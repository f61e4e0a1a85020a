import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { expect } from 'chai';
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { CHECK } from '@yaoji/web/words/checks';
import { CHECKING, SAVED, TROUBLE } from '@yaoji/web/words/page';
import { CHECKS, fromBase64url, leafOf, toRecord, type Bundle } from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { browserOrSkip } from '../support/browser.ts';
import { reference, TOKEN, until } from '../support/consortium.ts';
import { readNetworkBox } from '../support/network-box.ts';
import { anchoredBox, boxAfter, type Served } from './box.ts';
import { PageServer, type Answer } from './page-server.ts';

const OTHER_TOKEN = '7ZQ3M0K9XV4T1S8R5P2NBCDEFH';
const BUNDLE = `/v1/packages/${TOKEN}/bundle`;

// These run in the page, where the compiler's libraries for tests do not reach.
const NO_WEBCRYPTO = `Object.defineProperty(Crypto.prototype, 'subtle', { get: () => undefined })`;
const SEEN_VIOLATIONS = `window.violations = [];
  document.addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective + ' ' + e.blockedURI))`;
/** Texts whose contrast with what is behind them is below WCAG's 4.5:1. */
const LOW_CONTRAST = `(() => {
  const luminance = (rgb) => rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll('body *')]
    .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()))
    .map((e) => {
      const [a, b] = [luminance(parse(getComputedStyle(e).color).slice(0, 3)), luminance(behind(e))].sort((x, y) => y - x);
      return [e.tagName + '.' + e.className, e.textContent.slice(0, 20), (a + 0.05) / (b + 0.05)];
    })
    .filter(([, , ratio]) => ratio < 4.5)
    .map(String);
})()`;
/** How far the page is wider than the window. */
const OVERFLOW = `document.documentElement.scrollWidth - document.documentElement.clientWidth`;
/** The least height of what can be touched, and the largest and the main text, in pixels. */
const MEASURES = `(() => {
  const px = (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility());
  return {
    target: Math.min(...px('.button, .switch, summary, input[type=text], input[type=file]').map((e) => e.getBoundingClientRect().height)),
    largest: Math.max(...px('body *').map((e) => parseFloat(getComputedStyle(e).fontSize))),
    main: parseFloat(getComputedStyle(document.querySelector('.taken .name')).fontSize),
  };
})()`;

/** The bundle with another salt in its first disclosure: one character of one field. */
function tampered({ bundle }: Served): Bundle {
  const changed = structuredClone(bundle);
  const { disclosures } = changed.trails[0]!.records.find((record) => record.disclosures.length > 0)!;
  const [text] = disclosures as [string];
  disclosures[0] = `${text.slice(0, 4)}${text[4] === 'A' ? 'B' : 'A'}${text.slice(5)}`;
  return changed;
}

describe('the page of a box in a real browser', function () {
  this.timeout(60_000);

  const browser = browserOrSkip();
  let server: PageServer;
  let box: Served;
  let context: BrowserContext;
  let complaints: string[];

  before(async () => {
    box = await boxAfter(until('OUT_FOR_DELIVERY'));
  });
  beforeEach(async () => {
    server = await PageServer.start();
  });
  afterEach(async () => {
    await context?.close();
    server.stop();
  });

  async function open(url: string, options: BrowserContextOptions & { script?: string } = {}): Promise<Page> {
    const { script, ...rest } = options;
    complaints = [];
    context = await browser().newContext({ viewport: { width: 375, height: 812 }, ...rest });
    await context.addInitScript(SEEN_VIOLATIONS);
    if (script) await context.addInitScript(script);
    const page = await context.newPage();
    page.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(server.origin)) complaints.push(`foreign: ${request.url()}`);
    });
    await page.goto(url);
    return page;
  }
  const result = (page: Page) => page.locator('#result .verdict');
  const checked = async (page: Page): Promise<Page> => {
    await page.locator('.checks').waitFor();
    return page;
  };
  const outcomes = async (page: Page): Promise<string[]> =>
    page
      .locator('.checks > li')
      .evaluateAll((items) => items.map(({ id, className }) => `${id} ${className}`));
  const expectNoComplaint = async (page: Page): Promise<void> => {
    expect(complaints).to.deep.equal([]);
    expect(await page.evaluate('violations')).to.deep.equal([]);
  };
  /** Whatever went wrong: nothing on the page may look or read as if something had passed. */
  const expectNothingPassed = async (page: Page): Promise<void> => {
    expect(await page.locator('.passed').count()).to.equal(0);
    expect(await page.locator('body').innerText()).not.to.match(/✓|核对通过|[^不]通过：|Passed/);
  };

  it('checks a good box: each check with its outcome, what it shows and who must be honest', async () => {
    const page = await checked(await open(server.serve(TOKEN, box)));
    expect(await result(page).getAttribute('class')).to.equal('verdict passed');
    expect(await result(page).innerText()).to.match(
      /这箱药的经过完整、没有改过，截至 \d\d:\d\d；4 家机构中的 4 家为它作证；还没有公链存证。/,
    );
    expect(await page.locator('#result').innerText()).to.contain('9 项通过，0 项不通过，2 项未检查。');
    expect(await outcomes(page)).to.deep.equal(
      CHECKS.map((id) => `check-${id} ${id === 'ordering' || id === 'anchor' ? 'not-checked' : 'passed'}`),
    );
    for (const id of CHECKS) {
      const text = await page.locator(`#check-${id}`).innerText();
      const { name, shows, honest } = CHECK[id];
      for (const words of [name, shows, honest]) expect(text).to.contain(words.zh).and.contain(words.en);
    }
    expect(await page.locator('#result').innerText()).to.contain(CHECKING.compareSeal.zh);
    expect(await page.locator('.demo').count()).to.equal(0);
    expect(await page.locator('.source').allInnerTexts()).to.have.length(3);
    for (const text of await page.locator('.source').allInnerTexts())
      expect(text).to.contain(CHECKING.storyChecked.zh);
    await expectNoComplaint(page);
  });

  it('verifies what a real Fabric network signed: endorsement and freshness pass', async () => {
    const { token, taken, ...real } = readNetworkBox();
    const page = await checked(
      await open(server.serve(token, real), { script: `Date.now = () => ${taken + 60_000};` }),
    );
    expect(await outcomes(page)).to.include.members(['check-endorsement passed', 'check-fresh passed']);
    expect(await result(page).getAttribute('class')).to.equal('verdict passed');
    await expectNoComplaint(page);
  });

  it('folds the bytes: hashes of the trails, of the logs, of the bundle and of the trust file', async () => {
    const page = await checked(await open(server.serve(TOKEN, box)));
    const bytes = page.locator('#bytes');
    expect(await bytes.locator('code').first().isVisible()).to.equal(false);
    await bytes.locator('summary').click();
    const text = await bytes.innerText();
    const sha256 = (value: unknown): string =>
      createHash('sha256').update(JSON.stringify(value)).digest('hex');
    const last = box.bundle.trails.map(({ records }) =>
      leafOf(toRecord(records.at(-1)!.record), nodeSuite.sha256),
    );
    for (const value of [sha256(box.bundle), sha256(box.trust), ...last]) expect(text).to.contain(value);
    expect(text).to.contain('4 of 4 organisations signed').and.contain('test / trace');
  });

  it('shows passed, failed and not checked apart by word, symbol and shape, not by colour alone', async () => {
    const page = await checked(
      await open(server.serve(TOKEN, box, { trust: { ...box.trust, threshold: 5 } })),
    );
    const look = async (id: string): Promise<string[]> => {
      const item = page.locator(`#check-${id}`);
      const [word, symbol, shape] = await Promise.all([
        item.locator('.outcome').innerText(),
        item.locator('.mark').innerText(),
        page.evaluate(`(({ borderStyle, borderRadius, clipPath }) => borderStyle + borderRadius + clipPath)(
          getComputedStyle(document.querySelector('#check-${id} .mark')))`),
      ]);
      return [word, symbol, String(shape)];
    };
    const looks = await Promise.all(['trail', 'endorsement', 'anchor'].map(look));
    expect(looks.map(([word, symbol]) => `${word} ${symbol}`)).to.deep.equal([
      '通过 Passed ✓',
      '不通过 Failed ✕',
      '未检查 Not checked ?',
    ]);
    expect(new Set(looks.map(([, , shape]) => shape))).to.have.length(3);
  });

  it('says that a development ledger is a demonstration, and passes none of what one operator signs', async () => {
    const trust = { ...box.trust, development: true };
    const page = await checked(await open(server.serve(TOKEN, box, { trust })));
    expect(await page.locator('.demo').innerText()).to.contain('演示账本');
    expect(await outcomes(page)).to.include.members([
      'check-endorsement not-checked',
      'check-fresh not-checked',
    ]);
    expect(await result(page).innerText())
      .to.contain('账本是演示用的')
      .and.not.contain('作证')
      .and.not.contain('完整');
  });

  it('finds one changed character, names the place, and takes back the story', async () => {
    const page = await checked(await open(server.serve(TOKEN, box, { bundle: tampered(box) })));
    expect(await result(page).getAttribute('class')).to.equal('verdict failed');
    expect(await page.locator('#result').innerText())
      .to.contain('核对不通过')
      .and.contain('请不要服用');
    const failed = page.locator('.checks > li.failed').first();
    expect(await failed.innerText()).to.match(/\/trails\/0\/records\/\d+\/disclosures\/0/);
    for (const text of await page.locator('.source').allInnerTexts())
      expect(text).to.contain(CHECKING.storyBad.zh);
    await expectNoComplaint(page);
  });

  it('takes the token from its own address: another box’s bundle under it fails', async () => {
    const page = await checked(await open(server.serve(OTHER_TOKEN, box)));
    expect(await outcomes(page)).to.include('check-box failed');
    expect(await result(page).getAttribute('class')).to.equal('verdict failed');
  });

  it('understands the address as it was typed', async () => {
    server.serve(TOKEN, box);
    server.boxes.set(TOKEN.toLowerCase(), server.boxes.get(TOKEN)!);
    const page = await checked(await open(`${server.origin}/p/${TOKEN.toLowerCase()}`));
    expect(await result(page).getAttribute('class')).to.equal('verdict passed');
    expect(server.asked).to.include(BUNDLE);
  });

  it('puts the checked story in the place of one that the server made up', async () => {
    const lie = { phase: 'DELIVERED', sealNo: 'S-00000', steps: [] };
    const page = await checked(await open(server.serve(TOKEN, box, { page: lie })));
    const text = await page.locator('main').innerText();
    expect(text).to.contain('快递员正在派送这箱药。').and.contain('S-88231').and.contain('贴标赋码 14 袋');
    expect(text).not.to.contain('S-00000').and.not.contain('已经送达');
    expect(await page.locator('#result').innerText()).to.contain(CHECKING.storyDiffers.zh);
  });

  it('does not say that the story differs where it does not', async () => {
    const all = await boxAfter(reference());
    const page = await checked(await open(server.serve(TOKEN, all)));
    expect(await page.locator('#result').innerText()).not.to.contain(CHECKING.storyDiffers.zh);
    expect(await page.locator('h1').innerText()).to.contain('这箱药已经送达。');
  });

  it('is whole without JavaScript, and says that nothing was checked', async () => {
    const page = await open(server.serve(TOKEN, box, { page: { unsettled: 2 } }), {
      javaScriptEnabled: false,
    });
    const text = await page.locator('body').innerText();
    for (const part of [
      '快递员正在派送这箱药。',
      'S-88231',
      '贴标赋码 14 袋',
      '还没有核对任何内容',
      '您的浏览器没有运行脚本',
      '另有 2 条新记录',
    ])
      expect(text).to.contain(part);
    await expectNothingPassed(page);
    await page.locator('.switch').click();
    expect(await page.evaluate('getComputedStyle(document.documentElement).fontSize')).to.equal('22.4px');
  });

  describe('when the server does not do its part', () => {
    const status =
      (code: number, headers: Record<string, string> = {}): Answer =>
      (res) =>
        void res.writeHead(code, headers).end('{"title":"no"}');
    const cases: [what: string, path: string, answer: Answer, says: keyof typeof TROUBLE][] = [
      ['goes away in the middle of the bundle', BUNDLE, brokenOff, 'offline'],
      ['does not answer at all', BUNDLE, (res) => void res.destroy(), 'offline'],
      ['goes away in the middle of the trust file', '/trust.json', brokenOff, 'offline'],
      ['knows no such box any more', BUNDLE, status(404), 'not-found'],
      ['is busy', BUNDLE, status(503, { 'Retry-After': '30' }), 'busy'],
      ['is asked too often', BUNDLE, status(429, { 'Retry-After': '60' }), 'busy'],
      ['fails', BUNDLE, status(500), 'refused'],
      ['sends what is not JSON', BUNDLE, (res) => void res.end('<html>'), 'unreadable'],
      ['sends a name twice', BUNDLE, (res) => void res.end('{"package":"a","package":"b"}'), 'unreadable'],
      ['has no trust file', '/trust.json', status(404), 'no-trust'],
      ['sends a trust file that is none', '/trust.json', (res) => void res.end('{}'), 'no-trust'],
    ];
    for (const [what, path, answer, says] of cases)
      it(`${what}: says so plainly, passes nothing, and can be asked again`, async () => {
        const url = server.serve(TOKEN, box);
        server.instead.set(path, answer);
        const page = await open(url);
        await page.locator('#retry').waitFor();
        const text = await page.locator('#result').innerText();
        expect(text).to.contain('没有核对成').and.contain(TROUBLE[says].zh.split('{')[0]);
        if (what === 'is busy') expect(text).to.contain('请等 30 秒再试');
        expect(await result(page).getAttribute('class')).to.equal('verdict not-checked');
        await expectNothingPassed(page);
        expect(await page.locator('h1').innerText()).to.contain('快递员正在派送这箱药。');
        expect(await page.evaluate('violations')).to.deep.equal([]);

        server.instead.clear();
        await page.locator('#retry').click();
        await checked(page);
        expect(await result(page).getAttribute('class')).to.equal('verdict passed');
      });

    it('is not there any more once the page stands', async () => {
      const page = await checked(await open(server.serve(TOKEN, box)));
      expect(await result(page).getAttribute('class')).to.equal('verdict passed');
      server.stop();
      await page.locator('#bytes summary').click();
      expect(await page.locator('#check-trail').innerText()).to.contain('通过');
    });

    it('sends JSON that is no bundle: the form fails, and all that rests on it', async () => {
      const page = await checked(await open(server.serve(TOKEN, box, { bundle: { package: [] } })));
      expect(await outcomes(page)).to.include('check-form failed');
      await expectNothingPassed(page);
    });
  });

  it('says the same of an unknown code, and checks nothing', async () => {
    server.serve(TOKEN, box);
    const page = await open(`${server.origin}/p/${OTHER_TOKEN}`);
    expect(await page.locator('body').innerText()).to.contain('没有这箱药的记录');
    await expectNothingPassed(page);
    expect(server.asked.filter((path) => path.startsWith('/v1/'))).to.deep.equal([]);
    expect(complaints.filter((text) => !text.includes('404'))).to.deep.equal([]);
  });

  it('loads the curve’s arithmetic only where the browser keeps WebCrypto away, and then answers alike', async () => {
    const url = server.serve(TOKEN, box);
    await checked(await open(url));
    expect(server.asked).not.to.include('/assets/app-p256.js');
    await context.close();

    const page = await checked(await open(url, { script: NO_WEBCRYPTO }));
    expect(server.asked).to.include('/assets/app-p256.js');
    expect(await result(page).innerText()).to.contain('这箱药的经过完整、没有改过');
    await expectNoComplaint(page);
    await context.close();

    const forged = structuredClone(box.bundle);
    const entry = (forged.trails[0]!.records[1]!.record as { entry: { sig: string } }).entry;
    entry.sig = (forged.trails[0]!.records[2]!.record as { entry: { sig: string } }).entry.sig;
    server.serve(TOKEN, box, { bundle: forged });
    const failed = await checked(await open(url, { script: NO_WEBCRYPTO }));
    expect(await failed.locator('#check-signatures').innerText()).to.contain(
      '/trails/0/records/1: the signature does not hold',
    );
  });

  it('fails no signature when the curve’s arithmetic cannot be loaded: then nothing was checked', async () => {
    const url = server.serve(TOKEN, box);
    server.instead.set('/assets/app-p256.js', (res) => void res.writeHead(503).end());
    const page = await open(url, { script: NO_WEBCRYPTO });
    await page.locator('#retry').waitFor();
    expect(await page.locator('#result').innerText()).to.contain(TROUBLE.offline.zh);
    await expectNothingPassed(page);
  });

  it('remembers large type: text up to 30 px, targets of 60 px; else targets of 44 px', async () => {
    const url = server.serve(TOKEN, box);
    const page = await checked(await open(url));
    const small = await page.evaluate(MEASURES);
    expect(small).to.have.property('target').at.least(44);
    await page.locator('.switch').click();
    const { target, largest, main } = await page.evaluate<Record<string, number>>(MEASURES);
    expect(target).to.be.at.least(60);
    expect(main).to.be.at.least(23);
    expect(largest).to.be.within(29, 31);
    await page.reload();
    await checked(page);
    expect(await page.evaluate(MEASURES)).to.deep.equal({ target, largest, main });
    await page.locator('.switch').click();
    await page.reload();
    await checked(page);
    expect(await page.evaluate(MEASURES)).to.deep.equal(small);
  });

  for (const colorScheme of ['light', 'dark'] as const)
    it(`can be read (${colorScheme}): contrast of 4.5:1, nothing wider than a phone`, async () => {
      for (const other of [{}, { bundle: tampered(box) }, { trust: { ...box.trust, development: true } }]) {
        const page = await checked(await open(server.serve(TOKEN, box, other), { colorScheme }));
        for (const summary of await page.locator('summary').all()) await summary.click();
        expect(await page.evaluate(LOW_CONTRAST)).to.deep.equal([]);
        expect(await page.evaluate(OVERFLOW)).to.equal(0);
        await page.setViewportSize({ width: 320, height: 640 });
        await page.locator('.switch').click();
        expect(await page.evaluate(OVERFLOW)).to.equal(0);
        await context.close();
      }
    });

  describe('asked to ask the ledger again', () => {
    const again = (page: Page) => page.locator('#again').click();
    /** The path that was asked for with a nonce, and that nonce. */
    const nonces: string[] = [];
    /** Answers with a view that carries the nonce that was asked for. */
    const honest: Answer = (res, req) => {
      const nonce = new URL(req.url!, 'http://localhost').searchParams.get('nonce');
      if (nonce) nonces.push(nonce);
      void boxAfter(reference(), nonce ? { nonce: fromBase64url(nonce) } : {}).then(({ bundle }) =>
        res.end(JSON.stringify(bundle)),
      );
    };
    beforeEach(() => void nonces.splice(0));

    it('puts its own nonce into the view, another one each time, and shows what the ledger says then', async () => {
      const page = await checked(await open(server.serve(TOKEN, box)));
      expect(server.asked.some((path) => path.includes('nonce'))).to.equal(false);
      server.instead.set(BUNDLE, honest);
      for (const _ of [1, 2]) {
        await again(page);
        await page.getByText(CHECKING.askedNow.zh).waitFor();
        expect(await result(page).getAttribute('class')).to.equal('verdict passed');
        await page.locator('.checks').waitFor();
        expect(await outcomes(page)).to.include('check-fresh passed');
        expect(await page.locator('h1').innerText()).to.contain('这箱药已经送达。');
        expect(await page.locator('#result').innerText()).not.to.contain(CHECKING.storyDiffers.zh);
        await page.evaluate(`document.querySelector('#result').append('asked')`);
      }
      expect(new Set(nonces)).to.have.length(nonces.length);
      for (const nonce of nonces) expect(nonce).to.match(/^[\w-]{32}$/);
      await expectNoComplaint(page);
    });

    it('says so plainly where the server ignores the nonce: that is not the ledger’s answer of now', async () => {
      const page = await checked(await open(server.serve(TOKEN, box)));
      await again(page);
      await page.locator('.verdict.failed').waitFor();
      expect(await result(page).innerText()).to.contain('不能证明这是账本刚才的状态');
      await page.locator('.checks').waitFor();
      expect(await outcomes(page)).to.include('check-fresh failed');
      expect(await page.locator('#result').innerText()).not.to.contain(CHECKING.badMeans.zh);
    });

    it('keeps the earlier result, called that, where the server is gone by now', async () => {
      const page = await checked(await open(server.serve(TOKEN, box)));
      const before = await result(page).innerText();
      server.instead.set(BUNDLE, brokenOff);
      await again(page);
      await page.getByText(CHECKING.notAsked.zh).waitFor();
      expect(await page.locator('#again-note').innerText()).to.contain(TROUBLE.offline.zh);
      expect(await result(page).innerText()).to.equal(before);
      server.instead.set(BUNDLE, honest);
      await again(page);
      await page.getByText(CHECKING.askedNow.zh).waitFor();
      expect(await page.locator('#again-note').innerText()).to.equal('');
    });
  });

  describe('with a file that the reader has kept', () => {
    const give = (page: Page, bundle: unknown) =>
      page.locator('#file').setInputFiles({
        name: 'kept.json',
        mimeType: 'application/json',
        buffer: Buffer.from(typeof bundle === 'string' ? bundle : JSON.stringify(bundle)),
      });

    it('checks it here, sends it nowhere, and says that later steps are not in it', async () => {
      const kept = await boxAfter(until('RELEASED'));
      const page = await checked(await open(server.serve(TOKEN, box)));
      const asked = server.asked.length;
      await give(page, kept.bundle);
      await page.getByText('这是您打开的文件“kept.json”').waitFor();
      expect(await result(page).innerText())
        .to.contain('这箱药的经过完整、没有改过，截至')
        .and.contain('之后的步骤不在里面');
      expect(await page.locator('h1').innerText()).to.contain('还在煎药中心');
      for (const text of await page.locator('.source').allInnerTexts())
        expect(text).to.contain(CHECKING.storyOld.zh);
      expect(server.asked.length).to.equal(asked);
      await expectNoComplaint(page);
    });

    it('does not pass an old one where freshness is required, and does not call it wrong either', async () => {
      const kept = await boxAfter(until('RELEASED'), { taken: Date.now() - 3_600_000 });
      const trust = { ...box.trust, required: [...box.trust.required, 'endorsement', 'fresh'] };
      const page = await checked(await open(server.serve(TOKEN, box, { trust })));
      await give(page, kept.bundle);
      await page.locator('.verdict.failed').waitFor();
      expect(await result(page).innerText())
        .to.contain('不算通过：这份记录只到')
        .and.contain('之后的步骤不在里面');
      expect(await page.locator('#result').innerText()).not.to.contain(CHECKING.badMeans.zh);
    });

    it('finds a changed one, and another box’s', async () => {
      const page = await checked(await open(server.serve(OTHER_TOKEN, box, { bundle: box.bundle })));
      await give(page, box.bundle);
      await page.getByText('这是您打开的文件').waitFor();
      expect(await result(page).innerText()).to.contain('不属于这个二维码');
      await give(page, tampered(box));
      await page.locator('#check-form.failed').waitFor();
      for (const text of await page.locator('.source').allInnerTexts())
        expect(text).to.contain(CHECKING.storyBefore.zh);
    });

    it('leaves everything as it is where the file is no bundle at all', async () => {
      const page = await checked(await open(server.serve(TOKEN, box)));
      const before = await page.locator('#result').innerText();
      await page.locator('#saved summary').click();
      await give(page, '<html>');
      expect(await page.locator('#file-note').innerText()).to.contain(SAVED.unreadable.zh);
      expect(await page.locator('#result').innerText()).to.equal(before);
    });

    it('can do so while the server gives no bundle, but not without a trust file', async () => {
      const url = server.serve(TOKEN, box);
      server.instead.set(BUNDLE, brokenOff);
      const page = await open(url);
      await page.locator('#retry').waitFor();
      await give(page, box.bundle);
      await page.locator('.verdict.passed').waitFor();
      expect(await page.locator('#result').innerText()).to.contain('这是您打开的文件');
      await context.close();

      server.instead.set('/trust.json', brokenOff);
      const without = await open(url);
      await without.locator('#retry').waitFor();
      await without.locator('#saved summary').click();
      await give(without, box.bundle);
      await without.getByText(CHECKING.notAsked.zh).waitFor();
      await expectNothingPassed(without);
    });
  });

  describe('of a box whose logs are anchored', () => {
    const bring = async (page: Page, hash: string): Promise<void> => {
      await page.locator('#block-hash').fill(hash);
      await page.locator('#block .button').click();
    };
    const anchor = (page: Page) => page.locator('#check-anchor');

    it('awaits the reader’s own block hash, names what to look up, and passes with it', async () => {
      const { block, ...anchoredNow } = await anchoredBox(
        until('OUT_FOR_DELIVERY'),
        until('OUT_FOR_DELIVERY'),
      );
      const page = await checked(await open(server.serve(TOKEN, anchoredNow)));
      expect(await result(page).innerText())
        .to.contain('公链存证等您核对')
        .and.not.contain('公开');
      expect(await anchor(page).innerText())
        .to.contain('eip155:1 的第 1207 块')
        .and.contain('从别处');
      expect(await outcomes(page)).to.include('check-anchor not-checked');
      await bring(page, ` ${block.hash.toUpperCase().replace('0X', '0x')} `);
      await page.locator('#check-anchor.passed').waitFor();
      expect(await result(page).innerText()).to.match(/；\d\d:\d\d 起在公链上公开。/);
      expect(await page.locator('#block-hash').inputValue()).to.equal(block.hash);
      await expectNoComplaint(page);
    });

    it('fails where the chain’s block is another one', async () => {
      const { block: _, ...anchoredNow } = await anchoredBox(until('DELIVERED'), until('DELIVERED'));
      const page = await checked(await open(server.serve(TOKEN, anchoredNow)));
      await bring(page, `0x${'00'.repeat(32)}`);
      await page.locator('#check-anchor.failed').waitFor();
      expect(await result(page).innerText()).to.contain('核对不通过：公链存证不成立');
      expect(await anchor(page).innerText()).to.contain('/anchor/header');
    });

    it('takes nothing for a hash that is none', async () => {
      const { block, ...anchoredNow } = await anchoredBox(until('DELIVERED'), until('DELIVERED'));
      const page = await checked(await open(server.serve(TOKEN, anchoredNow)));
      for (const text of ['', block.hash.slice(0, -1), '0x<script>']) {
        await bring(page, text);
        expect(await page.locator('#block-note').innerText()).to.contain('不是区块的哈希');
        expect(await outcomes(page)).to.include('check-anchor not-checked');
      }
    });

    it('says how many records came after it', async () => {
      const { block, bundle, trust } = await anchoredBox(until('OUT_FOR_DELIVERY'), until('HUB_SCANNED'));
      const known = { ...trust, anchor: { ...trust.anchor!, blocks: [block] } };
      const page = await checked(await open(server.serve(TOKEN, { bundle, trust: known })));
      expect(await result(page).innerText()).to.contain('公开，最新的 2 条除外。');
      expect(await anchor(page).innerText()).to.contain('最新的 2 条记录在这之后');
      expect(await outcomes(page)).to.include('check-anchor passed');
    });

    it('calls a development chain one, also where its block is known', async () => {
      const { block, bundle, trust } = await anchoredBox(until('DELIVERED'), until('DELIVERED'));
      const known = { ...trust, anchor: { ...trust.anchor!, development: true, blocks: [block] } };
      const page = await checked(await open(server.serve(TOKEN, { bundle, trust: known })));
      expect(await result(page).innerText()).to.contain('写进了开发链，那不算公开');
      expect(await anchor(page).innerText()).to.contain('是开发链，由一个运营者运行');
      expect(await outcomes(page)).to.include('check-anchor not-checked');
    });
  });

  it('says where the box is and the whole verdict on the first screen of a small phone', async () => {
    const { block, ...whole } = await anchoredBox(until('OUT_FOR_DELIVERY'), until('HUB_SCANNED'));
    const known = { ...whole.trust, anchor: { ...whole.trust.anchor!, blocks: [block] } };
    const old = await boxAfter(until('OUT_FOR_DELIVERY'), { taken: Date.now() - 3_600_000 });
    const trust = { ...box.trust, development: true };
    for (const [served, other] of [
      [{ ...whole, trust: known }, {}],
      [old, {}],
      [old, { trust: { ...trust, required: [...trust.required, 'fresh'] } }],
      [box, { trust }],
      [box, { bundle: tampered(box) }],
    ] as const) {
      const page = await checked(
        await open(server.serve(TOKEN, served, other), { viewport: { width: 375, height: 667 } }),
      );
      const end = `document.querySelector('#result .verdict').getBoundingClientRect().bottom`;
      expect(await page.evaluate(end), await result(page).innerText()).to.be.at.most(667);
      expect(await page.evaluate('scrollY')).to.equal(0);
      await context.close();
    }
  });

  it('prints all of it: what is folded on the screen, and no button', async () => {
    const page = await checked(await open(server.serve(TOKEN, box)));
    await page.emulateMedia({ media: 'print' });
    for (const text of ['煎煮开始', 'SHA-256'])
      expect(await page.getByText(text).first().isVisible(), text).to.equal(true);
    expect(await page.locator('.button:visible, input:visible, summary:visible').count()).to.equal(0);
  });

  it('keeps the result where the words of the list cannot be loaded, and says so', async () => {
    const url = server.serve(TOKEN, box);
    server.instead.set('/assets/app-checks.js', (res) => void res.writeHead(503).end());
    const page = await open(url);
    await page.getByText(CHECKING.noList.zh).waitFor();
    expect(await result(page).getAttribute('class')).to.equal('verdict passed');
  });

  it('needs at most 60 KB before its verdict, and 8 KB before it says where the box is, compressed', async () => {
    const url = server.serve(TOKEN, box);
    const page = await open(url);
    await page.locator('.verdict.passed').waitFor();
    const bytes = async (path: string): Promise<number> =>
      gzipSync(Buffer.from(await (await fetch(server.origin + path)).arrayBuffer())).length;
    const first = (await bytes(`/p/${TOKEN}`)) + (await bytes('/assets/style.css'));
    const scripts = server.asked.filter((path) => path.endsWith('.js') && path !== '/assets/app-checks.js');
    expect(scripts).to.have.members(['/assets/app.js', '/assets/app-chunk.js']);
    const script = (await Promise.all(scripts.map(bytes))).reduce((sum, size) => sum + size, 0);
    expect(first).to.be.below(8_000);
    expect(first + script).to.be.below(60_000);
  });

  it('offers the bundle as a file', async () => {
    const page = await open(server.serve(TOKEN, box));
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator('a[download]').click(),
    ]);
    expect(download.suggestedFilename()).to.equal('yaoji-bundle.json');
    const path = await download.path();
    expect(JSON.parse(await readFile(path, 'utf8'))).to.deep.equal(JSON.parse(JSON.stringify(box.bundle)));
  });
});

/** Half an answer, then a closed connection. */
function brokenOff(res: Parameters<Answer>[0]): void {
  res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '1000' });
  res.write('{"mediaType":');
  setTimeout(() => res.destroy(), 50);
}
