import type { Transaction } from '@hyperledger/fabric-gateway';
import { common, peer } from '@hyperledger/fabric-protos';
import { fromUtf8, parseCanonical, readView, type Answer } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import type { Ledger } from './connect.ts';
import { envelopeOf } from './envelope.ts';

/** A RecordBatch transaction as its own bytes tell it: what was asked, when, and what the endorsers answered. */
export interface BatchTransaction {
  txId: string;
  /** the transaction's minute */
  at: number;
  after: number;
  lines: string[];
  answer: Answer;
}

/** Fabric's code for a valid transaction, and for one whose reads were overtaken (peer.TxValidationCode). */
export const VALID = 0;

const LARGEST = 32 << 20;

/** Reads the transaction out of its envelope. Throws unless it is a RecordBatch. */
export function readBatch(envelope: Uint8Array): BatchTransaction {
  const payload = common.Envelope.deserializeBinary(envelope).getPayload_asU8();
  const { args, timestamp, txId, payload: response } = readView(payload, LARGEST);
  const [name, after, lines] = args.map(fromUtf8);
  if (name !== 'RecordBatch' || after === undefined || lines === undefined)
    throw new Error(`transaction ${txId} is not a RecordBatch`);
  const answer = parseCanonical(fromUtf8(response)) as unknown as Answer;
  return { txId, at: Math.floor(timestamp / 60_000), after: Number(after), lines: lines.split('\n'), answer };
}

/** A batch on its way: its id is known, and can be stored, before anything is sent. */
export interface BatchProposal {
  txId: string;
  /** Has every organisation's peers judge the batch. Nothing is written yet. Throws the gateway's EndorseError. */
  endorse(): Promise<EndorsedBatch>;
}
export interface EndorsedBatch extends BatchTransaction {
  /** Orders it and waits for its validation code. Throws the gateway's errors: then only the ledger knows. */
  submit(): Promise<number>;
}

/** Proposes one organisation's batch: canonical entries, following batch `after`. */
export function proposeBatch(
  ledger: Ledger,
  org: string,
  after: number,
  lines: readonly string[],
): BatchProposal {
  const { contract } = ledger.door(org);
  const proposal = contract.newProposal('RecordBatch', { arguments: [String(after), lines.join('\n')] });
  return {
    txId: proposal.getTransactionId(),
    async endorse() {
      const transaction = await proposal.endorse();
      return { ...readBatch(envelopeOf(transaction)), submit: () => submit(transaction) };
    },
  };
}

async function submit(transaction: Transaction): Promise<number> {
  const submitted = await transaction.submit();
  failpoint('batch-ordered');
  return (await submitted.getStatus()).code;
}

/**
 * What became of a transaction, asked for by its id: its validation code and content, or undefined when no block has it,
 * which may also mean that it is still queued. Answers in milliseconds either way, unlike the gateway's commit status.
 */
export async function findBatch(
  ledger: Ledger,
  org: string,
  txId: string,
): Promise<{ code: number; transaction: BatchTransaction } | undefined> {
  const qscc = ledger.door(org).network.getContract('qscc');
  let bytes: Uint8Array;
  try {
    bytes = await qscc.evaluateTransaction('GetTransactionByID', ledger.profile.channel, txId);
  } catch (error) {
    // qscc has no code for it: every peer words it so (core/scc/qscc/query.go, blkstorage's ErrNotFoundInIndex).
    if (/no such transaction ID/.test(messagesOf(error))) return undefined;
    throw error;
  }
  const processed = peer.ProcessedTransaction.deserializeBinary(bytes);
  const envelope = processed.getTransactionenvelope();
  if (!envelope) throw new Error(`the ledger gave no envelope for ${txId}`);
  return { code: processed.getValidationcode(), transaction: readBatch(envelope.serializeBinary()) };
}

function messagesOf(error: unknown): string {
  const { message, details } = error as { message?: string; details?: { message: string }[] };
  return [message, ...(Array.isArray(details) ? details.map((detail) => detail.message) : [])].join('\n');
}
