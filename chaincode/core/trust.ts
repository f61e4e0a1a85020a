import * as z from 'zod/mini';
import { address, block, chainId } from './chain/fields.ts';
import { checked } from './entry.ts';
import { bool, int, list, oneOf, text } from './rules/fields.ts';

/** The checks of a report, in the order in which they are made and shown. */
export const CHECKS = [
  'form',
  'box',
  'signatures',
  'trail',
  'rules',
  'disclosures',
  'inclusion',
  'endorsement',
  'fresh',
  'ordering',
  'anchor',
] as const;
export type CheckId = (typeof CHECKS)[number];

const schema = z.strictObject({
  mediaType: z.literal('application/vnd.yaoji.trust.v1+json'),
  /** the Fabric channel and the chaincode's name on it */
  channel: text(128),
  chaincode: text(128),
  /** MSP id and the PEM certificate of the CA that issues its peers' */
  organisations: list(z.strictObject({ mspId: text(128), ca: text(8192) }), 1, 64),
  /** how many organisations' peers must have signed a view */
  threshold: int(1, 64),
  required: list(oneOf(...CHECKS), 1, CHECKS.length),
  /** whether one operator holds every key of this ledger: then nobody's signature vouches for anybody else */
  development: bool,
  /** the chain and the contract on it that the logs' checkpoints are published to; absent: none is trusted */
  anchor: z.optional(
    z.strictObject({
      chain: chainId,
      contract: address,
      /** whether one operator runs this chain: then being on it shows nothing to anybody else */
      development: bool,
      /** blocks of the chain that the reader knows to be its own */
      blocks: list(block, 0, 64),
    }),
  ),
});

/** What a verifier believes before it sees a bundle; never taken from the bundle or from the server that sent it. */
export type Trust = z.infer<typeof schema>;

/** The trust in a value that came from outside. Throws TRUST_MALFORMED with the place. */
export const toTrust = (value: unknown): Trust => checked(schema, value, 'TRUST_MALFORMED');
