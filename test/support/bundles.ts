import {
  at as keyOf,
  BUNDLE_TYPE,
  toBase64url,
  tokenCommitment,
  type Bundle,
  type KnownBlock,
  type Reader,
  parseDisclosure,
  RULES,
  type Trust,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { withAnchor, type ChainPlan } from './anchors.ts';
import { CHANNEL, KEYS, MEMBERS, TOKEN, type TestLedger } from './consortium.ts';
import { newEndorser, stateView, type Endorser } from './views.ts';

export const CHAINCODE = 'trace';
const ENDORSING = ['HospitalMSP', 'CentreMSP', 'CourierMSP', 'RegulatorMSP'];

let known: Promise<Endorser[]> | undefined;
/** The peers of the four first members. */
export function endorsers(): Promise<Endorser[]> {
  known ??= Promise.all(ENDORSING.map(newEndorser));
  return known;
}

export async function trustOf(change: Partial<Trust> = {}): Promise<Trust> {
  return {
    mediaType: 'application/vnd.yaoji.trust.v1+json',
    channel: CHANNEL,
    chaincode: CHAINCODE,
    organisations: (await endorsers()).map(({ mspId, ca }) => ({ mspId, ca })),
    threshold: 3,
    required: ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion', 'endorsement', 'fresh'],
    development: false,
    ...change,
  };
}

/** What may be different about a bundle. */
export interface BundlePlan {
  /** the trails it carries; the box's first */
  readonly trails?: readonly string[];
  /** for whom it is made */
  readonly reader?: Reader;
  /** when its views are taken, in ms since the epoch */
  readonly taken?: number;
  readonly logsTaken?: number;
  /** the nonce that the view of the heads carries, 24 bytes */
  readonly nonce?: Uint8Array;
  readonly endorsers?: readonly Endorser[];
  readonly logEndorsers?: readonly Endorser[];
  readonly channel?: string;
  readonly chaincode?: string;
  readonly token?: string;
  /** keys that the view of the heads leaves out */
  readonly unseen?: readonly string[];
}

// The certificates are new in every run, and a view must be taken while they are valid.
export const TAKEN = Math.floor(Date.now() / 1000) * 1000 + 250;

/** When and how the bundle's logs were anchored. */
export interface AnchorPlan extends ChainPlan {
  /** the ledger as it stood then: one that the bundle's ledger went on from */
  readonly ledger: TestLedger;
  /** when the anchored view was taken, in ms since the epoch */
  readonly taken?: number;
  readonly endorsers?: readonly Endorser[];
  readonly channel?: string;
  readonly chaincode?: string;
  /** the organisations whose logs it shows */
  readonly organisations?: readonly string[];
}

/** The view of all logs that is anchored. */
export async function anchoredView(plan: AnchorPlan): Promise<string> {
  const { ledger, organisations = Object.keys(MEMBERS) } = plan;
  return toBase64url(
    stateView(organisations.map(keyOf.log), ledger.values, ledger.versions, {
      channel: plan.channel ?? CHANNEL,
      chaincode: plan.chaincode ?? CHAINCODE,
      timestamp: plan.taken ?? TAKEN - 20 * 60_000,
      nonce: Buffer.alloc(24, 3),
      endorsers: plan.endorsers ?? (await endorsers()),
    }),
  );
}

/** The bundle with the anchor of its ledger as it stood earlier, and the block that the anchor is in. */
export async function anchored(
  bundle: Bundle,
  plan: AnchorPlan,
): Promise<{ bundle: Bundle; block: KnownBlock }> {
  return withAnchor(bundle, await anchoredView(plan), (org, index) => plan.ledger.inclusion(org, index), {
    time: TAKEN - 19 * 60_000,
    ...plan,
  });
}

/** The bundle of the story's box, as the API would collect it. */
export async function bundleOf(ledger: TestLedger, plan: BundlePlan = {}): Promise<Bundle> {
  const { trails = [KEYS.package, KEYS.fulfilment], reader = 'anyone', token = TOKEN, taken = TAKEN } = plan;
  const of = (subject: string) => ledger.kept.filter(({ record }) => record.entry.subject === subject);
  const signers = new Set<string>();
  const members = new Set<string>();
  const logs = new Set<string>();
  const carried = trails.map((subject) => {
    const records = of(subject);
    for (const { record } of records) {
      signers.add(record.entry.station);
      members.add(record.entry.org);
      const { to } = record.entry.open;
      if (typeof to === 'string') members.add(to);
    }
    const { org } = records.at(-1)!.record.entry;
    logs.add(org);
    return {
      subject,
      records: records.map(({ record, disclosures }) => ({
        record,
        disclosures: disclosures.filter((text) =>
          RULES[record.entry.step]!.sealed[parseDisclosure(text).name]!.readers.includes(reader),
        ),
      })),
      inclusion: ledger.inclusion(org, records.at(-1)!.record.index).map(toBase64url),
    };
  });
  const heads = [
    keyOf.token(tokenCommitment(token, nodeSuite.sha256)),
    ...trails.map(keyOf.subject),
    ...[...signers].map(keyOf.station),
    ...[...members].map(keyOf.member),
  ].filter((key) => !plan.unseen?.includes(key));
  const view = (keys: string[], timestamp: number, by: readonly Endorser[], nonce: Uint8Array): string =>
    toBase64url(
      stateView(keys, ledger.values, ledger.versions, {
        channel: plan.channel ?? CHANNEL,
        chaincode: plan.chaincode ?? CHAINCODE,
        timestamp,
        nonce,
        endorsers: by,
      }),
    );
  const all = await endorsers();
  return {
    mediaType: BUNDLE_TYPE,
    package: trails[0]!,
    trails: carried,
    views: {
      heads: view(heads, taken, plan.endorsers ?? all, plan.nonce ?? Buffer.alloc(24, 1)),
      logs: view(
        [...logs].map(keyOf.log),
        plan.logsTaken ?? taken + 1000,
        plan.logEndorsers ?? plan.endorsers ?? all,
        Buffer.alloc(24, 2),
      ),
    },
  };
}
