import { common, peer } from '@hyperledger/fabric-protos';

import { sha256 } from '../identities/signature.ts';
import type { Membership } from '../identities/membership.ts';
import {
  readEndorsed,
  readEnvelope,
  type EndorsedTransaction,
  type Envelope,
  type ReadWriteSet,
} from './envelope.ts';
import { CHAINCODE, CHANNEL } from './names.ts';
import { LIFECYCLE } from './simulation.ts';
import { sameVersion, type State } from './state.ts';

export const Code = peer.TxValidationCode;
export type ValidationCode = peer.TxValidationCodeMap[keyof peer.TxValidationCodeMap];

/** A transaction and what a committing peer makes of it. */
export interface Judged {
  /** Empty when the envelope cannot be read. */
  readonly txId: string;
  readonly code: ValidationCode;
  readonly sets: readonly ReadWriteSet[];
  readonly event: peer.ChaincodeEvent | undefined;
}

export interface Rules {
  readonly members: Membership;
  /** How many organisations must endorse. */
  readonly endorsements: number;
}

/** What there is to know about the ledger before a block is validated. */
export interface Before {
  readonly state: State;
  readonly height: number;
  isKnown(txId: string): boolean;
  /** Whether a transaction is to count as overtaken although it was not. */
  isOvertaken(): boolean;
}

/**
 * Judges a block's transactions as a committing peer does: each alone first (core/common/validation/msgvalidation.go, then
 * its endorsements), then in their order: the id must be new, and everything read must still be as it was (MVCC).
 */
export function judgeBlock(envelopes: readonly Uint8Array[], rules: Rules, before: Before): Judged[] {
  const seen = new Set<string>();
  const written = new Set<string>();
  return envelopes.map((bytes) => {
    const alone = judgeAlone(bytes, rules);
    const code = judgeInOrder(alone, before, seen, written);
    if (alone.txId) seen.add(alone.txId);
    if (code !== Code.VALID) return { ...alone, code };
    for (const { writes } of alone.sets) for (const { key } of writes) written.add(key);
    return alone;
  });
}

/** Reads a transaction whose code is settled, as from a block on disk. */
export function readJudged(bytes: Uint8Array, code: ValidationCode): Judged {
  try {
    const envelope = readEnvelope(bytes);
    const { txId, type } = envelope;
    if (code !== Code.VALID || type === common.HeaderType.CONFIG)
      return { txId, code, sets: [], event: undefined };
    const { sets, event } = readEndorsed(envelope);
    return { txId, code, sets, event };
  } catch (error) {
    // Such an envelope was ordered and refused: Fabric keeps it in its block.
    if (code === Code.BAD_PAYLOAD) return { txId: '', code, sets: [], event: undefined };
    throw error;
  }
}

function judgeAlone(bytes: Uint8Array, rules: Rules): Judged {
  let txId = '';
  const refused = (code: ValidationCode): Judged => ({ txId, code, sets: [], event: undefined });
  try {
    const envelope = readEnvelope(bytes);
    txId = envelope.txId;
    const outside = judgeOutside(envelope, rules);
    if (outside !== Code.VALID) return refused(outside);
    const transaction = readEndorsed(envelope);
    const inside = judgeInside(transaction, rules);
    if (inside !== Code.VALID) return refused(inside);
    return { txId, code: Code.VALID, sets: transaction.sets, event: transaction.event };
  } catch {
    return refused(Code.BAD_PAYLOAD);
  }
}

function judgeOutside(envelope: Envelope, { members }: Rules): ValidationCode {
  const { type, epoch, nonce, creator, payload, signature, txId, channel } = envelope;
  if (type !== common.HeaderType.ENDORSER_TRANSACTION || epoch !== 0 || nonce.length === 0)
    return Code.BAD_COMMON_HEADER;
  if (channel !== CHANNEL) return Code.TARGET_CHAIN_NOT_FOUND;
  if (!isSignedBy(members, creator, payload, signature)) return Code.BAD_CREATOR_SIGNATURE;
  if (txId !== sha256(nonce, creator).toString('hex')) return Code.BAD_PROPOSAL_TXID;
  return Code.VALID;
}

function judgeInside(transaction: EndorsedTransaction, rules: Rules): ValidationCode {
  if (!transaction.proposalHash.equals(transaction.endorsedHash)) return Code.INVALID_ENDORSER_TRANSACTION;
  if (transaction.chaincode !== CHAINCODE) return Code.INVALID_CHAINCODE;
  if (endorsers(transaction, rules.members).size < rules.endorsements) return Code.ENDORSEMENT_POLICY_FAILURE;
  const foreign = transaction.sets.some(
    ({ namespace, writes }) => namespace !== CHAINCODE && writes.length > 0,
  );
  return foreign ? Code.ILLEGAL_WRITESET : Code.VALID;
}

/** The organisations whose peers signed the result, each once however often it signed. */
function endorsers({ responsePayload, endorsements }: EndorsedTransaction, members: Membership): Set<string> {
  const organisations = new Set<string>();
  for (const endorsement of endorsements) {
    const endorser = endorsement.getEndorser_asU8();
    const signed = Buffer.concat([responsePayload, endorser]);
    if (!isSignedBy(members, endorser, signed, endorsement.getSignature_asU8())) continue;
    const { mspId, ou } = members.member(endorser);
    if (ou === 'peer') organisations.add(mspId);
  }
  return organisations;
}

function isSignedBy(
  members: Membership,
  identity: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  try {
    return members.member(identity).verify(data, signature);
  } catch {
    return false;
  }
}

function judgeInOrder(
  alone: Judged,
  before: Before,
  seen: Set<string>,
  written: Set<string>,
): ValidationCode {
  const { code, txId, sets } = alone;
  // Fabric looks for the id before it looks at the endorsements.
  const looksForId = code === Code.VALID || code === Code.ENDORSEMENT_POLICY_FAILURE;
  if (looksForId && (seen.has(txId) || before.isKnown(txId))) return Code.DUPLICATE_TXID;
  if (code !== Code.VALID) return code;
  const stale = sets
    .filter(({ namespace }) => namespace !== LIFECYCLE)
    .flatMap(({ reads }) => reads)
    .some(
      ({ key, version }) =>
        written.has(key) || !sameVersion(before.state.get(key, before.height)?.version, version),
    );
  return stale || before.isOvertaken() ? Code.MVCC_READ_CONFLICT : Code.VALID;
}
