import type { Json } from '../canonical.ts';
import { outside, type Bounds, type RuleSet } from './rule-sets.ts';
import { boiledFor, type FulOwn } from './state.ts';

// WHO JUDGES WHAT. A step is refused for the needs of its row in table.ts: those the ledger judges, and the service before it
// by the same code. What has happened in the world and lies outside the rules is accepted and becomes a deviation, which blocks
// the release until quality control decides: the checks below (process reference 2.7, column RULE).
//
//   ledger    judged by every member's chaincode, on the trail alone, before quality control may say PASS: findings.ts
//   service   judged by the API alone, at once, since it needs sealed fields: it files a DEVIATION_RECORDED
//
// What only an audit can see, over many prescriptions, is not here: nothing computes it yet.

/** A payload's fields as far as they are known: none where the event is not stored here, fewer where some were erased. */
export type Payload = Readonly<Record<string, Json | undefined>>;

/** What the service sees of a step that was just accepted. Where something is not known, the checks about it find nothing. */
export interface Seen {
  /** all fields of the step, the sealed ones too */
  payload: Payload;
  /** the event's minute */
  time: number;
  rules: RuleSet;
  /** the fulfilment's state after the step */
  own: FulOwn;
  /** the minute at which the centre accepted the prescription */
  accepted: number | undefined;
  /** what RX_ISSUED said */
  prescription: Payload;
  /** where a boil starts: how its device was last cleaned, and what was prescribed to whom it boiled for before */
  device: { cleaning: Payload; before: Payload };
}

/** A deviation in words: what was measured, and what the rules allow. */
export interface Finding {
  measured: string;
  limit: string;
}

interface Columns {
  zh: string;
  en: string;
  /** the steps at which it is judged */
  steps: readonly string[];
}
/** A row of the table. `finds`: undefined when it is within the rules or not known. */
export type ProcessCheck =
  | (Columns & { judged: 'ledger' })
  | (Columns & { judged: 'service'; finds: (seen: Seen) => Finding | undefined });

const atQualityControl = { steps: ['QC_DONE'], judged: 'ledger' } as const;

export const PROCESS_CHECKS = {
  // ── What the plan asked for ─────────────────────────────────────────────────────────────────────────────────────
  PLAN_FIRST: { zh: '缺先煎', en: 'Herbs to decoct first are missing', ...atQualityControl },
  PLAN_LATE: { zh: '缺后下', en: 'Herbs to add late are missing', ...atQualityControl },
  PLAN_WRAP: { zh: '缺包煎', en: 'Wrapped herbs are missing', ...atQualityControl },
  PLAN_SEPARATE: { zh: '缺另煎', en: 'The separate decoction is missing', ...atQualityControl },
  PLAN_DISSOLVE: { zh: '缺烊化', en: 'Herbs to dissolve are missing', ...atQualityControl },
  PLAN_SECOND: { zh: '缺二煎', en: 'The second boil is missing', ...atQualityControl },

  // ── Times that everybody can read on the trail ──────────────────────────────────────────────────────────────────
  NO_BOIL_MARK: { zh: '缺煮沸记录', en: 'A boil was never marked as boiling', ...atQualityControl },
  FIRST: { zh: '先煎时间', en: 'From first boiling to the main herbs', ...atQualityControl },
  LATE: { zh: '后下时间', en: 'From the late herbs to the end of the first boil', ...atQualityControl },
  BOIL_2: { zh: '二煎不短于头煎', en: 'The second boil is not shorter than the first', ...atQualityControl },

  // ── What needs the sealed fields ────────────────────────────────────────────────────────────────────────────────
  WEIGH_DOSE: {
    zh: '调配重量',
    en: 'Weight dispensed against weight prescribed',
    steps: ['HERBS_DISPENSED'],
    judged: 'service',
    finds({ payload, prescription, rules: { dosePermille } }) {
      const weighed = int(payload['totalMilligrams']);
      const prescribed = times(sumOf(prescription['items'], 'milligrams'), int(prescription['doses']));
      if (weighed === undefined || prescribed === undefined) return undefined;
      if (Math.abs(weighed - prescribed) * 1000 <= prescribed * dosePermille) return undefined;
      return { measured: grams(weighed), limit: `${grams(prescribed)} ± ${dosePermille / 10} %` };
    },
  },
  SOAK_MIN: {
    zh: '浸泡时间',
    en: 'Soaking time',
    steps: ['SOAK_ENDED'],
    judged: 'service',
    finds({ own, prescription: { urgent }, rules: { soak } }) {
      const least = urgent === true ? soak.urgentMin : urgent === false ? soak.min : undefined;
      return atLeast(from(own.soakStarted, own.soakEnded), least, minutes);
    },
  },
  WASH: {
    zh: '毒性药后清洗',
    en: 'Cleaning of the device after toxic herbs',
    // When the next pot is started in it: that is the medicine that a bad cleaning spoils.
    steps: ['DECOCT_STARTED'],
    judged: 'service',
    finds({ payload, device: { cleaning, before }, rules: { toxicWashMin } }) {
      if (payload['stage'] !== 'FIRST') return undefined;
      const kind = cleaning['kind'];
      const took = int(cleaning['minutes']);
      if (before['hasToxic'] !== true || typeof kind !== 'string' || took === undefined) return undefined;
      if (kind === 'STRENGTHENED' && took >= toxicWashMin) return undefined;
      return { measured: `${kind}, ${minutes(took)}`, limit: `STRENGTHENED, ≥ ${minutes(toxicWashMin)}` };
    },
  },
  TEMP: {
    zh: '药液温度',
    en: 'Temperature of the liquid',
    steps: ['BOIL_REACHED', 'DECOCT_ENDED'],
    judged: 'service',
    finds: ({ payload, rules }) =>
      atMost(int(payload['peakTempDeciC']) ?? int(payload['tempDeciC']), rules.peakTempDeciC, celsius),
  },
  PRESSURE: {
    zh: '煎煮压力',
    en: 'Pressure in the device',
    steps: ['BOIL_REACHED'],
    judged: 'service',
    finds: ({ payload, rules }) =>
      atMost(int(payload['pressureKpa']), rules.pressureKpa, (kpa) => `${kpa} kPa`),
  },
  BOIL_CLASS: {
    zh: '头煎时间',
    en: 'First boil, from the last boiling mark to its end',
    // On the marks that are there when the liquids are mixed, since scanners may upload late; and on a later one.
    steps: ['MIXED', 'BOIL_REACHED'],
    judged: 'service',
    finds({ own, prescription, rules }) {
      const bounds = named(rules.boil, prescription['decoctClass']);
      if (own.phase === 'BOILING') return undefined;
      const findings = Object.values(own.runs).map(({ first }) => within(boiledFor(first), bounds, minutes));
      return findings.find((finding) => finding !== undefined);
    },
  },
  STIR: {
    zh: '搅拌次数',
    en: 'How often it was stirred',
    steps: ['DECOCT_ENDED'],
    judged: 'service',
    finds: ({ payload, rules }) => atLeast(int(payload['stirCount']), rules.stirMin, String),
  },
  SEPARATE: {
    zh: '另煎时间',
    en: 'Time of the separate decoction',
    steps: ['SEPARATE_ENDED'],
    judged: 'service',
    finds: ({ own: { separate }, rules }) =>
      within(from(separate?.started, separate?.ended), rules.separate, minutes),
  },
  BAG_COUNT: {
    zh: '袋数',
    en: 'Bags packed against bags prescribed',
    steps: ['PACKED'],
    judged: 'service',
    finds({ own, prescription }) {
      const prescribed = times(int(prescription['doses']), int(prescription['bagsPerDose']));
      const packed = Object.values(own.packages ?? {}).reduce((bags, more) => bags + more, 0);
      if (prescribed === undefined || packed === prescribed) return undefined;
      return { measured: String(packed), limit: String(prescribed) };
    },
  },
  VOL_DOSE: {
    zh: '每剂药量',
    en: 'Volume of one dose',
    steps: ['PACKED'],
    judged: 'service',
    // By what one bag holds: a bag that is missing is a deviation of its own and makes no other dose smaller.
    finds({ payload, prescription, rules }) {
      const dose = times(int(payload['bagMl']), int(prescription['bagsPerDose']));
      return within(dose, named(rules.mlPerDose, prescription['patientBand']), millilitres);
    },
  },
  URGENT: {
    zh: '急煎时限',
    en: 'From acceptance to quality control, when urgent',
    steps: ['QC_DONE'],
    judged: 'service',
    // A CONCESSION has decided about the delay already.
    finds: ({ payload: { result }, time, accepted, prescription: { urgent }, rules }) =>
      urgent === true && result === 'PASS'
        ? atMost(from(accepted, time), rules.urgentWithin, minutes)
        : undefined,
  },
  SAMPLE: {
    zh: '留样',
    en: 'The retained sample',
    steps: ['SAMPLE_RETAINED'],
    judged: 'service',
    finds({ payload, rules: { sample } }) {
      const ml = int(payload['ml']);
      const temp = int(payload['tempDeciC']);
      const hours = int(payload['keepHours']);
      if (ml === undefined || temp === undefined || hours === undefined) return undefined;
      const { minTempDeciC: min, maxTempDeciC: max } = sample;
      if (ml >= sample.minMl && !outside(temp, { min, max }) && hours >= sample.minHours) return undefined;
      return {
        measured: `${millilitres(ml)}, ${celsius(temp)}, ${hours} h`,
        limit: `≥ ${millilitres(sample.minMl)}, ${min / 10}–${celsius(max)}, ≥ ${sample.minHours} h`,
      };
    },
  },
} as const satisfies Record<string, ProcessCheck>;
export type ProcessCheckId = keyof typeof PROCESS_CHECKS;

const ALL: Readonly<Record<string, ProcessCheck>> = PROCESS_CHECKS;

/** The checks that are made at a step, in the table's order. */
export const checksOf = (step: string): ProcessCheckId[] =>
  (Object.keys(ALL) as ProcessCheckId[]).filter((id) => ALL[id]!.steps.includes(step));

/** What the service finds outside the rules at a step, in the table's order. */
export function deviationsOf(step: string, seen: Seen): ({ checkId: ProcessCheckId } & Finding)[] {
  return checksOf(step).flatMap((checkId) => {
    const check: ProcessCheck = PROCESS_CHECKS[checkId];
    const finding = check.judged === 'service' ? check.finds(seen) : undefined;
    return finding ? [{ checkId, ...finding }] : [];
  });
}

// Reading what may not be known

const int = (value: Json | undefined): number | undefined => (typeof value === 'number' ? value : undefined);

const times = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? undefined : a * b;

const from = (start: number | undefined, end: number | undefined): number | undefined =>
  start === undefined || end === undefined ? undefined : end - start;

/** The bounds for a class or band. */
const named = (bounds: Readonly<Record<string, Bounds>>, name: Json | undefined): Bounds | undefined =>
  typeof name === 'string' && Object.hasOwn(bounds, name) ? bounds[name] : undefined;

function sumOf(items: Json | undefined, field: string): number | undefined {
  if (!Array.isArray(items)) return undefined;
  let sum = 0;
  for (const item of items) {
    const value = typeof item === 'object' && !Array.isArray(item) ? int(item[field]) : undefined;
    if (value === undefined) return undefined;
    sum += value;
  }
  return sum;
}

// Comparing and saying so

type Print = (value: number) => string;
const minutes: Print = (value) => `${value} min`;
const celsius: Print = (deci) => `${deci / 10} °C`;
const millilitres: Print = (value) => `${value} ml`;
const grams: Print = (milligrams) => `${milligrams / 1000} g`;

const within = (value: number | undefined, bounds: Bounds | undefined, print: Print): Finding | undefined =>
  value === undefined || bounds === undefined || !outside(value, bounds)
    ? undefined
    : { measured: print(value), limit: `${bounds.min}–${print(bounds.max)}` };

const atLeast = (value: number | undefined, least: number | undefined, print: Print): Finding | undefined =>
  value === undefined || least === undefined || value >= least
    ? undefined
    : { measured: print(value), limit: `≥ ${print(least)}` };

const atMost = (value: number | undefined, most: number, print: Print): Finding | undefined =>
  value === undefined || value <= most ? undefined : { measured: print(value), limit: `≤ ${print(most)}` };
