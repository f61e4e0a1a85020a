import { Wallet } from 'ethers';
import { chmodSync, writeFileSync } from 'node:fs';
import { connectChain } from '@yaoji/api/chain/chain';
import { deployAnchor } from '@yaoji/api/chain/deploy';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { fileSigner } from '@yaoji/api/chain/signers';
import { paceOf, startAnchorer, type Anchorer, type AnchorPace } from '@yaoji/api/pipeline/anchor';
import type { Pipeline } from '@yaoji/api/pipeline/context';
import { anchorState, type AnchorPlace, type AnchorState } from '@yaoji/api/store/anchors';
import { startAnvil, type Anvil, type AnvilOptions } from './anvil.ts';
import { until, type Parts } from './service.ts';
import { walletSigner } from './wallet.ts';

/** A development chain with the contract on it, and the operator's wallet, which has one unit of its money. */
export interface AnchorChain {
  readonly anvil: Anvil;
  readonly operator: Wallet;
  readonly contract: string;
  /** writes the operator's key as the API wants it */
  writeKey(path: string, mode?: number): void;
}

export async function startAnchorChain(options: AnvilOptions = {}, key?: Wallet): Promise<AnchorChain> {
  const anvil = await startAnvil(options);
  try {
    const operator = key ?? new Wallet(Wallet.createRandom().privateKey);
    const contract = await deployOn(anvil, operator);
    return {
      anvil,
      operator,
      contract,
      writeKey(path, mode = 0o600) {
        writeFileSync(path, `${operator.privateKey}\n`, { mode });
        chmodSync(path, mode);
      },
    };
  } catch (error) {
    await anvil.kill();
    throw error;
  }
}

/** Gives the operator money and deploys; mines a block for it where the chain does not by itself. */
export async function deployOn(anvil: Anvil, operator: Wallet): Promise<string> {
  await anvil.rpc('anvil_setBalance', operator.address, '0xde0b6b3a7640000');
  const isAuto = await anvil.rpc('anvil_getAutomine');
  const deploying = deployAnchor(connectRpc(anvil.url), walletSigner(operator));
  const mining = isAuto ? undefined : setInterval(() => void anvil.rpc('evm_mine').catch(() => {}), 200);
  try {
    return (await deploying).address;
  } finally {
    clearInterval(mining);
  }
}

/** An anchorer at work, with what it tells. */
export interface Anchoring extends Anchorer {
  place: AnchorPlace;
  told: Parameters<Pipeline['log']>[0][];
  /** of an anchor, or of the newest */
  state(seq?: number): Promise<AnchorState | undefined>;
  /** Resolves when an anchor has this state. */
  reaches(state: AnchorState['state'], seq?: number): Promise<void>;
}

/** Nothing is anchored unless a test demands it, or is new at the first look. */
const PACE: AnchorPace = {
  ...paceOf(3_600_000, true),
  waiting: 50,
  idle: 50,
  mostBackOff: 500,
  replaceAfter: 60_000,
};

/** Starts what anchors the logs of these parts, with the operator's key from a file. */
export function startAnchoring(
  parts: Parts,
  { contract, key }: { contract: string; key: string },
  url: string,
  { pace = {}, confirmations }: { pace?: Partial<AnchorPace>; confirmations?: number } = {},
): Anchoring {
  const place = { chain: 'eip155:31337', contract };
  const told: Anchoring['told'] = [];
  const pipeline = parts.pipeline({ anchors: place, log: (line) => void told.push(line) });
  const anchorer = startAnchorer(
    pipeline,
    (signal) =>
      connectChain(connectRpc(url, { timeout: 2_000, signal }), fileSigner(key), {
        id: 31_337,
        contract,
        confirmations,
      }),
    { ...PACE, ...pace },
  );
  const state: Anchoring['state'] = (seq) => anchorState(parts.pool, place, seq);
  return {
    ...anchorer,
    place,
    told,
    state,
    reaches: (wanted, seq = 1) =>
      until(`anchor ${seq} is ${wanted}`, async () => (await state(seq))?.state === wanted, 30_000),
  };
}
