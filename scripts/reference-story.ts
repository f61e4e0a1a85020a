import {
  parseMinute,
  printMinute,
  pseudonym,
  sealCommitment,
  tokenCommitment,
  type Json,
  type Kind,
  type Role,
  type Statement,
  type Suite,
} from '@yaoji/chaincode/core';

// One prescription from the doctor's desk to the patient's door: 旋覆代赭汤, 7 剂, 14 bags (process reference, section 7). The
// demo plays it through the API, the tests through the referee. The doses are a textbook's, the codes invented: test data,
// not medical advice.

/** A station that the story needs. */
interface StoryStation {
  readonly kind: Kind;
  readonly zh: string;
  readonly en: string;
  readonly roles: readonly Role[];
  /** whether the service holds its key */
  readonly hosted: boolean;
}

export const STORY_STATIONS = {
  connector: {
    kind: 'hospital',
    zh: '医院信息系统接口',
    en: 'Hospital connector',
    roles: ['PRESCRIBER', 'PHARMACIST'],
    hosted: false,
  },
  reception: { kind: 'decoction', zh: '接方台', en: 'Reception', roles: ['RECEPTION'], hosted: false },
  dispensary: { kind: 'decoction', zh: '调剂室', en: 'Dispensary', roles: ['DISPENSARY'], hosted: false },
  decoctionRoom: {
    kind: 'decoction',
    zh: '煎药室',
    en: 'Decoction room',
    roles: ['DECOCTION'],
    hosted: false,
  },
  packing: { kind: 'decoction', zh: '包装台', en: 'Packing', roles: ['PACKING'], hosted: false },
  quality: { kind: 'decoction', zh: '质检台', en: 'Quality control', roles: ['QUALITY'], hosted: false },
  dispatch: { kind: 'decoction', zh: '发货台', en: 'Dispatch', roles: ['DISPATCH'], hosted: false },
  page: { kind: 'decoction', zh: '患者页面', en: "The patient's page", roles: ['PAGE'], hosted: true },
  system: { kind: 'decoction', zh: '系统', en: 'The service', roles: ['SYSTEM'], hosted: true },
  phone: { kind: 'courier', zh: '快递员手机', en: "The courier's phone", roles: ['COURIER'], hosted: false },
  inspector: { kind: 'regulator', zh: '监管桌面', en: 'Inspection', roles: ['INSPECTOR'], hosted: false },
} as const satisfies Record<string, StoryStation>;
export type StoryStationName = keyof typeof STORY_STATIONS;

/** What one telling of the story is about. */
export interface Story {
  /** the day D of the process reference, such as 2026-11-20: see latestDay */
  readonly day: string;
  /** random keys of the subjects; the device is registered, idle and clean */
  readonly keys: Readonly<Record<'prescription' | 'fulfilment' | 'package' | 'device', string>>;
  /** the members' ids, and the site of each at which the story's stations stand */
  readonly orgs: Readonly<Record<'hospital' | 'decoction' | 'courier', string>>;
  readonly sites: Readonly<Record<'hospital' | 'decoction' | 'courier', string>>;
  /** the enrolled ids of the story's stations */
  readonly stations: Readonly<Record<StoryStationName, string>>;
  /** the box's token and the number on its seal */
  readonly token: string;
  readonly sealNo: string;
  /** the random id that both sides of the handover carry */
  readonly handover: string;
  /** the centre's key for its staff's pseudonyms */
  readonly staffKey: Uint8Array;
  readonly sha256: Suite['sha256'];
}

/** One step of the story, without its station's counter. */
export interface Told {
  readonly by: StoryStationName;
  readonly statement: Omit<Statement, 'n'>;
}

interface Herb {
  readonly herb: string;
  readonly name: string;
  /** per 剂 */
  readonly milligrams: number;
  readonly special?: 'FIRST' | 'WRAP' | 'SEPARATE';
  readonly lot: string;
  /** what the dispenser weighed for all doses */
  readonly weighed: number;
}

const HERBS: readonly Herb[] = [
  {
    herb: 'DEMO-xuanfuhua',
    name: '旋覆花',
    milligrams: 9_000,
    special: 'WRAP',
    lot: 'XFH-2609-11',
    weighed: 63_300,
  },
  {
    herb: 'DEMO-zheshi',
    name: '赭石',
    milligrams: 15_000,
    special: 'FIRST',
    lot: 'ZS-2607-02',
    weighed: 105_500,
  },
  {
    herb: 'DEMO-renshen',
    name: '人参',
    milligrams: 6_000,
    special: 'SEPARATE',
    lot: 'RS-2608-07',
    weighed: 42_200,
  },
  { herb: 'DEMO-shengjiang', name: '生姜', milligrams: 10_000, lot: 'SJ-2610-30', weighed: 70_300 },
  { herb: 'DEMO-fabanxia', name: '法半夏', milligrams: 9_000, lot: 'FBX-2606-05', weighed: 63_300 },
  { herb: 'DEMO-zhigancao', name: '炙甘草', milligrams: 9_000, lot: 'ZGC-2609-21', weighed: 63_300 },
  { herb: 'DEMO-dazao', name: '大枣', milligrams: 12_000, lot: 'DZ-2610-14', weighed: 84_400 },
];
const DOSES = 7;
const BAGS = 14;
const PLAN = { first: true, late: false, wrap: true, separate: true, dissolve: false, second: true };
const RUN = 'R1';
const STAFF = { dispenser: 'TJ012', checker: 'TJ007', packer: 'BZ003', inspector: 'ZJ001' };

const DAY = 1440;
const SHANGHAI = 8 * 60;
/** The story's last step is at D+1 08:50. */
const LENGTH = DAY + 8 * 60 + 50;

/** The latest day on which the story can have begun so that all of it is past. `now`: ms since the epoch. */
export function latestDay(now: number): string {
  const local = Math.floor(now / 60_000) + SHANGHAI;
  return printMinute(Math.floor((local - LENGTH) / DAY) * DAY).slice(0, 10);
}

/** The story's steps, in the order in which they were taken. */
export function referenceStory(story: Story): Told[] {
  const { keys, orgs, sites, stations, token, sealNo, staffKey, sha256 } = story;
  /** a local time of day D, or of a later day, as a minute of UTC */
  const at = (clock: string, later = 0): string =>
    printMinute(parseMinute(`${story.day}T${clock}Z`) + later * DAY - SHANGHAI);
  const by =
    (station: StoryStationName, subject: string) =>
    (time: string, step: string, payload: { [name: string]: Json }, links: string[] = []): Told => {
      const { kind } = STORY_STATIONS[station];
      if (kind === 'regulator') throw new Error('invariant: the regulator records nothing in this story');
      return {
        by: station,
        statement: {
          step,
          subject,
          ...(links.length ? { links } : {}),
          org: orgs[kind],
          site: sites[kind],
          station: stations[station],
          time,
          payload,
        },
      };
    };
  const hospital = by('connector', keys.prescription);
  const reception = by('reception', keys.fulfilment);
  const dispensary = by('dispensary', keys.fulfilment);
  const room = by('decoctionRoom', keys.fulfilment);
  const packing = by('packing', keys.fulfilment);
  const quality = by('quality', keys.fulfilment);
  const labelling = by('packing', keys.package);
  const dispatch = by('dispatch', keys.package);
  const phone = by('phone', keys.package);
  const page = by('page', keys.package);
  const cleaning = by('decoctionRoom', keys.device);

  const actor = (staff: string): { actor: string; staff: string } => ({
    actor: pseudonym(staffKey, keys.fulfilment, staff, sha256),
    staff,
  });
  const refs = (...specials: Herb['special'][]): string[] =>
    HERBS.filter(({ special }) => specials.includes(special)).map(({ herb }) => herb);
  const first = { run: RUN, stage: 'FIRST' };
  const second = { run: RUN, stage: 'SECOND' };
  const device = [keys.device];
  const deviceId = 'JY-03';
  const sealCommit = sealCommitment(token, sealNo, sha256);
  const box = { sealCommit, bags: BAGS };

  return [
    hospital(at('08:58'), 'RX_ISSUED', {
      plan: PLAN,
      validUntil: at('08:58', 3),
      maxUses: 1,
      rxVersion: 1,
      doses: DOSES,
      bagsPerDose: BAGS / DOSES,
      herbCount: HERBS.length,
      useRoute: 'INTERNAL',
      decoctClass: 'GENERAL',
      patientBand: 'ADULT',
      items: HERBS.map(({ herb, name, milligrams, special }) => ({
        herb,
        name,
        milligrams,
        ...(special && { special }),
      })),
      hasToxic: false,
      urgent: false,
    }),
    hospital(at('09:03'), 'RX_REVIEWED', { result: 'PASS', rules: [] }),
    hospital(at('09:04'), 'RX_ROUTED', {
      centres: [orgs.decoction],
      mode: 'COURIER',
      slaHours: 24,
      slot: { from: at('08:30', 1), to: at('09:00', 1) },
    }),
    reception(
      at('09:10'),
      'RX_ACCEPTED',
      { plan: PLAN, mode: 'COURIER', fulfilmentNo: 1, promisedAt: at('09:00', 1) },
      [keys.prescription],
    ),
    dispensary(at('09:22'), 'HERBS_DISPENSED', {
      ...actor(STAFF.dispenser),
      basketId: 'K-0417',
      items: HERBS.map(({ herb, lot, weighed, special }) => ({
        herbRef: herb,
        lot,
        milligrams: weighed,
        ...(special && { special }),
      })),
      totalMilligrams: 492_300,
    }),
    dispensary(at('09:30'), 'HERBS_CHECKED', {
      ...actor(STAFF.checker),
      result: 'PASS',
      weightMilligrams: 492_300,
    }),
    room(at('09:34'), 'SOAK_STARTED', { waterMl: 2_700, waterTempDeciC: 220 }),
    room(at('10:06'), 'SOAK_ENDED', {}),
    room(at('10:07'), 'SEPARATE_STARTED', { herbRefs: refs('SEPARATE'), vesselId: 'DZ-05' }),
    // The first boil uses the water of the soaking.
    room(at('10:08'), 'DECOCT_STARTED', { ...first, deviceId, waterMl: 2_700 }, device),
    room(at('10:08'), 'HERB_ADDED', { run: RUN, kind: 'FIRST', herbRefs: refs('FIRST') }),
    room(at('10:20'), 'BOIL_REACHED', { ...first, tempDeciC: 992 }),
    room(at('10:33'), 'HERB_ADDED', { run: RUN, kind: 'MAIN', herbRefs: refs(undefined) }),
    room(at('10:33'), 'HERB_ADDED', { run: RUN, kind: 'WRAP', herbRefs: refs('WRAP') }),
    room(at('10:41'), 'BOIL_REACHED', { ...first, tempDeciC: 993 }),
    room(at('11:06'), 'DECOCT_ENDED', { ...first, peakTempDeciC: 996, stirCount: 3 }, device),
    room(at('11:08'), 'STRAINED', { ...first, volumeMl: 1_750 }),
    room(at('11:10'), 'DECOCT_STARTED', { ...second, deviceId, waterMl: 1_500 }, device),
    room(at('11:19'), 'BOIL_REACHED', { ...second, tempDeciC: 991 }),
    room(at('11:39'), 'DECOCT_ENDED', { ...second, peakTempDeciC: 995, stirCount: 3 }, device),
    room(at('11:41'), 'STRAINED', { ...second, volumeMl: 1_150 }),
    room(at('12:07'), 'SEPARATE_ENDED', { herbRefs: refs('SEPARATE'), vesselId: 'DZ-05', volumeMl: 50 }),
    room(at('12:09'), 'MIXED', { totalMl: 2_950 }),
    packing(at('12:20'), 'PACKED', {
      ...actor(STAFF.packer),
      packages: [{ package: keys.package, bags: BAGS }],
      bagMl: 200,
    }),
    labelling(
      at('12:22'),
      'LABELLED',
      { token: tokenCommitment(token, sha256), ...box, sealNo, bestBefore: at('12:22', 8), printNo: 1 },
      [keys.fulfilment],
    ),
    quality(at('12:27'), 'QC_DONE', {
      ...actor(STAFF.inspector),
      result: 'PASS',
      items: { APPEARANCE: true, ODOR: true, VOLUME: true, SEAL: true, LABEL: true },
    }),
    quality(at('12:28'), 'SAMPLE_RETAINED', { sampleNo: 'LY-0417', ml: 150, tempDeciC: 40, keepHours: 168 }),
    cleaning(at('12:35'), 'EQUIP_CLEANED', { kind: 'NORMAL', deviceId, minutes: 20 }),
    quality(at('13:30'), 'RELEASED', { packageCount: 1, shelf: 'A-2-07', cold: true }),
    dispatch(
      at('15:05'),
      'HANDED_OVER',
      { to: orgs.courier, handover: story.handover, ...box, waybill: 'YD20417' },
      [keys.fulfilment],
    ),
    phone(at('15:06'), 'COURIER_ACCEPTED', { handover: story.handover, sealIntact: true, ...box }),
    phone(at('20:40'), 'HUB_SCANNED', { dir: 'IN', hubCode: 'HUB-021' }),
    phone(at('05:40', 1), 'HUB_SCANNED', { dir: 'OUT', hubCode: 'HUB-021' }),
    phone(at('07:50', 1), 'OUT_FOR_DELIVERY', { slotStart: at('08:30', 1) }),
    phone(at('08:41', 1), 'DELIVERED', {
      proof: 'CODE',
      bags: BAGS,
      sealIntact: true,
      receiverKind: 'SELF',
    }),
    page(at('08:50', 1), 'PATIENT_VERIFIED', { outerInnerMatch: true, bagCountOk: true }),
  ];
}
