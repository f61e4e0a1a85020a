import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser } from 'playwright-core';
import { CHROMIUM, FLAGS } from '../support/browser.ts';
import type { Box } from './box.ts';

// verify() in a browser, in the modules that the page's script is bundled from.

// Seen from test/dist/bench/.
const ROOT = new URL('../../../', import.meta.url);
const pathOf = (specifier: string): string =>
  fileURLToPath(import.meta.resolve(specifier)).slice(fileURLToPath(ROOT).length - 1);
/** As the page's own modules find it: another version may lie above them. */
const pathForWeb = (specifier: string): string =>
  createRequire(import.meta.resolve('@yaoji/web/suite'))
    .resolve(specifier)
    .slice(fileURLToPath(ROOT).length - 1);

/** The first verify() of a fresh page, ms, as often as asked for, with the processor so many times slower. */
export async function inChromium(box: Box, times: number, slower: number): Promise<number[] | undefined> {
  if (!existsSync(CHROMIUM)) return undefined;
  const server = await serveModules();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const taken: number[] = [];
    while (taken.length < times) taken.push(await once(browser, origin, box, slower));
    return taken;
  } finally {
    await browser.close();
    server.close();
  }
}

async function once(browser: Browser, origin: string, box: Box, slower: number): Promise<number> {
  const context = await browser.newContext();
  try {
    const page = await context.newPage();
    await page.goto(origin);
    const devtools = await context.newCDPSession(page);
    await devtools.send('Emulation.setCPUThrottlingRate', { rate: slower });
    const { ok, took } = await page.evaluate(MEASURE, box);
    if (!ok) throw new Error('the box does not verify in Chromium');
    return took;
  } finally {
    await context.close();
  }
}

/** Runs in the page. */
const MEASURE = async ({ bundle, trust, token, now }: Box): Promise<{ ok: boolean; took: number }> => {
  const { toTrust, verify } = await import('@yaoji/chaincode/core');
  const { browserSuite } = await import('@yaoji/web/suite');
  const suite = await browserSuite();
  const trusted = toTrust(trust);
  const begun = performance.now();
  const { ok } = await verify(bundle, { trust: trusted, token, now, suite });
  return { ok, took: performance.now() - begun };
};

async function serveModules(): Promise<Server> {
  const imports = {
    '@yaoji/chaincode/core': pathOf('@yaoji/chaincode/core'),
    '@yaoji/web/suite': pathOf('@yaoji/web/suite'),
    'zod/mini': pathOf('zod/mini'),
    '@noble/hashes/': pathForWeb('@noble/hashes/sha2.js').replace(/sha2\.js$/, ''),
  };
  const page = `<!doctype html><script type="importmap">${JSON.stringify({ imports })}</script>`;
  const server = createServer(({ url = '/' }, res) => {
    if (url === '/') res.setHeader('Content-Type', 'text/html').end(page);
    else if (extname(url) !== '.js') res.writeHead(404).end();
    else res.setHeader('Content-Type', 'text/javascript').end(readFileSync(new URL(url.slice(1), ROOT)));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return server;
}
