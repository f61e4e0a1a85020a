import { equal, fromBase64url } from './bytes.ts';
import { canonical } from './canonical.ts';
import { checkAnchor, type AnchorFacts } from './chain/anchor.ts';
import type { KnownBlock } from './chain/fields.ts';
import { readBundle, type ReadAnchor, type ReadBundle, type ReadState, type ReadTrail } from './bundle.ts';
import { disclosureDigest, verifyEntry } from './entry.ts';
import { TraceError } from './error.ts';
import { checkView } from './fabric/endorsement.ts';
import { sealCommitment, tokenCommitment } from './label.ts';
import { at as keyOf, type Log, type Station, type Subject, type TokenTarget } from './ledger/world.ts';
import { verifyInclusion } from './merkle.ts';
import { leafOf } from './record.ts';
import { replay } from './replay.ts';
import { RULES } from './rules/table.ts';
import type { Suite, VerifierSuite } from './suite.ts';
import { printMinute } from './time.ts';
import { CHECKS, type CheckId, type Trust } from './trust.ts';

export type Outcome = 'passed' | 'failed' | 'not-checked';
export interface Check {
  id: CheckId;
  outcome: Outcome;
  /** what was found, in English, with the place where something is wrong */
  detail: string;
}
export interface Report {
  /** every required check passed and none failed */
  ok: boolean;
  checks: Check[];
  /** what the first sentence is made of; present when the bundle could be read. Says nothing of what its checks found. */
  facts?: Facts;
}
export interface Facts {
  /** when the view of the heads was taken, ms since the epoch */
  taken: number;
  /** how many trusted organisations signed every view; absent where that did not hold */
  signed?: number;
  /** how many organisations the reader trusts, and how many of them must have signed */
  organisations: number;
  threshold: number;
  /** the anchor, when all evidence of it inside the bundle holds: whether its block is the chain's is another question */
  anchor?: AnchorFacts;
}

export interface Asked {
  trust: Trust;
  /** the box's token; giving it makes the check `box` required */
  token?: string;
  /** ms since the epoch */
  now: number;
  /** blocks that the reader has from elsewhere, besides those of the trust file */
  blocks?: readonly KnownBlock[];
  /** the reader's own nonce, when it asked for the view of the heads itself: 24 bytes */
  nonce?: Uint8Array;
  suite: VerifierSuite;
}

/** A check that could not be made: never *passed*, and *failed* where it is required. */
class NotChecked extends Error {}

/**
 * Checks a bundle against what the reader trusts. Never throws for anything the bundle says: a person with a box in hand
 * needs all answers, not the first failure. The order of the calls is the argument of the proof.
 */
export async function verify(
  bundle: unknown,
  { trust, token, now, blocks, nonce, suite }: Asked,
): Promise<Report> {
  const required = new Set<CheckId>(trust.required);
  if (token !== undefined) required.add('box');
  const checks: Check[] = [];
  const check = async (id: CheckId, make: () => string | Promise<string>): Promise<void> => {
    checks.push({ id, ...(await outcomeOf(make, required.has(id))) });
  };

  let read: ReadBundle | undefined;
  await check('form', () => {
    read = readBundle(bundle);
    return `${read.trails.length} trails, ${records(read)} records`;
  });
  if (!read) {
    for (const id of CHECKS.slice(1)) await check(id, () => notChecked('the bundle cannot be read'));
    return reportOf(checks, required);
  }
  const { trails, heads, logs, anchor } = read;
  const box = read.package;
  const facts: Facts = {
    taken: heads.view.timestamp,
    organisations: new Set(trust.organisations.map(({ mspId }) => mspId)).size,
    threshold: trust.threshold,
  };
  await check('box', () => checkBox(box, trails, heads, token, suite));
  await check('signatures', () => checkSignatures(trails, heads, suite));
  await check('trail', () => checkTrails(trails, heads, suite));
  await check('rules', () => checkRules(trails, heads));
  await check('disclosures', () => checkDisclosures(trails, suite));
  await check('inclusion', () => checkInclusion(trails, logs, suite));
  await check('endorsement', async () => {
    const views = {
      '/views/heads': heads,
      '/views/logs': logs,
      ...(anchor && { '/anchor/view': anchor.view }),
    };
    facts.signed = await checkEndorsement(views, trust, suite);
    const found = `${facts.signed} of ${facts.organisations} organisations signed`;
    return trust.development ? notChecked(`${found}, but one operator holds every key`) : found;
  });
  await check('fresh', () => checkFresh(heads, logs, trust, now, nonce));
  await check('ordering', () => notChecked('the bundle carries no block'));
  await check('anchor', () => {
    if (!anchor) notChecked('nothing is anchored yet');
    facts.anchor = checkAnchor(anchor, { trails, logs }, suite);
    const known = [...(trust.anchor?.blocks ?? []), ...(blocks ?? [])];
    return checkChain(facts.anchor, { anchor, trails, box }, known, trust);
  });
  return { ...reportOf(checks, required), facts };
}

function reportOf(checks: Check[], required: ReadonlySet<CheckId>): Report {
  const ok = checks.every(
    ({ id, outcome }) => outcome === 'passed' || (outcome === 'not-checked' && !required.has(id)),
  );
  return { ok, checks };
}

async function outcomeOf(
  make: () => string | Promise<string>,
  required: boolean,
): Promise<{ outcome: Outcome; detail: string }> {
  try {
    return { outcome: 'passed', detail: await make() };
  } catch (error) {
    if (error instanceof NotChecked)
      return { outcome: required ? 'failed' : 'not-checked', detail: error.message };
    // Whatever else a hostile bundle makes happen must fail the check, not the page.
    if (!(error instanceof TraceError))
      return { outcome: 'failed', detail: 'the bundle could not be checked' };
    return { outcome: 'failed', detail: error.place ? `${error.place}: ${error.message}` : error.message };
  }
}

function notChecked(why: string): never {
  throw new NotChecked(why);
}
function wrong(place: string, message: string): never {
  throw new TraceError('BUNDLE_MALFORMED', message, { place });
}
const records = (bundle: ReadBundle): number =>
  bundle.trails.reduce((sum, { records: { length } }) => sum + length, 0);
const placeOf = (trail: number, record: number): string => `/trails/${trail}/records/${record}`;

/** What the view shows under a key. Throws when the view was not asked for it or it does not exist. */
function shown<T>({ values }: ReadState, key: string, place: string): T {
  const value = values.get(key);
  if (value === undefined) wrong(place, `the view does not show ${key}`);
  return value as T;
}

/** The trail belongs to the token in this QR, and the label was not replaced. */
function checkBox(
  box: string,
  trails: readonly ReadTrail[],
  heads: ReadState,
  token: string | undefined,
  suite: Suite,
): string {
  if (token === undefined) notChecked('no token was given');
  const commitment = tokenCommitment(token, suite.sha256);
  const target = heads.values.get(keyOf.token(commitment)) as TokenTarget | undefined;
  if (target?.package !== box) wrong('/package', 'the token leads to another box');
  const { state } = shown<Subject>(heads, keyOf.subject(box), '/package');
  if (state.kind !== 'PKG' || !('token' in state.own) || state.own.token !== commitment)
    wrong('/package', "the box's label was replaced");
  const trail = trails.findIndex(({ subject }) => subject === box);
  for (const [i, { record, disclosures }] of trails[trail]!.records.entries()) {
    if (record.entry.step !== 'LABELLED') continue;
    const sealNo = disclosures.find(({ shown: { name } }) => name === 'sealNo')?.shown.value;
    if (
      typeof sealNo === 'string' &&
      sealCommitment(token, sealNo, suite.sha256) !== record.entry.open['sealCommit']
    )
      wrong(placeOf(trail, i), 'the shown seal number is not the sealed one');
  }
  return 'the token leads to this box, and its label stands';
}

/** Each entry was signed by a station of the organisation it names, enrolled at the record's index. */
async function checkSignatures(
  trails: readonly ReadTrail[],
  heads: ReadState,
  suite: Suite,
): Promise<string> {
  const signers = new Set<string>();
  for (const [t, trail] of trails.entries())
    for (const [i, { record }] of trail.records.entries()) {
      const { entry, index } = record;
      const place = placeOf(t, i);
      const station = shown<Station>(heads, keyOf.station(entry.station), place);
      if (station.org !== entry.org || station.site !== entry.site)
        wrong(place, `the station ${entry.station} belongs to another organisation or site`);
      if (index < station.enrolled || (station.revoked !== undefined && index >= station.revoked))
        wrong(place, `the station ${entry.station} was not enrolled then`);
      if (!RULES[entry.step]?.roles.some((role) => station.roles.includes(role)))
        wrong(place, `the station ${entry.station} may not record ${entry.step}`);
      if (!(await verifyEntry(entry, station.key, suite))) wrong(place, 'the signature does not hold');
      signers.add(entry.station);
    }
  return `${signers.size} stations`;
}

/**
 * seq and prev unbroken from the first record to the viewed head: nothing added, removed, reordered or cut off; and no
 * trail left out of which the view shows a head.
 */
function checkTrails(trails: readonly ReadTrail[], heads: ReadState, suite: Suite): string {
  for (const [t, trail] of trails.entries()) {
    let prev = '';
    for (const [i, { record }] of trail.records.entries()) {
      if (record.seq !== i + 1)
        wrong(placeOf(t, i), `record ${i + 1} of the trail is missing or out of place`);
      if (record.prev !== prev) wrong(placeOf(t, i), 'the record does not follow the one before it');
      prev = leafOf(record, suite.sha256);
    }
    const { seq, head } = shown<Subject>(heads, keyOf.subject(trail.subject), `/trails/${t}`);
    if (seq !== trail.records.length || head !== prev)
      wrong(`/trails/${t}`, 'the trail does not end at the viewed head');
  }
  const subjects = new Set(trails.map(({ subject }) => keyOf.subject(subject)));
  for (const { records: own } of trails) {
    const { step, links } = own[0]!.record.entry;
    // Without it the box's trail says nothing of how its medicine was made.
    if (step === 'LABELLED' && links?.some((key) => !subjects.has(keyOf.subject(key))))
      wrong('/trails', "the trail of the box's fulfilment is missing");
  }
  for (const [key, value] of heads.values)
    if (key.startsWith(keyOf.subject('')) && value !== undefined && !subjects.has(key))
      wrong('/trails', `the trail of the viewed ${key} is missing`);
  return 'unbroken to the viewed heads';
}

/** Every step was legal when it was taken, and the state that the steps lead to is the viewed one. */
function checkRules(trails: readonly ReadTrail[], heads: ReadState): string {
  const outcome = replay(
    trails,
    (org) => (heads.values.get(keyOf.member(org)) as { kind: never } | undefined)?.kind,
  );
  if (outcome.unknownRules) notChecked(`the rule set ${outcome.unknownRules} is not known here`);
  for (const [t, trail] of trails.entries()) {
    const { state } = shown<Subject>(heads, keyOf.subject(trail.subject), `/trails/${t}`);
    const replayed = outcome.states.get(trail.subject)!;
    if (canonical({ kind: state.kind, org: state.org, own: state.own }) !== canonical(replayed))
      wrong(`/trails/${t}`, 'the steps lead to another state than the viewed one');
  }
  return outcome.marks.length
    ? `every step was legal; noted: ${outcome.marks.join(', ')}`
    : 'every step was legal';
}

/** Each shown field is one that was committed to, of its step, and shown once. */
function checkDisclosures(trails: readonly ReadTrail[], suite: Suite): string {
  let count = 0;
  for (const [t, trail] of trails.entries())
    for (const [i, { record, disclosures }] of trail.records.entries()) {
      const { entry } = record;
      const names = new Set(Object.keys(entry.open));
      for (const [k, { text, shown: field }] of disclosures.entries()) {
        const place = `${placeOf(t, i)}/disclosures/${k}`;
        if (!entry.digests.includes(disclosureDigest(text, suite.sha256)))
          wrong(place, `the field ${field.name} was not committed to`);
        if (names.has(field.name)) wrong(place, `the field ${field.name} stands twice`);
        names.add(field.name);
        const sealed = RULES[entry.step]?.sealed;
        const type = sealed && Object.hasOwn(sealed, field.name) ? sealed[field.name]!.type : undefined;
        if (!type?.safeParse(field.value).success)
          wrong(place, `the field ${field.name} is not one of ${entry.step}`);
        count++;
      }
    }
  return `${count} fields`;
}

/** Each trail's head is in its organisation's log at the viewed checkpoint. */
function checkInclusion(trails: readonly ReadTrail[], logs: ReadState, suite: Suite): string {
  for (const [t, trail] of trails.entries()) {
    const { record } = trail.records.at(-1)!;
    const log = shown<Log>(logs, keyOf.log(record.entry.org), `/trails/${t}`);
    try {
      const checkpoint = { size: log.size, root: fromBase64url(log.root) };
      verifyInclusion(
        fromBase64url(leafOf(record, suite.sha256)),
        record.index,
        checkpoint,
        trail.inclusion,
        suite.sha256,
      );
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      wrong(`/trails/${t}/inclusion`, error.message);
    }
  }
  return `${trails.length} heads in their logs`;
}

/** Enough organisations' peers signed the very state of each view, by place: how many signed each. */
async function checkEndorsement(
  views: Readonly<{ [place: string]: ReadState }>,
  trust: Trust,
  suite: Suite,
): Promise<number> {
  const organisations = new Map(trust.organisations.map(({ mspId, ca }) => [mspId, ca]));
  let fewest = organisations.size;
  for (const [place, { view }] of Object.entries(views)) {
    if (view.channel !== trust.channel || view.chaincode !== trust.chaincode)
      wrong(place, 'the view is of another channel or chaincode than the trusted one');
    const endorsers = await checkView(view, organisations, suite).catch((error: unknown) => {
      if (!(error instanceof TraceError)) throw error;
      throw new TraceError(error.code, error.message, { place: place + error.place, cause: error });
    });
    if (endorsers.unknown.length)
      wrong(place, `signed by ${endorsers.unknown.join(', ')}, which the trust file does not name`);
    if (endorsers.organisations.length < trust.threshold)
      wrong(
        place,
        `${endorsers.organisations.length} trusted organisations signed, ${trust.threshold} are needed`,
      );
    fewest = Math.min(fewest, endorsers.organisations.length);
  }
  return fewest;
}

/** Endorsers refuse a proposal whose time is off: so this is when the view was taken. */
const FRESH_FOR = 10 * 60_000;
const CLOCK_SKEW = 2 * 60_000;

function checkFresh(
  heads: ReadState,
  logs: ReadState,
  trust: Trust,
  now: number,
  nonce: Uint8Array | undefined,
): string {
  const taken = heads.view.timestamp;
  if (nonce && !equal(heads.view.nonce, nonce))
    wrong('/views/heads', "the view was not taken with the reader's nonce");
  if (logs.view.timestamp < taken)
    wrong('/views/logs', 'the view of the logs is older than the view of the heads');
  if (logs.view.timestamp > now + CLOCK_SKEW) wrong('/views/logs', 'the view comes from the future');
  const age = Math.max(0, Math.round((now - taken) / 1000));
  if (now - taken > FRESH_FOR) notChecked(`the view is ${age} s old: later steps are not in it`);
  const found = nonce ? `${age} s old, with the reader's nonce` : `${age} s old`;
  return trust.development ? notChecked(`${found}, but one operator holds every key`) : found;
}

/** The block that holds the anchor is one of the trusted chain, as far as the reader knows its blocks. */
function checkChain(
  { chain, contract, block, hash, time, later }: AnchorFacts,
  { anchor, trails, box }: { anchor: ReadAnchor; trails: readonly ReadTrail[]; box: string },
  blocks: readonly KnownBlock[],
  { anchor: trusted }: Trust,
): string {
  if (!trusted) notChecked('the trust file names no chain');
  if (chain !== trusted.chain) wrong('/anchor/chain', `${chain} is not the trusted ${trusted.chain}`);
  if (contract !== trusted.contract)
    wrong('/anchor/contract', `${contract} is not the trusted ${trusted.contract}`);
  if (anchor.trails[trails.findIndex(({ subject }) => subject === box)]!.records === 0)
    notChecked('no record of the box is anchored yet');
  const known = blocks.filter(({ number }) => number === block);
  if (known.some((one) => one.hash.toLowerCase() !== hash))
    wrong('/anchor/header', `a foreign header: the known block ${block} of ${chain} has another hash`);
  if (!known.length) notChecked(`to be looked up: whether block ${block} of ${chain} has the hash ${hash}`);
  const places = trails.flatMap(({ records: all }, t) => {
    const { records: anchored } = anchor.trails[t]!;
    return anchored < all.length ? [placeOf(t, anchored)] : [];
  });
  const rest = later ? `; ${later} records came after it: from ${places.join(', ')} on` : '';
  const found = `public since ${printMinute(Math.floor(time / 60_000))} in block ${block} of ${chain}${rest}`;
  return trusted.development ? notChecked(`${found}, but one operator runs this chain`) : found;
}
