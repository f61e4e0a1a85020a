import { status } from '@grpc/grpc-js';
import { GatewayError } from '@hyperledger/fabric-gateway';
import { LedgerUnavailable } from '../service.ts';

/** What a chaincode said when it threw: `CODE: sentence`. */
export interface ContractError {
  code: string;
  message: string;
}

/**
 * The contract's own refusal inside a gateway error, as this organisation's peer gave it, or as any did; undefined when the
 * failure is the network's. The gateway asks the client's own peer first: where that has endorsed, the refusals of others
 * say only that they stand at another height.
 */
export function contractError(error: unknown, org?: string): ContractError | undefined {
  if (!(error instanceof GatewayError)) return undefined;
  const details = error.details.filter(({ mspId }) => org === undefined || mspId === org);
  // The gateway wraps it: each endorser's words stand in the details behind this prefix.
  for (const { message } of [...details, { message: error.message }]) {
    const found = /chaincode response 500, ([A-Z_]+): ([^\n]*)/.exec(message);
    if (found) return { code: found[1]!, message: found[2]! };
  }
  return undefined;
}

const UNAVAILABLE: readonly number[] = [
  status.UNAVAILABLE,
  status.DEADLINE_EXCEEDED,
  status.CANCELLED,
  status.RESOURCE_EXHAUSTED,
];
const ABORTED: number = status.ABORTED;

/** Whether the ledger could not be reached or did not answer in time, so that asking again later is the only answer. */
export function isUnavailable(error: unknown): boolean {
  if (error instanceof LedgerUnavailable) return true;
  if (!(error instanceof GatewayError)) return false;
  // Fabric has no code for it: a gateway that knows too few peers for the policy, or none with the chaincode, answers
  // FAILED_PRECONDITION; a stream that breaks in the middle of an answer is INTERNAL.
  return (
    UNAVAILABLE.includes(error.code) ||
    /no combination of peers|no peers available|RST_STREAM/.test(error.message)
  );
}

/**
 * Whether endorsers answered differently because they stand at different heights: endorsing again at once helps. With an
 * organisation, what others refuse counts as that too.
 */
export function isDisagreement(error: unknown, org?: string): boolean {
  return error instanceof GatewayError && error.code === ABORTED && contractError(error, org) === undefined;
}
