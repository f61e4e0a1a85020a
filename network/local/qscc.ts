import { common, peer } from '@hyperledger/fabric-protos';

import { blockParts } from './block.ts';
import type { Ledger, Place } from './ledger.ts';
import { CHANNEL } from './names.ts';

const OK = 200;
const FAILED = 500;

/**
 * Answers a call of Fabric's query system chaincode (core/scc/qscc) as a peer with so many blocks does, as far as a client
 * needs it; the rest is refused.
 */
export async function query(
  ledger: Ledger,
  args: readonly Uint8Array[],
  height: number,
): Promise<peer.Response> {
  const [name = '', channel = '', argument = ''] = args.map((arg) => Buffer.from(arg).toString());
  const response = new peer.Response();
  try {
    if (channel !== CHANNEL) throw new Error(`Invalid chain ID, ${channel}`);
    response.setPayload(await answer(ledger, name, argument, height));
    response.setStatus(OK);
  } catch (error) {
    response.setMessage(error instanceof Error ? error.message : String(error));
    response.setStatus(FAILED);
  }
  return response;
}

async function answer(ledger: Ledger, name: string, argument: string, height: number): Promise<Uint8Array> {
  switch (name) {
    case 'GetChainInfo':
      return ledger.info().serializeBinary();
    case 'GetBlockByNumber':
      return ledger.blockBytes(parseNumber(argument), height);
    case 'GetBlockByTxID':
      return ledger.blockBytes(find(ledger, argument, height).block);
    case 'GetTransactionByID':
      return transaction(ledger, find(ledger, argument, height));
    default:
      throw new Error(`Requested function ${name} not found.`);
  }
}

async function transaction(ledger: Ledger, { block, index, code }: Place): Promise<Uint8Array> {
  const { envelopes } = blockParts(common.Block.deserializeBinary(await ledger.blockBytes(block)));
  const processed = new peer.ProcessedTransaction();
  processed.setTransactionenvelope(common.Envelope.deserializeBinary(envelopes[index] ?? new Uint8Array()));
  processed.setValidationcode(code);
  return processed.serializeBinary();
}

function find(ledger: Ledger, txId: string, height: number): Place {
  const place = ledger.place(txId, height);
  if (!place)
    throw new Error(
      `Failed to get transaction with id ${txId}, error no such transaction ID [${txId}] in index`,
    );
  return place;
}

// The argument comes from a client. Number('') and Number('1e3') must not pass.
function parseNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new Error(`Failed to parse block number ${text}`);
  return Number(text);
}
