import { existsSync } from 'node:fs';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { chromium } from 'playwright-core';
import { CHROMIUM, FLAGS } from '../support/browser.ts';
import { PageServer } from '../web/page-server.ts';
import type { Box } from './box.ts';

/** Bytes as they are, and as the API sends them: its own answers compressed on the way, the page's files by the build. */
export interface Sizes {
  raw: number;
  gzip: number;
  brotli: number;
}

export const sizesOf = (content: string | Uint8Array, isBuilt = false): Sizes => ({
  raw: Buffer.byteLength(content),
  gzip: gzipSync(content, { level: isBuilt ? 9 : 6 }).length,
  brotli: brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: isBuilt ? 11 : 4 } })
    .length,
});

export function total(all: readonly Sizes[]): Sizes {
  const sum = (name: keyof Sizes): number => all.reduce((before, sizes) => before + sizes[name], 0);
  return { raw: sum('raw'), gzip: sum('gzip'), brotli: sum('brotli') };
}

/** What a page loads: what says where the box is; the page's other files; what it checks. */
export interface PageBytes {
  meaning: Sizes;
  script: Sizes;
  evidence: Sizes;
}

/** The bytes of the page of a box until it has its verdict. undefined: there is no Chromium. */
export async function pageBytes({ bundle, trust, token }: Box): Promise<PageBytes | undefined> {
  if (!existsSync(CHROMIUM)) return undefined;
  const server = await PageServer.start();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  try {
    const page = await browser.newPage();
    await page.goto(server.serve(token, { bundle, trust }), { waitUntil: 'networkidle' });
    const sizes = await Promise.all(
      [...new Set(server.asked)].map(async (path) => {
        const answer = await fetch(server.origin + path);
        return { path, ...sizesOf(new Uint8Array(await answer.arrayBuffer()), path.startsWith('/assets/')) };
      }),
    );
    const all = (pattern: RegExp): Sizes => total(sizes.filter(({ path }) => pattern.test(path)));
    return {
      meaning: all(/^\/p\/|\.css$|\.svg$/),
      // The words of the list of checks come after the verdict.
      script: all(/(?<!app-checks)\.js$/),
      evidence: all(/\/bundle$|\/trust\.json$/),
    };
  } finally {
    await browser.close();
    server.stop();
  }
}
