import {
  at as keyOf,
  deviationsOf,
  disclosureDigest,
  parseDisclosure,
  parseEntry,
  parseMinute,
  PROCESS_CHECKS,
  RULE_SETS,
  RULES,
  type Entry,
  type Json,
  type Payload,
  type ProcessCheckId,
  type Site,
  type State,
  type Statement,
  type Subject,
  type World,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  latestAbout,
  latestBoilIn,
  nextNumber,
  systemStation,
  type ShownEvent,
} from '../store/deviations.ts';
import type { Db } from '../store/pool.ts';

/** An event with its disclosures. */
export interface Event {
  entry: Entry;
  disclosures: readonly string[];
}

/** Finds what is outside the process rules in the events of one request, while they are judged one after another. */
export interface Inspection {
  /** the station that files what is found, to be locked with the others; undefined: there is none, and nothing is filed */
  readonly station: string | undefined;
  /** what was found, and in which event */
  readonly found: { station: string; n: number; checkId: ProcessCheckId }[];
  /** Looks at an event that was accepted, `world` being the state after it. Gives what is to be filed next, at this minute. */
  look(event: Event, world: World, time: string): Promise<Statement[]>;
}

/**
 * Begins the inspection of a request that will take these steps. What it looks up may be missing, erased or changed in the
 * store: then the checks about it find nothing, and the step is stored as it would have been.
 */
export async function openInspection(
  tx: Db,
  { org, site }: { org: string; site: string },
  steps: readonly string[],
): Promise<Inspection> {
  const station = steps.some(isInspected) ? await systemStation(tx, org, site) : undefined;
  const found: Inspection['found'] = [];
  /** the events of this request so far: they are stored at its end */
  const recent: Event[] = [];
  let next: number | undefined;

  const latest = async (
    isIt: (entry: Entry) => boolean,
    stored: () => Promise<ShownEvent | undefined>,
  ): Promise<Event | undefined> => {
    const event = recent.findLast(({ entry }) => isIt(entry));
    if (event) return event;
    const shown = await stored();
    return shown && { entry: parseEntry(shown.entry), disclosures: shown.disclosures };
  };
  const about = (subject: string, step: string): Promise<Event | undefined> =>
    latest(
      (entry) => entry.subject === subject && entry.step === step,
      () => latestAbout(tx, subject, step),
    );
  const boilIn = (device: string): Promise<Event | undefined> =>
    latest(
      ({ step, links }) => step === 'DECOCT_STARTED' && links?.[0] === device,
      () => latestBoilIn(tx, device),
    );
  const prescriptionOf = async (acceptance: Event | undefined): Promise<Payload> =>
    payloadOf(acceptance && (await about(acceptance.entry.links![0]!, 'RX_ISSUED')));

  async function deviceBefore(device: string): Promise<{ cleaning: Payload; before: Payload }> {
    const boil = await boilIn(device);
    return {
      cleaning: payloadOf(await about(device, 'EQUIP_CLEANED')),
      before: boil ? await prescriptionOf(await about(boil.entry.subject, 'RX_ACCEPTED')) : {},
    };
  }

  async function look(event: Event, world: World, now: string): Promise<Statement[]> {
    const { entry } = event;
    if (!isInspected(entry.step)) {
      recent.push(event);
      return [];
    }
    const acceptance = await about(entry.subject, 'RX_ACCEPTED');
    const { own } = world.get<Subject>(keyOf.subject(entry.subject))!.state as State<'FUL'>;
    const deviations = deviationsOf(entry.step, {
      payload: payloadOf(event),
      time: parseMinute(entry.time),
      // The referee has just accepted the entry under this very rule set.
      rules: RULE_SETS.get(world.get<Site>(keyOf.site(org, site))!.rules)!,
      own,
      accepted: acceptance && parseMinute(acceptance.entry.time),
      prescription: await prescriptionOf(acceptance),
      device:
        entry.step === 'DECOCT_STARTED' ? await deviceBefore(entry.links![0]!) : { cleaning: {}, before: {} },
    });
    recent.push(event);
    for (const { checkId } of deviations) found.push({ station: entry.station, n: entry.n, checkId });
    // One that is open already says it: quality control decides about the check, not about each event.
    const fresh = deviations.filter(({ checkId }) => !own.deviations.includes(checkId));
    if (station === undefined || fresh.length === 0) return [];
    let n = next ?? (await nextNumber(tx, station));
    next = n + fresh.length;
    return fresh.map((payload) => ({
      step: 'DEVIATION_RECORDED',
      subject: entry.subject,
      org,
      site,
      station,
      n: n++,
      time: now,
      payload: { ...payload },
    }));
  }

  return { station, found, look };
}

/** Whether the service has anything to check at this step. */
const isInspected = (step: string): boolean =>
  RULES[step]?.checks.some((id) => PROCESS_CHECKS[id].judged === 'service') ?? false;

/** All fields of an event that are known: a disclosure that its entry does not commit to was changed in the store. */
function payloadOf(event: Event | undefined): Payload {
  if (!event) return {};
  const payload: Record<string, Json> = { ...event.entry.open };
  for (const text of event.disclosures) {
    if (!event.entry.digests.includes(disclosureDigest(text, nodeSuite.sha256))) continue;
    const { name, value } = parseDisclosure(text);
    payload[name] = value;
  }
  return payload;
}
