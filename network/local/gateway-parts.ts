import type { Membership } from '../identities/membership.ts';
import type { Endorser } from './endorser.ts';
import type { Faults } from './faults.ts';
import type { Ledger } from './ledger.ts';

/** What the gateway serves from. */
export interface GatewayParts {
  readonly ledger: Ledger;
  readonly members: Membership;
  readonly faults: Faults;
  readonly endorsers: readonly Endorser[];
  /** How many organisations endorse when the client names none. */
  readonly endorsements: number;
}
