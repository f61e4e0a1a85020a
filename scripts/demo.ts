import { mkdirSync, writeFileSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Bundle } from '@yaoji/chaincode/core';
import { anchoredBundle, withBlock } from './anchored.ts';
import { toChainKind } from './chain-settings.ts';
import { fetchBundle, fetchTrust } from './client.ts';
import { findInstance, startInstance, type Access } from './instance.ts';
import { playAloud, say } from './play-aloud.ts';

const USAGE =
  'usage: npm run demo -- --out DIR [--ledger local|fabric] [--data DIR] [--chain development|none]';
const DATA = { local: '.yaoji', fabric: '.yaoji-fabric' } as const;

/**
 * Plays the reference prescription against the instance that runs from --data (default .yaoji, .yaoji-fabric with --ledger
 * fabric), or against one that it starts for itself, and writes what the box's holder would have: bundle, trust, token and label.
 */
async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      ledger: { type: 'string', default: 'local' },
      data: { type: 'string' },
      chain: { type: 'string', default: 'development' },
    },
  });
  const chain = toChainKind(values.chain);
  const { ledger } = values;
  if (!values.out || (ledger !== 'local' && ledger !== 'fabric')) throw new Error(USAGE);
  const running = await findInstance(values.data ?? DATA[ledger]);
  if (running) return demonstrate(running, values.out);

  say('no running instance found: starting one for this demonstration');
  const folder = await mkdtemp(join(tmpdir(), 'yaoji-demo-'));
  // PostgreSQL does not run as root: where we do, its user must be able to enter.
  await chmod(folder, 0o755);
  const publicUrl = process.env['PUBLIC_URL'];
  const instance = await startInstance({ folder, ledger, publicUrl, chain, log: say });
  try {
    await demonstrate(instance.access, values.out);
  } finally {
    await instance.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function demonstrate(access: Access, out: string): Promise<void> {
  const played = await playAloud(access);
  const folder = resolve(out);
  mkdirSync(folder, { recursive: true });
  const write = (name: string, content: string | Uint8Array): void =>
    writeFileSync(join(folder, name), content);
  const { bundle, trust } = await evidenceOf(access, played.token);
  write('bundle.json', `${JSON.stringify(bundle)}\n`);
  write('trust.json', trust);
  write('token.txt', `${played.token}\n`);
  for (const kind of ['svg', 'png'])
    write(`label.${kind}`, await bytesOf(`${access.url}/v1/packages/${played.token}/label.${kind}`));
  say(`\nwritten to ${out}: bundle.json trust.json token.txt label.svg label.png`);
  say(
    `check it offline: npx yaoji verify ${join(out, 'bundle.json')} --trust ${join(out, 'trust.json')} --token ${played.token}`,
  );
}

/** The box's bundle and what to check it by. */
async function evidenceOf(
  access: Access,
  token: string,
): Promise<{ bundle: Bundle; trust: string | Uint8Array }> {
  const { url, chainRpc } = access;
  if (chainRpc === undefined) {
    // The very bytes: the page shows their hash, so that a trust file can be compared over the telephone.
    return { bundle: await fetchBundle(url, token), trust: await bytesOf(`${url}/trust.json`) };
  }
  const bundle = await anchoredBundle(access, token);
  // The chain's word for the block, not the service's: that is all a chain is for.
  const trust = await withBlock(await fetchTrust(url), bundle, chainRpc);
  const blocks = trust.anchor?.blocks ?? [];
  say(
    blocks.length
      ? `anchored on the chain; trust.json names block ${blocks.at(-1)!.number} by the hash that the chain's node gives`
      : 'the chain does not answer: not anchored yet',
  );
  return { bundle, trust: `${JSON.stringify(trust, null, 2)}\n` };
}

async function bytesOf(url: string): Promise<Uint8Array> {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`the server answered ${answer.status} for a file of the box`);
  return new Uint8Array(await answer.arrayBuffer());
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
