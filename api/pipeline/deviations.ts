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

/** Finds what is outside the process rules in some events, while they are judged one after another. */
export interface Inspection {
  /** the stations that file what is found, to be locked with the others; a site may have none: then nothing is filed */
  readonly stations: readonly string[];
  /** what was found, and in which event */
  readonly found: { station: string; n: number; checkId: ProcessCheckId }[];
  /** Looks at an event that was accepted, `world` being the state after it. Gives what is to be filed next, at this minute. */
  look(event: Event, world: World, time: string): Promise<Statement[]>;
}

/**
 * Begins the inspection of steps that are to be taken at their sites. What it looks up may be missing, erased or changed in the
 * store: then the checks about it find nothing, and the step is stored as it would have been.
 */
export async function openInspection(
  tx: Db,
  steps: readonly { org: string; site: string; step: string }[],
): Promise<Inspection> {
  const stations = new Map<string, string | undefined>();
  for (const { org, site, step } of steps) {
    if (!isInspected(step) || stations.has(`${org} ${site}`)) continue;
    stations.set(`${org} ${site}`, await systemStation(tx, org, site));
  }
  const found: Inspection['found'] = [];
  /** the events so far: they are stored at the end */
  const recent: Event[] = [];
  const next = new Map<string, number>();

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
    const { org, site } = entry;
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
    const station = stations.get(`${org} ${site}`);
    if (station === undefined || fresh.length === 0) return [];
    let n = next.get(station) ?? (await nextNumber(tx, station));
    next.set(station, n + fresh.length);
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

  return { stations: [...stations.values()].filter((station) => station !== undefined), found, look };
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
