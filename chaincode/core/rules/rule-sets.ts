import { toBase64url, utf8 } from '../bytes.ts';
import { canonical } from '../canonical.ts';
import type { Suite } from '../suite.ts';

/** The least and the most that is within the rules. */
export interface Bounds {
  min: number;
  max: number;
}
export const outside = (value: number, { min, max }: Bounds): boolean => value < min || value > max;

/**
 * The numbers that the rules compare with, as immutable data: a published set never changes, a new one gets a new id. The
 * ledger says which set a site works under, a record names the one it was judged by. Minutes unless the name says otherwise.
 */
export interface RuleSet {
  id: string;
  /** 先煎: from the first boil to the main herbs */
  firstLead: Bounds;
  /** 后下: before the end of the first boil */
  lateBeforeEnd: Bounds;
  soak: { min: number; urgentMin: number };
  /** after the last boil mark, first stage */
  boil: Readonly<{ [decoctClass: string]: Bounds }>;
  separate: Bounds;
  /** 100 °C, and 2 for the sensor's error */
  peakTempDeciC: number;
  /** over the air's */
  pressureKpa: number;
  stirMin: number;
  mlPerDose: Readonly<{ [patientBand: string]: Bounds }>;
  sample: { minMl: number; minTempDeciC: number; maxTempDeciC: number; minHours: number };
  /** how far what was weighed may lie from what was prescribed */
  dosePermille: number;
  /** cleaning a device in which something toxic was boiled: strengthened, and at least this long */
  toxicWashMin: number;
  /** 急煎: from acceptance to quality control */
  urgentWithin: number;
}

/** After the 2009 national decoction-room text as the process reference gives it; not yet checked against the official wording. */
const national2009: RuleSet = {
  id: 'national-2009.1',
  firstLead: { min: 10, max: 240 },
  lateBeforeEnd: { min: 5, max: 10 },
  soak: { min: 30, urgentMin: 15 },
  boil: {
    GENERAL: { min: 20, max: 30 },
    EXTERIOR: { min: 15, max: 20 },
    HEAT: { min: 15, max: 20 },
    AROMATIC: { min: 15, max: 20 },
    TONIC: { min: 40, max: 60 },
  },
  separate: { min: 110, max: 190 },
  peakTempDeciC: 1020,
  pressureKpa: 20,
  stirMin: 2,
  mlPerDose: { ADULT: { min: 400, max: 600 }, CHILD: { min: 100, max: 300 }, INFANT: { min: 100, max: 300 } },
  sample: { minMl: 50, minTempDeciC: 20, maxTempDeciC: 80, minHours: 24 },
  dosePermille: 50,
  toxicWashMin: 15,
  urgentWithin: 120,
};

/** Every rule set that was ever published. */
export const RULE_SETS: ReadonlyMap<string, RuleSet> = new Map([[national2009.id, national2009]]);
export const DEFAULT_RULE_SET = national2009.id;

/** The hash that pins a rule set: SHA-256 of its canonical JSON, base64url. */
export const ruleSetHash = (set: RuleSet, sha256: Suite['sha256']): string =>
  toBase64url(sha256(utf8(canonical(set))));
