import { setTimeout as sleep } from 'node:timers/promises';
import { common, ledger as ledgerProtos, msp, peer } from '@hyperledger/fabric-protos';
import { fromUtf8, readView } from '@yaoji/chaincode/core';
import type { Ledger } from '../ledger/connect.ts';
import { readState } from '../ledger/view.ts';

/** A transaction of the project's contract, as its block holds it. */
export interface ChainTransaction {
  txId: string;
  /** Fabric's validation code; 0: valid */
  code: number;
  /** the organisation that submitted it */
  org: string;
  /** when it was proposed, ms since the epoch */
  timestamp: number;
  /** the function's name first */
  args: string[];
  /** what the function answered */
  answer: string;
  /** what it writes into the contract's state; undefined: removed */
  writes: Map<string, string | undefined>;
}

/** The ledger as its peers show it, block by block. */
export interface Chain {
  readonly channel: string;
  /** the number of blocks that some organisation's peer has */
  height(): Promise<number>;
  /** the contract's transactions in a block that exists, in their order */
  block(number: number): Promise<ChainTransaction[]>;
  /** what stands under these keys now */
  state(keys: readonly string[]): Promise<Map<string, string>>;
}

/** No peer of any organisation answers. */
export class ChainUnreachable extends Error {}

// A peer that lags behind the one that told the height has the block soon.
const TRIES = 40;
const LARGEST = 64 << 20;

/** The ledger through its own query chaincode: no more rights than the service's identities have. */
export function chainOf(ledger: Ledger): Chain {
  const { channel, chaincode, organisations } = ledger.profile;
  const orgs = organisations.map(({ mspId }) => mspId);
  const ask = (org: string, name: string, ...args: string[]): Promise<Uint8Array> =>
    ledger
      .door(org)
      .network.getContract('qscc')
      .evaluateTransaction(name, channel, ...args);
  let door = orgs[0]!;

  return {
    channel,
    async height() {
      const answers = await Promise.allSettled(
        orgs.map(async (org) => ({
          org,
          height: common.BlockchainInfo.deserializeBinary(await ask(org, 'GetChainInfo')).getHeight(),
        })),
      );
      const heights = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
      const highest = heights.toSorted((a, b) => b.height - a.height)[0];
      if (!highest)
        throw new ChainUnreachable('no peer of the ledger answers', {
          cause: answers.find((answer) => answer.status === 'rejected')?.reason,
        });
      door = highest.org;
      return highest.height;
    },
    async block(number) {
      for (let attempt = 1; ; attempt++)
        try {
          const bytes = await ask(door, 'GetBlockByNumber', String(number));
          return readBlock(bytes, channel, chaincode);
        } catch (error) {
          if (attempt === TRIES) throw error;
          await sleep(250);
        }
    },
    state: (keys) => readState(ledger, door, keys),
  };
}

function readBlock(bytes: Uint8Array, channel: string, chaincode: string): ChainTransaction[] {
  const block = common.Block.deserializeBinary(bytes);
  const envelopes = block.getData()?.getDataList_asU8() ?? [];
  const codes = block.getMetadata()?.getMetadataList_asU8()[common.BlockMetadataIndex.TRANSACTIONS_FILTER];
  return envelopes.flatMap((bytesOf, i) => {
    const payload = common.Envelope.deserializeBinary(bytesOf).getPayload_asU8();
    if (!isEndorsed(payload)) return [];
    const view = readView(payload, LARGEST);
    if (view.channel !== channel || view.chaincode !== chaincode) return [];
    return {
      txId: view.txId,
      code: codes?.[i] ?? 255,
      org: msp.SerializedIdentity.deserializeBinary(view.signed.creator).getMspid(),
      timestamp: view.timestamp,
      args: view.args.map(fromUtf8),
      answer: fromUtf8(view.payload),
      writes: writesOf(view.signed.responsePayload, chaincode),
    };
  });
}

/** Blocks hold configurations too. */
function isEndorsed(payload: Uint8Array): boolean {
  const header = common.Payload.deserializeBinary(payload).getHeader()?.getChannelHeader_asU8();
  return (
    header !== undefined &&
    common.ChannelHeader.deserializeBinary(header).getType() === common.HeaderType.ENDORSER_TRANSACTION
  );
}

function writesOf(responsePayload: Uint8Array, chaincode: string): Map<string, string | undefined> {
  const { TxReadWriteSet, kvrwset } = ledgerProtos.rwset;
  const extension = peer.ProposalResponsePayload.deserializeBinary(responsePayload).getExtension_asU8();
  const results = peer.ChaincodeAction.deserializeBinary(extension).getResults_asU8();
  const writes = TxReadWriteSet.deserializeBinary(results)
    .getNsRwsetList()
    .filter((set) => set.getNamespace() === chaincode)
    .flatMap((set) => kvrwset.KVRWSet.deserializeBinary(set.getRwset_asU8()).getWritesList());
  return new Map(
    writes.map((write) => [
      write.getKey(),
      write.getIsDelete() ? undefined : fromUtf8(write.getValue_asU8()),
    ]),
  );
}
