import { common, ledger as ledgerMessages, peer } from '@hyperledger/fabric-protos';
import type { Ledger } from './connect.ts';
import { unpack } from './envelope.ts';
import { VALID } from './submit.ts';

// What is trusted: blocks come from one gateway peer, over its TLS, and the orderers' signatures on them are not checked. A
// peer that lies can make the mirror wrong; then the endorsers' answer to the next batch differs from the recomputed one,
// and nothing is written. What a batch settled is recomputed and compared with the answer that it carries.

/** A block, as far as it concerns us: the valid transactions of our chaincode, in their order. */
export interface FollowedBlock {
  number: number;
  transactions: { txId: string; envelope: Uint8Array }[];
}

/**
 * The channel's blocks from this number on, and the future ones as they are committed. Ends with an error when the stream
 * breaks, with the gateway's GatewayError or another.
 */
export async function* followBlocks(
  ledger: Ledger,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<FollowedBlock> {
  const { profile } = ledger;
  const { network } = ledger.door(profile.organisations[0]!.mspId);
  const blocks = await network.getBlockEvents({ startBlock: BigInt(from) });
  const close = (): void => blocks.close();
  signal.addEventListener('abort', close);
  try {
    // While the stream was opened it may have been called off: then the event is over.
    signal.throwIfAborted();
    for await (const block of blocks) yield readBlock(block, profile.chaincode);
  } finally {
    signal.removeEventListener('abort', close);
    blocks.close();
  }
}

/** The valid transactions of a chaincode in a block. Throws when the block lacks a part. */
export function readBlock(block: common.Block, chaincode: string): FollowedBlock {
  const codes = block.getMetadata()?.getMetadataList_asU8()[common.BlockMetadataIndex.TRANSACTIONS_FILTER];
  const number = block.getHeader()?.getNumber();
  if (codes === undefined || number === undefined) throw new Error('the ledger gave an incomplete block');
  const transactions = (block.getData()?.getDataList_asU8() ?? []).flatMap((envelope, i) => {
    const header = codes[i] === VALID ? headerOf(envelope) : undefined;
    if (header?.getType() !== common.HeaderType.ENDORSER_TRANSACTION) return [];
    const { name } = peer.ChaincodeHeaderExtension.deserializeBinary(header.getExtension_asU8())
      .getChaincodeId()!
      .toObject();
    return name === chaincode ? [{ txId: header.getTxId(), envelope }] : [];
  });
  return { number, transactions };
}

function headerOf(envelope: Uint8Array): common.ChannelHeader {
  const payload = common.Payload.deserializeBinary(
    common.Envelope.deserializeBinary(envelope).getPayload_asU8(),
  );
  return common.ChannelHeader.deserializeBinary(
    payload.getHeader()?.getChannelHeader_asU8() ?? new Uint8Array(),
  );
}

/** What a transaction wrote under the chaincode's keys. Values that it removed are left out: ours removes none. */
export function writesOf(envelope: Uint8Array, chaincode: string): [key: string, value: string][] {
  const response = peer.ProposalResponsePayload.deserializeBinary(
    unpack(envelope).endorsed.getProposalResponsePayload_asU8(),
  );
  const { TxReadWriteSet } = ledgerMessages.rwset;
  const results = peer.ChaincodeAction.deserializeBinary(response.getExtension_asU8()).getResults_asU8();
  return TxReadWriteSet.deserializeBinary(results)
    .getNsRwsetList()
    .filter((set) => set.getNamespace() === chaincode)
    .flatMap((set) =>
      ledgerMessages.rwset.kvrwset.KVRWSet.deserializeBinary(set.getRwset_asU8()).getWritesList(),
    )
    .filter((write) => !write.getIsDelete())
    .map((write) => [write.getKey(), Buffer.from(write.getValue_asU8()).toString()]);
}
