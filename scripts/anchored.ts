import { setTimeout as sleep } from 'node:timers/promises';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import { toTrust, verify, type Bundle, type Trust } from '@yaoji/chaincode/core';
import { ask } from './chain.ts';
import { fetchBundle, OrganisationClient } from './client.ts';
import type { Access } from './instance.ts';

const WITHIN = 30_000;
const ASK_AGAIN = 300;

/**
 * Demands an anchor of all that is recorded, and resolves with the box's bundle when all its records are on the chain. Where
 * that takes more than half a minute it is the bundle as it is then.
 */
export async function anchoredBundle({ url, organisations }: Access, token: string): Promise<Bundle> {
  const anybody = new OrganisationClient(url, organisations[0]!);
  for (const end = Date.now() + WITHIN; ; await sleep(ASK_AGAIN)) {
    await anybody.demandAnchor();
    const bundle = await fetchBundle(url, token);
    if (isAnchored(bundle) || Date.now() > end) return bundle;
  }
}

const isAnchored = ({ anchor, trails }: Bundle): boolean =>
  anchor?.trails.every(({ records }, i) => records === trails[i]!.records.length) ?? false;

/**
 * The trust file with the block that a bundle's anchor names, by the hash that a node of the reader's choice gives. Without an
 * anchor or a chain it is the same file.
 */
export async function withBlock(trust: Trust, bundle: Bundle, rpc: string): Promise<Trust> {
  const { facts } = await verify(bundle, {
    trust: toTrust(trust),
    now: Date.now(),
    suite: verifierSuite,
  });
  if (!facts?.anchor || !trust.anchor) return trust;
  const number = facts.anchor.block;
  const block = (await ask(rpc, 'eth_getBlockByNumber', `0x${number.toString(16)}`, false)) as {
    hash: string;
  } | null;
  if (!block) return trust;
  return {
    ...trust,
    anchor: { ...trust.anchor, blocks: [...trust.anchor.blocks, { number, hash: block.hash }] },
  };
}
