import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { isRequired, leaveOut } from './left-out.ts';

// As root, without a graphics card and without an internet: what Chromium must not try on such a machine.
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * A real Chromium for the tests of this suite: the one that CHROMIUM names, or Debian's. Where there is none the suite is left
 * out with one plain line, or fails where YAOJI_REQUIRE has `browser`. Gives a function for the browser once tests run.
 */
export function browserOrSkip(): () => Browser {
  let browser: Browser | undefined;
  before(async function () {
    this.timeout(60_000);
    const path = process.env['CHROMIUM'] || '/usr/bin/chromium';
    if (!existsSync(path)) {
      const why = `there is no Chromium at ${path}; install it, or name one in CHROMIUM`;
      if (isRequired('browser')) throw new Error(why);
      leaveOut(this, 'browser', why);
    }
    browser = await chromium.launch({ executablePath: path, args: FLAGS });
  });
  after(async () => browser?.close());
  return () => {
    if (!browser) throw new Error('the browser is there only while tests run');
    return browser;
  };
}
