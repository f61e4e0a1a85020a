// Bundles the page's script: web/dist/main.js (made by `tsc -b`) into web/public/app.js, and what it loads only where it has
// to into chunks beside it; then compresses all that the page loads. `node web/build.mjs`
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const out = new URL('public/', import.meta.url);

// A chunk that is no longer made would stay for ever.
for (const name of await readdir(out))
  if (/^app.*\.js(\.map)?$|\.(br|gz)$/.test(name)) await rm(new URL(name, out));

await build({
  entryPoints: { app: fileURLToPath(new URL('dist/main.js', import.meta.url)) },
  outdir: fileURLToPath(out),
  chunkNames: 'app-[name]',
  bundle: true,
  splitting: true,
  minify: true,
  format: 'esm',
  // Modules are always read as UTF-8; escaped, the Chinese half of the words would take twice the bytes.
  charset: 'utf8',
  sourcemap: 'external',
  // What the code uses is in these from 2022 on; older browsers leave the page as the server sent it: not checked.
  target: ['chrome97', 'firefox104', 'safari15.4'],
  legalComments: 'none',
  logLevel: 'warning',
});

// Once and with all effort: on each request there would be time for a tenth less.
for (const name of await readdir(out)) {
  if (!/\.(js|css|svg)$/.test(name)) continue;
  const content = await readFile(new URL(name, out));
  const brotli = { params: { [constants.BROTLI_PARAM_SIZE_HINT]: content.length } };
  await writeFile(new URL(`${name}.br`, out), brotliCompressSync(content, brotli));
  await writeFile(new URL(`${name}.gz`, out), gzipSync(content, { level: 9 }));
}
