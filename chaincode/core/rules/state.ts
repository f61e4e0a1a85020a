// What the rules remember of a subject: a few hundred bytes. The *own* part follows from the subject's trail alone, so that
// whoever sees the trail can recompute it; the *linked* part is moved by other subjects' steps.

export type Kind = 'hospital' | 'decoction' | 'courier' | 'regulator';
export type SubjectKind = 'RX' | 'FUL' | 'PKG' | 'DEV';

export type RxPhase = 'ISSUED' | 'RETURNED' | 'REVIEWED' | 'ROUTED' | 'REVOKED';
export type FulPhase =
  | 'ACCEPTED'
  | 'DISPENSED'
  | 'CHECKED'
  | 'SOAKING'
  | 'SOAKED'
  | 'BOILING'
  | 'MIXED'
  | 'PACKED'
  | 'QC_FAILED'
  | 'QC_PASSED'
  | 'RELEASED';
export type PkgPhase = 'LABELLED' | 'HANDED_OVER' | 'IN_CUSTODY' | 'OUT' | 'DELIVERED' | 'CLOSED';
export type DevPhase = 'REGISTERED';

export interface Plan {
  first: boolean;
  late: boolean;
  wrap: boolean;
  separate: boolean;
  dissolve: boolean;
  second: boolean;
}
export type Mode = 'SELF' | 'COURIER' | 'WARD';

export interface RxOwn {
  phase: RxPhase;
  /** the minute of the latest move */
  moved: number;
  plan: Plan;
  validUntil: number;
  maxUses: number;
  centres?: string[];
  mode?: Mode;
}
export interface RxLinked {
  uses: number;
}

/** One boil of a run. Boil marks may be many: the class time counts from the last, the lead of 先煎 from the first. */
export interface Stage {
  is: 'STARTED' | 'ENDED' | 'STRAINED';
  started: number;
  ended?: number;
  firstBoil?: number;
  lastBoil?: number;
}
/** Minutes from the last boil mark to the end. */
export const boiledFor = ({ lastBoil, ended }: Stage): number | undefined =>
  lastBoil === undefined || ended === undefined ? undefined : ended - lastBoil;

export type HerbKind = 'FIRST' | 'MAIN' | 'LATE' | 'WRAP';
/** One pot. `device` is held from the first start until the last planned end. */
export interface Run {
  device: string;
  held: boolean;
  moved: number;
  first: Stage;
  second?: Stage;
  added: { [kind in HerbKind]?: number };
}
export interface FulOwn {
  phase: FulPhase;
  moved: number;
  plan: Plan;
  mode: Mode;
  dispenser?: string;
  packer?: string;
  soakStarted?: number;
  soakEnded?: number;
  runs: { [run: string]: Run };
  separate?: { started: number; ended?: number };
  dissolved?: boolean;
  /** package key → bags */
  packages?: { [key: string]: number };
  /** open deviations, by check id, sorted */
  deviations: string[];
}
/** The run of this name. Names are the centres' own: `constructor` is one like any other. */
export const runOf = (own: FulOwn, run: string): Run | undefined =>
  Object.hasOwn(own.runs, run) ? own.runs[run] : undefined;

export interface FulLinked {
  /** the packages that carry a label, sorted */
  labelled: string[];
}

export interface PkgOwn {
  phase: PkgPhase;
  moved: number;
  token: string;
  seal: string;
  bags: number;
  custodian: string;
  /** every courier that ever had custody, sorted */
  carriers: string[];
  /** the handover under way or the last one */
  handover?: { id: string; to: string; time: number };
}
export interface PkgLinked {
  none?: never;
}

export interface DevOwn {
  phase: DevPhase;
  moved: number;
}
export interface DevLinked {
  dirty: boolean;
  /** the run that holds it */
  held?: { fulfilment: string; run: string };
}

interface Parts {
  RX: { own: RxOwn; linked: RxLinked };
  FUL: { own: FulOwn; linked: FulLinked };
  PKG: { own: PkgOwn; linked: PkgLinked };
  DEV: { own: DevOwn; linked: DevLinked };
}
/** The state of a subject. `linked` is absent where it cannot be seen: whoever verifies a bundle sees trails only. */
export interface State<K extends SubjectKind = SubjectKind> {
  kind: K;
  /** the member that opened the trail */
  org: string;
  own: Parts[K]['own'];
  linked?: Parts[K]['linked'];
}

const ORDER: { [K in SubjectKind]: readonly Parts[K]['own']['phase'][] } = {
  RX: ['ISSUED', 'RETURNED', 'REVIEWED', 'ROUTED', 'REVOKED'],
  FUL: [
    'ACCEPTED',
    'DISPENSED',
    'CHECKED',
    'SOAKING',
    'SOAKED',
    'BOILING',
    'MIXED',
    'PACKED',
    'QC_FAILED',
    'QC_PASSED',
    'RELEASED',
  ],
  PKG: ['LABELLED', 'HANDED_OVER', 'IN_CUSTODY', 'OUT', 'DELIVERED', 'CLOSED'],
  DEV: ['REGISTERED'],
};
/** How far a phase is along its subject's way: what a note needs to have been reached. */
export const rankOf = (kind: SubjectKind, phase: string): number =>
  (ORDER[kind] as readonly string[]).indexOf(phase);
