import * as z from 'zod/mini';
import { fromBase64url, fromUtf8 } from './bytes.ts';
import { parseCanonical } from './canonical.ts';
import { address, chainId } from './chain/fields.ts';
import { MAX_RLP } from './chain/rlp.ts';
import { checked, parseDisclosure, type Disclosure } from './entry.ts';
import { TraceError, within } from './error.ts';
import { readView, type View } from './fabric/view.ts';
import { toRecord, type Record } from './record.ts';
import { hash, int, key, list, text } from './rules/fields.ts';

/** The name of this format: it stands in every bundle, and what it names never changes. */
export const BUNDLE_TYPE = 'application/vnd.yaoji.bundle.v1+json';

const bytes = (max: number) =>
  z.string().check(z.regex(/^[A-Za-z0-9_-]+$/), z.maxLength(Math.ceil((max * 4) / 3)));
const viewBytes = bytes(1_050_000);
const chainBytes = bytes(MAX_RLP);
const schema = z.strictObject({
  mediaType: z.literal(BUNDLE_TYPE),
  package: key,
  trails: list(
    z.strictObject({
      subject: key,
      records: list(z.strictObject({ record: z.unknown(), disclosures: list(text(65_536), 0, 64) }), 1, 1000),
      inclusion: list(hash, 0, 53),
    }),
    1,
    64,
  ),
  views: z.strictObject({ heads: viewBytes, logs: viewBytes }),
  anchor: z.optional(
    z.strictObject({
      view: viewBytes,
      trails: list(
        z.strictObject({ records: int(0, Number.MAX_SAFE_INTEGER), inclusion: list(hash, 0, 53) }),
        1,
        64,
      ),
      chain: chainId,
      contract: address,
      seq: int(1, Number.MAX_SAFE_INTEGER),
      header: chainBytes,
      receipt: z.strictObject({ index: int(0, 0xffff_ffff), proof: list(chainBytes, 1, 16) }),
    }),
  ),
});

/**
 * Everything needed to verify a package without asking anybody: the trails that its reader may see, what of their fields
 * the reader may see, a view of their heads, and a view of the logs, taken after it, that each trail's last record is in;
 * and once their checkpoints are on the chain, the evidence of that.
 */
export type Bundle = z.infer<typeof schema>;

/** One trail of a bundle as it is checked. */
export interface ReadTrail {
  subject: string;
  records: { record: Record; disclosures: { text: string; shown: Disclosure }[] }[];
  /** the proof of the last record in its organisation's log, leaf to root */
  inclusion: Uint8Array[];
}
export interface ReadBundle {
  package: string;
  trails: ReadTrail[];
  heads: ReadState;
  logs: ReadState;
  anchor?: ReadAnchor;
}
/** The evidence that a view of all logs was public on a chain, and how far it reaches into each trail. */
export interface ReadAnchor {
  /** the older view of all logs whose checkpoints were anchored */
  view: ReadState;
  /**
   * in the order of the bundle's trails: how many of the trail's first records the anchored logs hold, and the proof of the
   * last of these in its organisation's anchored log
   */
  trails: { records: number; inclusion: Uint8Array[] }[];
  /** CAIP-2 */
  chain: string;
  contract: string;
  /** the anchor's number in the contract */
  seq: number;
  /** RLP of the header of the block that holds the anchor's transaction */
  header: Uint8Array;
  /** the transaction's index in the block, and the nodes of the block's receipt trie from its root to the receipt's leaf */
  receipt: { index: number; proof: Uint8Array[] };
}
/** A view and the state it shows: undefined for a key that was asked for and does not exist. */
export interface ReadState {
  view: View;
  values: ReadonlyMap<string, unknown>;
}

/**
 * Reads a bundle strictly: nothing unknown, nothing twice, every part readable. Throws a TraceError with the place; whether
 * anything in it is true is not looked at here.
 */
export function readBundle(value: unknown): ReadBundle {
  const bundle = checked(schema, value, 'BUNDLE_MALFORMED');
  const trails = bundle.trails.map((trail, i) => within(`/trails/${i}`, () => readTrail(trail)));
  const subjects = trails.map((trail) => trail.subject);
  if (new Set(subjects).size !== subjects.length) throw malformed('a trail stands twice', '/trails');
  if (!subjects.includes(bundle.package)) throw malformed("the package's own trail is missing", '/trails');
  return {
    package: bundle.package,
    trails,
    heads: within('/views/heads', () => readStateView(bundle.views.heads)),
    logs: within('/views/logs', () => readStateView(bundle.views.logs)),
    ...(bundle.anchor && {
      anchor: within('/anchor', () => readAnchor(bundle.anchor!, trails.length)),
    }),
  };
}

function readAnchor(
  { view, trails, header, receipt, ...rest }: NonNullable<Bundle['anchor']>,
  count: number,
): ReadAnchor {
  if (trails.length !== count) throw malformed('the anchor is of other trails', '/trails');
  return {
    ...rest,
    view: within('/view', () => readStateView(view)),
    trails: trails.map(({ records, inclusion }) => ({ records, inclusion: inclusion.map(fromBase64url) })),
    header: within('/header', () => fromBase64url(header)),
    receipt: {
      index: receipt.index,
      proof: receipt.proof.map((node, i) => within(`/receipt/proof/${i}`, () => fromBase64url(node))),
    },
  };
}

function readTrail(trail: Bundle['trails'][number]): ReadTrail {
  const seen = new Set<string>();
  const records = trail.records.map(({ record: value, disclosures }, i) =>
    within(`/records/${i}`, () => {
      const record = within('/record', () => toRecord(value));
      if (record.entry.subject !== trail.subject)
        throw malformed("the record is another subject's", '/record/entry/subject');
      return {
        record,
        disclosures: disclosures.map((shown, k) =>
          within(`/disclosures/${k}`, () => {
            if (seen.has(shown)) throw malformed('a disclosure stands twice');
            seen.add(shown);
            return { text: shown, shown: parseDisclosure(shown) };
          }),
        ),
      };
    }),
  );
  return { subject: trail.subject, records, inclusion: trail.inclusion.map(fromBase64url) };
}

/** The view of the contract's View function: its keys, and the values that it answered for them. */
function readStateView(text64: string): ReadState {
  const view = readView(fromBase64url(text64));
  const [name, keys, ...more] = view.args.map(fromUtf8);
  if (name !== 'View' || keys === undefined || more.length)
    throw malformed('the view is of another function');
  if (view.status !== 200 || view.writes) throw malformed('the view is not a plain answer');
  const asked = parseCanonical(keys);
  const answer = parseCanonical(fromUtf8(view.payload));
  if (!Array.isArray(asked) || typeof answer !== 'object' || Array.isArray(answer))
    throw malformed('the view is not of state');
  const reads = view.reads.get(view.chaincode);
  const values = new Map<string, unknown>();
  for (const item of asked) {
    // The signed read set says of each key whether it exists, and which transaction wrote it: a value needs a version.
    if (typeof item !== 'string' || !reads?.has(item))
      throw malformed('the view answers for a key that it did not read');
    const present = Object.hasOwn(answer, item);
    if (present !== (reads.get(item) !== undefined))
      throw malformed(`value and version of ${item} contradict one another`);
    values.set(item, present ? answer[item] : undefined);
  }
  if (Object.keys(answer).some((item) => !values.has(item)))
    throw malformed('the view answers more than was asked');
  return { view, values };
}

const malformed = (message: string, place = ''): TraceError =>
  new TraceError('BUNDLE_MALFORMED', message, { place });
