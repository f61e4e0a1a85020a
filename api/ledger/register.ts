import { CommitError } from '@hyperledger/fabric-gateway';
import { canonical } from '@yaoji/chaincode/core';
import type { Ledger } from './connect.ts';
import { contractError, isDisagreement, isUnavailable } from './errors.ts';
import { LedgerUnavailable, RegistrationRefused } from '../service.ts';

type Registration = 'Found' | 'AddMember' | 'PutSite' | 'RegisterDevice' | 'EnrolStation' | 'RevokeStation';
const BY_ADMIN: readonly Registration[] = ['Found', 'AddMember', 'PutSite'];

// A registration reads its organisation's log, which every batch writes: under load it is overtaken now and then.
const TRIES = 20;
/** How long an unreachable ledger is asked again, ms: one that is just back is found again within a second. */
const PATIENCE = 3_000;

/**
 * Asks the contract to register something for an organisation, again until it is or is refused: every registration may be
 * repeated. Throws RegistrationRefused with the contract's code, or LedgerUnavailable.
 */
export async function register(
  ledger: Ledger,
  org: string,
  registration: Registration,
  argument: object | string,
): Promise<void> {
  const { contract } = ledger.door(org, BY_ADMIN.includes(registration) ? 'admin' : 'service');
  const text = typeof argument === 'string' ? argument : canonical(argument);
  const begun = Date.now();
  for (let attempt = 1; ; attempt++) {
    try {
      await contract.submitTransaction(registration, text);
      return;
    } catch (error) {
      const refusal = contractError(error, org);
      if (refusal) throw new RegistrationRefused(refusal.code, refusal.message);
      const again = error instanceof CommitError || isDisagreement(error, org) || isUnavailable(error);
      if (!again) throw error;
      if (attempt === TRIES || (isUnavailable(error) && Date.now() - begun > PATIENCE)) {
        // Its own peer is away, and what others refused for so long is no lagging behind.
        const others = contractError(error);
        if (others) throw new RegistrationRefused(others.code, others.message);
        throw new LedgerUnavailable('the ledger did not take the registration', { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 25 * attempt));
    }
  }
}
