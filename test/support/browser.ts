import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { isRequired, leaveOut } from './left-out.ts';

/** Where Chromium is: what CHROMIUM names, or Debian's. */
export const CHROMIUM = process.env['CHROMIUM'] || '/usr/bin/chromium';

/** As root, without a graphics card and without an internet: what Chromium must not try on such a machine. */
export const FLAGS = [
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
 * A real Chromium for the tests of this suite. Where there is none the suite is left out with one plain line, or fails where
 * YAOJI_REQUIRE has `browser`. Gives a function for the browser once tests run.
 */
export function browserOrSkip(): () => Browser {
  let browser: Browser | undefined;
  before(async function () {
    this.timeout(60_000);
    if (!existsSync(CHROMIUM)) {
      const why = `there is no Chromium at ${CHROMIUM}; install it, or name one in CHROMIUM`;
      if (isRequired('browser')) throw new Error(why);
      leaveOut(this, 'browser', why);
    }
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  });
  after(async () => browser?.close());
  return () => {
    if (!browser) throw new Error('the browser is there only while tests run');
    return browser;
  };
}
