import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { CHECK, CHECKING, TROUBLE } from '@yaoji/web/words/page';
import { CHECKS, type Bundle } from '@yaoji/chaincode/core';
import { browserOrSkip } from '../support/browser.ts';
import { reference, TOKEN, until } from '../support/consortium.ts';
import { readNetworkBox } from '../support/network-box.ts';
import { boxAfter, type Served } from './box.ts';
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
    target: Math.min(...px('.button, .switch, summary').map((e) => e.getBoundingClientRect().height)),
    largest: Math.max(...px('body *').map((e) => parseFloat(getComputedStyle(e).fontSize))),
    main: parseFloat(getComputedStyle(document.querySelector('.step .name')).fontSize),
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
    expect(await result(page).innerText()).to.contain('核对通过：9 项通过，2 项未检查。');
    expect(await outcomes(page)).to.deep.equal(
      CHECKS.map((id) => `check-${id} ${id === 'ordering' || id === 'anchor' ? 'not-checked' : 'passed'}`),
    );
    for (const id of CHECKS) {
      const text = await page.locator(`#check-${id}`).innerText();
      for (const words of Object.values(CHECK[id])) expect(text).to.contain(words.zh).and.contain(words.en);
    }
    expect(await page.locator('#result').innerText()).to.contain(CHECKING.okMeans.zh);
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

  it('folds the technical detail, with the hash of the trust file', async () => {
    const page = await checked(await open(server.serve(TOKEN, box)));
    const details = page.locator('details');
    expect(await details.locator('code').isVisible()).to.equal(false);
    await details.locator('summary').click();
    expect(await details.locator('code').innerText()).to.match(/^[0-9a-f]{64}$/);
    expect(await details.innerText()).to.contain('4 of 4 organisations signed');
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
    expect(await page.locator('#result').innerText())
      .to.contain(CHECKING.okMeansDemo.zh)
      .and.not.contain(CHECKING.okMeans.zh);
  });

  it('finds one changed character, names the place, and takes back the story', async () => {
    const page = await checked(await open(server.serve(TOKEN, box, { bundle: tampered(box) })));
    expect(await result(page).getAttribute('class')).to.equal('verdict failed');
    expect(await page.locator('#result').innerText())
      .to.contain('核对不通过')
      .and.contain('请不要服用');
    const failed = page.locator('.checks > li.failed').first();
    expect(await failed.innerText()).to.match(/哪里不对：\/trails\/0\/records\/\d+\/disclosures\/0/);
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
    expect(text).to.contain('快递员正在派送这箱药。').and.contain('S-88231').and.contain('煎煮开始 头煎');
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
      '煎煮开始 头煎',
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
      await page.locator('summary').click();
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
    expect(await result(page).innerText()).to.contain('核对通过：9 项通过，2 项未检查。');
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
        await page.locator('summary').click();
        expect(await page.evaluate(LOW_CONTRAST)).to.deep.equal([]);
        expect(await page.evaluate(OVERFLOW)).to.equal(0);
        await page.setViewportSize({ width: 320, height: 640 });
        await page.locator('.switch').click();
        expect(await page.evaluate(OVERFLOW)).to.equal(0);
        await context.close();
      }
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
