import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { common, gateway, peer } from '@hyperledger/fabric-protos';
import { canonical, fromUtf8, parseCanonical, readView, type Json } from '@yaoji/chaincode/core';
import type { Ledger } from './connect.ts';
import { LedgerUnavailable } from '../service.ts';
import { contractError, isDisagreement, isUnavailable } from './errors.ts';
import { envelopeOf, unpack } from './envelope.ts';

/** A read of ledger state, signed by several organisations' peers and never submitted. */
export interface TakenView {
  /** the bytes of the Fabric payload: headers, proposal, response, endorsements */
  payload: Uint8Array;
  values: ReadonlyMap<string, Json>;
  /** the organisations that did not sign: their peer or contract gave no answer, or another one */
  without: string[];
}

// Peers under load stand at different heights and then answer differently; each is right, and soon they agree.
const TRIES = 20;
// … but whoever stays behind for most of a second is not waited for any longer when the others are enough.
const TRIES_WHEN_ENOUGH = 8;
/** How long an organisation that does not answer is waited for, ms: the others have signed long before. */
const PATIENCE = 5_000;

/** One organisation's signature under what its peer answered, or why there is none. */
type Signed = { org: string; response: Uint8Array; envelope: Uint8Array } | { org: string; why: unknown };

/**
 * Asks the peers of all organisations to sign what stands under these keys, and the nonce (24 bytes), if one is given. When
 * some cannot answer, those that do are enough if they are as many as the ledger's `viewers`, and the view says who is missing.
 * Throws LedgerUnavailable when fewer answer, or do not come to the same answer.
 */
export async function takeView(
  ledger: Ledger,
  org: string,
  keys: readonly string[],
  nonce?: Uint8Array,
): Promise<TakenView> {
  const organisations = ledger.profile.organisations.map(({ mspId }) => mspId);
  for (let attempt = 1; ; attempt++) {
    const signed = await signatures(ledger, org, keys, organisations, nonce);
    const answered = signed.flatMap((one) => ('response' in one ? [one] : []));
    // What the organisation's own peer says comes after all that it has confirmed to us: others may be behind together.
    const said = (answered.find((one) => one.org === org) ?? answered[0])?.response;
    const agreed = answered.filter(({ response }) => Buffer.compare(response, said!) === 0);
    // Whoever answers something else will soon agree, so it is waited for; whoever gives no answer is not.
    const enough = agreed.length >= ledger.viewers;
    if (enough && (agreed.length === answered.length || attempt >= TRIES_WHEN_ENOUGH))
      return {
        ...merged(agreed.map(({ envelope }) => envelope)),
        without: organisations.filter((one) => !agreed.some((agreeing) => agreeing.org === one)),
      };
    if (answered.length < ledger.viewers) {
      const { why } = signed.find((one) => 'why' in one)! as { why: unknown };
      if (attempt === TRIES || !isDisagreement(why)) throw asUnavailable(why);
    } else if (attempt === TRIES)
      throw new LedgerUnavailable('the organisations do not come to the same answer');
    await sleep(20 * attempt);
  }
}

/**
 * Sends one proposal to the peers of each organisation alone, so that one that gives no answer takes nobody else's with it:
 * they sign the same bytes. Throws the contract's refusal.
 */
async function signatures(
  ledger: Ledger,
  org: string,
  keys: readonly string[],
  organisations: readonly string[],
  nonce: Uint8Array | undefined,
): Promise<Signed[]> {
  const door = ledger.door(org);
  const made = door.contract.newProposal('View', { arguments: [canonical(keys)] }).getBytes();
  const proposed = nonce ? withNonce(made, nonce) : made;
  const deadline = Date.now() + PATIENCE;
  return Promise.all(
    organisations.map(async (endorser): Promise<Signed> => {
      const message = gateway.ProposedTransaction.deserializeBinary(proposed);
      message.setEndorsingOrganizationsList([endorser]);
      try {
        const transaction = await door.gateway.newProposal(message.serializeBinary()).endorse({ deadline });
        const envelope = envelopeOf(transaction);
        const response = unpack(envelope).endorsed.getProposalResponsePayload_asU8();
        return { org: endorser, response, envelope };
      } catch (why) {
        if (contractError(why)) throw why;
        return { org: endorser, why };
      }
    }),
  );
}

/**
 * The proposal with this nonce in its signature header, and the transaction's id that follows from it: SHA-256(nonce ‖ creator)
 * in hex (Fabric, protoutil ComputeTxID). It is not signed yet.
 */
function withNonce(proposed: Uint8Array, nonce: Uint8Array): Uint8Array {
  const message = gateway.ProposedTransaction.deserializeBinary(proposed);
  const signed = message.getProposal() ?? new peer.SignedProposal();
  const proposal = peer.Proposal.deserializeBinary(signed.getProposalBytes_asU8());
  const header = common.Header.deserializeBinary(proposal.getHeader_asU8());
  const channelHeader = common.ChannelHeader.deserializeBinary(header.getChannelHeader_asU8());
  const signatureHeader = common.SignatureHeader.deserializeBinary(header.getSignatureHeader_asU8());
  const txId = createHash('sha256').update(nonce).update(signatureHeader.getCreator_asU8()).digest('hex');
  signatureHeader.setNonce(nonce);
  channelHeader.setTxId(txId);
  header.setChannelHeader(channelHeader.serializeBinary());
  header.setSignatureHeader(signatureHeader.serializeBinary());
  proposal.setHeader(header.serializeBinary());
  signed.setProposalBytes(proposal.serializeBinary());
  message.setProposal(signed);
  message.setTransactionId(txId);
  return message.serializeBinary();
}

/** The view that these organisations have signed, of the envelopes of each. */
function merged(envelopes: readonly Uint8Array[]): Pick<TakenView, 'payload' | 'values'> {
  const [first, ...others] = envelopes.map(unpack);
  const { payload, transaction, action, endorsed } = first!;
  for (const other of others)
    endorsed.setEndorsementsList([
      ...endorsed.getEndorsementsList(),
      ...other.endorsed.getEndorsementsList(),
    ]);
  action.setAction(endorsed);
  transaction.getActionsList()[0]!.setPayload(action.serializeBinary());
  payload.setData(transaction.serializeBinary());
  const bytes = payload.serializeBinary();
  const values = parseCanonical(fromUtf8(readView(bytes).payload)) as { [key: string]: Json };
  return { payload: bytes, values: new Map(Object.entries(values)) };
}

/** The contract answers for this many keys at once. */
const MOST_KEYS = 256;

/**
 * What one peer holds under these keys: canonical JSON by key, unsigned. Keys without a value are left out. Throws
 * LedgerUnavailable when the peer, or the contract beside it, gives no answer.
 */
export async function readState(
  ledger: Ledger,
  org: string,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const { contract } = ledger.door(org);
  const found = new Map<string, string>();
  for (let from = 0; from < keys.length; from += MOST_KEYS) {
    const some = keys.slice(from, from + MOST_KEYS);
    const answer = await contract.evaluateTransaction('View', canonical(some)).catch((error: unknown) => {
      throw asUnavailable(error);
    });
    const values = parseCanonical(fromUtf8(answer)) as { [key: string]: Json };
    for (const [key, value] of Object.entries(values)) found.set(key, canonical(value));
  }
  return found;
}

// What is thrown for an error of the gateway: a contract that gave no answer shows as a disagreement, with nobody.
function asUnavailable(error: unknown): unknown {
  if (!isUnavailable(error) && !isDisagreement(error)) return error;
  return new LedgerUnavailable('the ledger could not be read', { cause: error });
}
