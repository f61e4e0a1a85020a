import { common } from '@hyperledger/fabric-protos';
import { canonical, fromUtf8, parseCanonical, readView, type Json } from '@yaoji/chaincode/core';
import type { Ledger } from './connect.ts';
import { LedgerUnavailable } from '../service.ts';
import { isDisagreement, isUnavailable } from './errors.ts';
import { envelopeOf } from './submit.ts';

/** A read of ledger state, signed by several organisations' peers and never submitted. */
export interface TakenView {
  /** the bytes of the Fabric payload: headers, proposal, response, endorsements */
  payload: Uint8Array;
  values: ReadonlyMap<string, Json>;
}

// Peers under load stand at different heights and then answer differently; each is right, and soon they agree.
const TRIES = 20;

/**
 * Has the peers of all organisations sign what stands under these keys. Throws LedgerUnavailable when they do not answer, or
 * do not come to the same answer.
 */
export async function takeView(ledger: Ledger, org: string, keys: readonly string[]): Promise<TakenView> {
  const endorsingOrganizations = ledger.profile.organisations.map(({ mspId }) => mspId);
  const { contract } = ledger.door(org);
  for (let attempt = 1; ; attempt++) {
    try {
      const transaction = await contract
        .newProposal('View', { arguments: [canonical(keys)], endorsingOrganizations })
        .endorse();
      const payload = common.Envelope.deserializeBinary(envelopeOf(transaction)).getPayload_asU8();
      const values = parseCanonical(fromUtf8(readView(payload).payload)) as { [key: string]: Json };
      return { payload, values: new Map(Object.entries(values)) };
    } catch (error) {
      if (!isDisagreement(error) || attempt === TRIES) throw asUnavailable(error);
      await new Promise((resolve) => setTimeout(resolve, 20 * attempt));
    }
  }
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
