import * as z from 'zod/mini';
import type { Case, Fields, Need, Shape } from './case.ts';
import { checksOf, type ProcessCheckId } from './checks.ts';
import type { Mark } from './codes.ts';
import * as f from './fields.ts';
import * as need from './needs.ts';
import {
  runOf,
  type FulOwn,
  type HerbKind,
  type Kind,
  type Run,
  type Stage,
  type State,
  type SubjectKind,
} from './state.ts';
import { parseMinute } from '../time.ts';

// THE RULES. One row per step: who may record it, about what, when, what it must agree with, what it changes, which fields
// everybody can read and who may be shown the others. Adding a step is adding a row. The contract, the API, the page's
// `rules` check and the API's documentation are all made from this table.
//
// A row's needs refuse a step: the ledger judges them, and the service before it by the same code. What is only a deviation,
// and who judges it, stands in checks.ts.

/** What a station may be enrolled for, and the kind of member that it belongs to. */
export const ROLES = {
  PRESCRIBER: 'hospital',
  PHARMACIST: 'hospital',
  RECEPTION: 'decoction',
  DISPENSARY: 'decoction',
  DECOCTION: 'decoction',
  PACKING: 'decoction',
  QUALITY: 'decoction',
  DISPATCH: 'decoction',
  SYSTEM: 'decoction',
  PAGE: 'decoction',
  COURIER: 'courier',
  INSPECTOR: 'regulator',
} as const satisfies Record<string, Kind>;
export type Role = keyof typeof ROLES;

/** Who may be shown a field that is not in the open. `anyone`: whoever holds the box's token. */
export type Reader = 'anyone' | 'patient' | 'centre' | 'hospital' | 'courier' | 'regulator';

/** Whose step it is: the member that opened the trail, that has custody, that the handover names, or that ever carried it. */
type Whose = 'opener' | 'custodian' | 'taker' | 'carrier';

interface Sealed {
  readonly type: z.ZodMiniType;
  readonly readers: readonly Reader[];
}

interface Common<K extends SubjectKind, S extends Shape> {
  zh: string;
  en: string;
  roles: readonly Role[];
  /** the kinds of subjects it links, and how many of them */
  links?: { kind: SubjectKind; min: number; max: number };
  open: S;
  sealed: Readonly<Record<string, Sealed>>;
  /** in this order; the first that does not hold is the refusal */
  needs?: readonly Need<K, Fields<S>>[];
  /** a step that decides a race: the API waits some seconds for its verdict before it answers */
  waits?: true;
  marks?: (c: Case<K, Fields<S>>) => (Mark | undefined)[];
}
/** A step that opens a trail. */
interface Opening<K extends SubjectKind, S extends Shape> extends Common<K, S> {
  opens: (c: Omit<Case<K, Fields<S>>, 'own' | 'linked'>) => Omit<State<K>, 'kind' | 'org'>;
}
/** A step that moves its subject's phase, or, as 'part', only a run's stage. */
interface Move<K extends SubjectKind, S extends Shape> extends Common<K, S> {
  whose: Whose;
  when: readonly State<K>['own']['phase'][];
  moves: State<K>['own']['phase'] | 'part' | ((open: Fields<S>) => State<K>['own']['phase']);
  /** which earlier move its time must not precede, where that is not the trail's latest */
  after?: (c: Case<K, Fields<S>>) => number;
  does?: (c: Case<K, Fields<S>>) => void;
}
/** A step that moves nothing: legal from the first of `when` on, and marked where the subject has left `when`. */
interface Note<K extends SubjectKind, S extends Shape> extends Common<K, S> {
  whose: Whose;
  when: readonly State<K>['own']['phase'][];
  moves: 'note';
  does?: (c: Case<K, Fields<S>>) => void;
}
type Row<K extends SubjectKind, S extends Shape> = Opening<K, S> | Move<K, S> | Note<K, S>;

/** A row as its readers see it: checked against its fields when written, uniform afterwards. */
export interface Rule {
  subject: SubjectKind;
  zh: string;
  en: string;
  roles: readonly Role[];
  links: { kind: SubjectKind; min: number; max: number } | undefined;
  whose: Whose | undefined;
  when: readonly string[];
  moves: string | ((open: never) => string) | undefined;
  openFields: ReadonlySet<string>;
  openSchema: z.ZodMiniType<Record<string, unknown>>;
  payloadSchema: z.ZodMiniType<Record<string, unknown>>;
  sealed: Readonly<Record<string, Sealed>>;
  /** how many digests an entry has at least: one for each hidden field that must be there */
  leastDigests: number;
  needs: readonly Need<SubjectKind, never>[];
  opens: ((c: Case<SubjectKind, never>) => Omit<State, 'kind' | 'org'>) | undefined;
  after: ((c: Case<SubjectKind, never>) => number) | undefined;
  does: ((c: Case<SubjectKind, never>) => void) | undefined;
  marks: ((c: Case<SubjectKind, never>) => (Mark | undefined)[]) | undefined;
  waits: boolean;
  /** what may turn out to be a deviation at this step */
  checks: readonly ProcessCheckId[];
}
type Unchecked = Omit<Rule, 'checks'>;

const about =
  <K extends SubjectKind>(subject: K) =>
  <S extends Shape>(row: Row<K, S>): Unchecked => {
    const hidden = Object.fromEntries(Object.entries(row.sealed).map(([name, { type }]) => [name, type]));
    const rule = {
      subject,
      links: undefined,
      whose: undefined,
      when: [],
      moves: undefined,
      needs: [],
      opens: undefined,
      after: undefined,
      does: undefined,
      marks: undefined,
      waits: false,
      ...row,
      openFields: new Set(Object.keys(row.open)),
      openSchema: z.strictObject(row.open),
      payloadSchema: z.strictObject({ ...row.open, ...hidden }),
      leastDigests: Object.values(hidden).filter((type) => !type.safeParse(undefined).success).length,
    };
    return rule as unknown as Unchecked;
  };

// Who may read what

const seen =
  (...readers: Reader[]) =>
  (type: z.ZodMiniType): Sealed => ({ type, readers });
/** how it was boiled, not with what: on the box's page for everybody */
const shown = seen('anyone', 'patient', 'centre', 'hospital', 'courier', 'regulator');
/** what is in it */
const medicine = seen('patient', 'centre', 'hospital', 'regulator');
/** the centre's own affairs: persons, baskets, devices */
const internal = seen('centre', 'regulator');
const carriage = seen('patient', 'centre', 'courier', 'regulator');

const staff = internal(f.id);
const note = { whose: 'opener', moves: 'note' } as const;

const herb = z.strictObject({
  herb: f.id,
  name: f.text(32),
  milligrams: f.int(1, 500_000),
  special: f.maybe(f.oneOf('FIRST', 'LATE', 'WRAP', 'SEPARATE', 'DISSOLVE', 'TAKE_WITH')),
});
const weighed = z.strictObject({
  herbRef: f.id,
  lot: f.id,
  milligrams: f.int(1, 45_000_000),
  special: f.maybe(f.oneOf('FIRST', 'LATE', 'WRAP', 'SEPARATE', 'DISSOLVE', 'TAKE_WITH')),
});

// What rows change

const stageOf = (own: FulOwn, run: string, stage: 'FIRST' | 'SECOND'): { run: Run; stage: Stage } => {
  const found = own.runs[run]!;
  return { run: found, stage: stage === 'FIRST' ? found.first : found.second! };
};
const least = (a: number | undefined, b: number): number => (a === undefined || b < a ? b : a);
const most = (a: number | undefined, b: number): number => (a === undefined || b > a ? b : a);
const sortedWith = (items: readonly string[], item: string): string[] =>
  [...new Set([...items, item])].sort();

function release(c: Case<'FUL'>, device: string): void {
  const state = c.devs.get(device)?.linked;
  if (!state) return;
  delete state.held;
  state.dirty = true;
}

const ROWS: Readonly<Record<string, Unchecked>> = {
  // ── Prescription ────────────────────────────────────────────────────────────────────────────────────────────────
  RX_ISSUED: about('RX')({
    zh: '开方',
    en: 'Prescription issued',
    roles: ['PRESCRIBER'],
    open: { plan: f.plan, validUntil: f.minute, maxUses: f.int(1, 12) },
    sealed: {
      rxVersion: medicine(f.int(1, 1000)),
      doses: medicine(f.int(1, 90)),
      bagsPerDose: medicine(f.int(1, 4)),
      herbCount: medicine(f.int(1, 60)),
      useRoute: medicine(f.oneOf('INTERNAL', 'EXTERNAL')),
      decoctClass: medicine(f.oneOf('GENERAL', 'EXTERIOR', 'HEAT', 'AROMATIC', 'TONIC')),
      patientBand: medicine(f.oneOf('ADULT', 'CHILD', 'INFANT')),
      items: medicine(f.list(herb, 1, 60)),
      hasToxic: medicine(f.bool),
      urgent: medicine(f.bool),
    },
    opens: ({ open, time }) => ({
      own: {
        phase: 'ISSUED',
        moved: time,
        plan: open.plan,
        validUntil: parseMinute(open.validUntil),
        maxUses: open.maxUses,
      },
      linked: { uses: 0 },
    }),
  }),
  RX_REVIEWED: about('RX')({
    zh: '审方',
    en: 'Prescription reviewed',
    roles: ['PHARMACIST'],
    whose: 'opener',
    when: ['ISSUED'],
    moves: ({ result }) => (result === 'RETURN' ? 'RETURNED' : 'REVIEWED'),
    open: { result: f.oneOf('PASS', 'RETURN', 'OVERRIDE') },
    sealed: {
      rules: medicine(f.list(f.id, 0, 40)),
      overrideSig: medicine(f.maybe(f.text(200))),
    },
  }),
  RX_ROUTED: about('RX')({
    zh: '派单',
    en: 'Prescription routed',
    roles: ['PHARMACIST'],
    whose: 'opener',
    when: ['REVIEWED'],
    moves: 'ROUTED',
    open: { centres: f.list(f.id, 1, 8), mode: f.mode },
    sealed: {
      slaHours: medicine(f.int(2, 72)),
      slot: medicine(z.strictObject({ from: f.minute, to: f.minute })),
    },
    does: ({ own, open }) => {
      own.centres = open.centres;
      own.mode = open.mode;
    },
  }),
  RX_REVOKED: about('RX')({
    zh: '撤方',
    en: 'Prescription revoked',
    roles: ['PRESCRIBER'],
    whose: 'opener',
    when: ['ISSUED', 'RETURNED', 'REVIEWED', 'ROUTED'],
    moves: 'REVOKED',
    open: {},
    sealed: { reason: medicine(f.text(200)) },
    needs: [need.noUseCounted],
    waits: true,
  }),

  // ── Fulfilment: one use of a prescription by a centre ────────────────────────────────────────────────────────────
  RX_ACCEPTED: about('FUL')({
    zh: '接方',
    en: 'Prescription accepted',
    roles: ['RECEPTION'],
    links: { kind: 'RX', min: 1, max: 1 },
    open: { plan: f.plan, mode: f.mode },
    sealed: { fulfilmentNo: medicine(f.int(1, 12)), promisedAt: medicine(f.minute) },
    needs: [
      need.prescriptionIsRouted,
      need.centreIsNamed,
      need.stillValid,
      need.hasUseLeft,
      need.planAndModeAsPrescribed,
    ],
    opens: ({ open, time, rx }) => {
      if (rx?.linked) rx.linked.uses++;
      return {
        own: { phase: 'ACCEPTED', moved: time, plan: open.plan, mode: open.mode, runs: {}, deviations: [] },
        linked: { labelled: [] },
      };
    },
    waits: true,
  }),
  HERBS_DISPENSED: about('FUL')({
    zh: '调配',
    en: 'Herbs dispensed',
    roles: ['DISPENSARY'],
    whose: 'opener',
    when: ['ACCEPTED'],
    moves: 'DISPENSED',
    open: { actor: f.hash },
    sealed: {
      staff,
      basketId: internal(f.id),
      items: medicine(f.list(weighed, 1, 60)),
      totalMilligrams: medicine(f.int(1, 180_000_000)),
    },
    does: ({ own, open }) => void (own.dispenser = open.actor),
  }),
  HERBS_CHECKED: about('FUL')({
    zh: '复核',
    en: 'Herbs checked by a second person',
    roles: ['DISPENSARY'],
    whose: 'opener',
    when: ['DISPENSED'],
    moves: ({ result }) => (result === 'PASS' ? 'CHECKED' : 'ACCEPTED'),
    open: { result: f.oneOf('PASS', 'FAIL'), actor: f.hash },
    sealed: {
      staff,
      kind: internal(f.maybe(f.oneOf('WRONG_HERB', 'DOSE', 'MISSING', 'EXTRA', 'QUALITY'))),
      weightMilligrams: medicine(f.int(1, 180_000_000)),
      photo: internal(f.maybe(f.hash)),
    },
    needs: [need.differsFromDispenser],
  }),
  SOAK_STARTED: about('FUL')({
    zh: '浸泡开始',
    en: 'Soaking started',
    roles: ['DECOCTION'],
    whose: 'opener',
    when: ['CHECKED'],
    moves: 'SOAKING',
    open: {},
    sealed: { waterMl: shown(f.int(1, 200_000)), waterTempDeciC: shown(f.int(0, 1000)) },
    does: ({ own, time }) => void (own.soakStarted = time),
  }),
  SOAK_ENDED: about('FUL')({
    zh: '浸泡结束',
    en: 'Soaking ended',
    roles: ['DECOCTION'],
    whose: 'opener',
    when: ['SOAKING'],
    moves: 'SOAKED',
    open: {},
    sealed: {},
    needs: [need.soakIsPossible],
    does: ({ own, time }) => void (own.soakEnded = time),
  }),
  DECOCT_STARTED: about('FUL')({
    zh: '煎煮开始',
    en: 'Boil started',
    roles: ['DECOCTION'],
    links: { kind: 'DEV', min: 1, max: 1 },
    whose: 'opener',
    when: ['SOAKED', 'BOILING'],
    moves: 'BOILING',
    after: ({ own, open }) => runOf(own, open.run)?.moved ?? own.soakEnded!,
    open: { run: f.id, stage: f.stage },
    sealed: { deviceId: internal(f.id), waterMl: shown(f.int(1, 200_000)) },
    needs: [need.deviceIsTheCentres, need.stageMayStart],
    does: (c) => {
      const { own, open, time, subject, links } = c;
      const stage: Stage = { is: 'STARTED', started: time };
      const device = links[0]!;
      if (open.stage === 'FIRST')
        own.runs[open.run] = { device, held: true, moved: time, first: stage, added: {} };
      else Object.assign(own.runs[open.run]!, { second: stage, moved: time });
      const linked = c.devs.get(device)?.linked;
      if (linked) linked.held = { fulfilment: subject, run: open.run };
    },
  }),
  HERB_ADDED: about('FUL')({
    ...note,
    zh: '投料（先煎、后下、包煎）',
    en: 'Herbs added to the pot',
    roles: ['DECOCTION'],
    when: ['BOILING'],
    open: { run: f.id, kind: f.oneOf('FIRST', 'MAIN', 'LATE', 'WRAP') },
    sealed: { herbRefs: medicine(f.herbRefs) },
    needs: [need.firstStageWasStarted],
    does: ({ own, open, time }) => {
      const { added } = own.runs[open.run]!;
      const kind: HerbKind = open.kind;
      added[kind] = least(added[kind], time);
    },
    marks: ({ own, open }) => [own.runs[open.run]!.first.is === 'STARTED' ? undefined : 'OUT_OF_PHASE'],
  }),
  SEPARATE_STARTED: about('FUL')({
    ...note,
    zh: '另煎开始',
    en: 'Separate decoction started',
    roles: ['DECOCTION'],
    when: ['SOAKED', 'BOILING'],
    open: {},
    sealed: { herbRefs: medicine(f.herbRefs), vesselId: internal(f.id) },
    needs: [need.separateNotStarted],
    does: ({ own, time }) => void (own.separate = { started: time }),
  }),
  SEPARATE_ENDED: about('FUL')({
    ...note,
    zh: '另煎结束',
    en: 'Separate decoction ended',
    roles: ['DECOCTION'],
    when: ['SOAKED', 'BOILING'],
    open: {},
    sealed: { herbRefs: medicine(f.herbRefs), vesselId: internal(f.id), volumeMl: shown(f.int(1, 200_000)) },
    needs: [need.separateIsUnderWay],
    does: ({ own, time }) => void (own.separate!.ended = time),
  }),
  BOIL_REACHED: about('FUL')({
    ...note,
    zh: '煮沸',
    en: 'Boiling reached',
    roles: ['DECOCTION'],
    when: ['BOILING'],
    open: { run: f.id, stage: f.stage },
    sealed: { tempDeciC: shown(f.tempDeciC), pressureKpa: shown(f.maybe(f.int(-100, 500))) },
    needs: [need.stageWasStarted],
    does: ({ own, open, time }) => {
      const { stage } = stageOf(own, open.run, open.stage);
      stage.firstBoil = least(stage.firstBoil, time);
      stage.lastBoil = most(stage.lastBoil, time);
    },
    marks: ({ own, open }) => [
      stageOf(own, open.run, open.stage).stage.is === 'STARTED' ? undefined : 'OUT_OF_PHASE',
    ],
  }),
  DECOCT_ENDED: about('FUL')({
    zh: '煎煮结束',
    en: 'Boil ended',
    roles: ['DECOCTION'],
    links: { kind: 'DEV', min: 1, max: 1 },
    whose: 'opener',
    when: ['BOILING'],
    moves: 'part',
    after: ({ own, open }) => runOf(own, open.run)?.moved ?? own.moved,
    open: { run: f.id, stage: f.stage },
    sealed: {
      peakTempDeciC: shown(f.tempDeciC),
      stirCount: shown(f.int(0, 50)),
      curve: internal(f.maybe(f.hash)),
    },
    needs: [need.stageIs('STARTED'), need.deviceIsTheRuns],
    does: (c) => {
      const { own, open, time } = c;
      const { run, stage } = stageOf(own, open.run, open.stage);
      stage.is = 'ENDED';
      stage.ended = time;
      run.moved = most(run.moved, time);
      if (open.stage === (own.plan.second ? 'SECOND' : 'FIRST')) {
        run.held = false;
        release(c, run.device);
      }
    },
  }),
  STRAINED: about('FUL')({
    zh: '出液、滤过',
    en: 'Liquid strained off',
    roles: ['DECOCTION'],
    whose: 'opener',
    when: ['BOILING'],
    moves: 'part',
    after: ({ own, open }) => runOf(own, open.run)?.moved ?? own.moved,
    open: { run: f.id, stage: f.stage },
    sealed: { volumeMl: shown(f.int(1, 200_000)) },
    needs: [need.stageIs('ENDED')],
    does: ({ own, open, time }) => {
      const { run, stage } = stageOf(own, open.run, open.stage);
      stage.is = 'STRAINED';
      run.moved = most(run.moved, time);
    },
  }),
  DISSOLVED: about('FUL')({
    ...note,
    zh: '烊化',
    en: 'Herbs dissolved into the liquid',
    roles: ['DECOCTION'],
    when: ['BOILING'],
    open: {},
    sealed: { herbRefs: medicine(f.herbRefs), vesselId: internal(f.id) },
    needs: [need.aStageIsStrained],
    does: ({ own }) => void (own.dissolved = true),
  }),
  MIXED: about('FUL')({
    zh: '头煎二煎混合',
    en: 'First and second boil mixed',
    roles: ['DECOCTION'],
    links: { kind: 'DEV', min: 0, max: 16 },
    whose: 'opener',
    when: ['BOILING'],
    moves: 'MIXED',
    open: {},
    sealed: { totalMl: shown(f.int(1, 200_000)) },
    needs: [need.everyStageIsStrained, need.devicesAreThoseStillHeld],
    does: (c) => {
      for (const run of Object.values(c.own.runs)) {
        if (run.held) release(c, run.device);
        run.held = false;
      }
    },
  }),
  PACKED: about('FUL')({
    zh: '分装',
    en: 'Portioned and packed',
    roles: ['PACKING'],
    whose: 'opener',
    when: ['MIXED'],
    moves: 'PACKED',
    open: {
      actor: f.hash,
      packages: f.list(z.strictObject({ package: f.key, bags: f.bags }), 1, 40),
    },
    sealed: { staff, bagMl: shown(f.int(10, 1000)), sealTempDeciC: shown(f.maybe(f.int(0, 3000))) },
    needs: [need.packagesStandOnce],
    does: ({ own, open }) => {
      own.packer = open.actor;
      own.packages = Object.fromEntries(open.packages.map((item) => [item.package, item.bags]));
    },
  }),
  QC_DONE: about('FUL')({
    zh: '质检',
    en: 'Quality control',
    roles: ['QUALITY'],
    whose: 'opener',
    when: ['PACKED', 'QC_PASSED', 'RELEASED'],
    moves: ({ result }) => (result === 'PASS' || result === 'CONCESSION' ? 'QC_PASSED' : 'QC_FAILED'),
    open: {
      result: f.oneOf('PASS', 'CONCESSION', 'REWORK', 'SCRAP'),
      actor: f.hash,
      approver: f.maybe(f.hash),
    },
    sealed: {
      staff,
      approverStaff: internal(f.maybe(f.id)),
      items: shown(
        z.strictObject({
          APPEARANCE: f.bool,
          ODOR: f.bool,
          VOLUME: f.bool,
          SEAL: f.bool,
          LABEL: f.bool,
        }),
      ),
    },
    needs: [
      need.everyPackageIsLabelled,
      need.reopenedByDeviation,
      need.differsFromPacker,
      need.concessionIsApproved,
      need.passIsClean,
    ],
    does: ({ own, open }) => {
      if (open.result === 'CONCESSION') own.deviations = [];
    },
  }),
  DEVIATION_RECORDED: about('FUL')({
    ...note,
    zh: '工艺偏差',
    en: 'Deviation recorded',
    roles: ['QUALITY', 'DECOCTION', 'SYSTEM'],
    when: [
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
    open: { checkId: f.id },
    // The limits of one class or band tell which one was prescribed.
    sealed: { measured: medicine(f.text(64)), limit: medicine(f.text(64)) },
    does: ({ own, open }) => void (own.deviations = sortedWith(own.deviations, open.checkId)),
  }),
  SAMPLE_RETAINED: about('FUL')({
    ...note,
    zh: '留样',
    en: 'Sample retained',
    roles: ['QUALITY', 'PACKING'],
    when: ['MIXED', 'PACKED', 'QC_FAILED', 'QC_PASSED', 'RELEASED'],
    open: {},
    sealed: {
      sampleNo: internal(f.id),
      ml: shown(f.int(1, 200_000)),
      tempDeciC: shown(f.int(-400, 1000)),
      keepHours: shown(f.int(0, 100_000)),
    },
  }),
  RELEASED: about('FUL')({
    zh: '放行出库',
    en: 'Released for dispatch',
    roles: ['QUALITY'],
    whose: 'opener',
    when: ['QC_PASSED'],
    moves: 'RELEASED',
    open: { packageCount: f.int(1, 40) },
    sealed: { shelf: internal(f.id), cold: shown(f.bool) },
    needs: [need.noDeviationOpen, need.countsAllPackages],
  }),

  // ── Package: what the courier carries ────────────────────────────────────────────────────────────────────────────
  LABELLED: about('PKG')({
    zh: '贴标赋码',
    en: 'Box labelled',
    roles: ['PACKING'],
    links: { kind: 'FUL', min: 1, max: 1 },
    open: { token: f.hash, sealCommit: f.hash, bags: f.bags },
    sealed: { sealNo: shown(f.id), bestBefore: shown(f.minute), printNo: internal(f.int(1, 1000)) },
    needs: [need.ofTheFulfilmentsCentre, need.packingNamesItWithTheseBags, need.tokenIsNew],
    opens: ({ open, time, org, ful, subject }) => {
      if (ful?.linked) ful.linked.labelled = sortedWith(ful.linked.labelled, subject);
      return {
        own: {
          phase: 'LABELLED',
          moved: time,
          token: open.token,
          seal: open.sealCommit,
          bags: open.bags,
          custodian: org,
          carriers: [],
        },
        linked: {},
      };
    },
  }),
  HANDED_OVER: about('PKG')({
    zh: '交接（交出方）',
    en: 'Handed over by its custodian',
    roles: ['DISPATCH', 'COURIER'],
    links: { kind: 'FUL', min: 0, max: 1 },
    whose: 'custodian',
    when: ['LABELLED', 'IN_CUSTODY'],
    moves: 'HANDED_OVER',
    open: { to: f.id, handover: f.key, sealCommit: f.hash, bags: f.bags },
    sealed: { waybill: carriage(f.id) },
    needs: [
      need.takerIsAnotherCourier,
      need.sealIsThePackages,
      need.bagsAreThePackages,
      need.leavesTheCentre(['COURIER', 'WARD']),
    ],
    does: ({ own, open, time }) => void (own.handover = { id: open.handover, to: open.to, time }),
    waits: true,
  }),
  COURIER_ACCEPTED: about('PKG')({
    zh: '揽收（接收方）',
    en: 'Taken over by the courier',
    roles: ['COURIER'],
    whose: 'taker',
    when: ['HANDED_OVER'],
    moves: 'IN_CUSTODY',
    open: { handover: f.key, sealIntact: f.bool, sealCommit: f.hash, bags: f.bags },
    sealed: {},
    needs: [need.handoverIsTheSame, need.sealIsThePackages, need.bagsAreThePackages],
    does: ({ own, org }) => {
      own.custodian = org;
      own.carriers = sortedWith(own.carriers, org);
    },
    waits: true,
    marks: ({ own, open, time }) => [
      Math.abs(time - own.handover!.time) > 120 ? 'HANDOVER_SLOW' : undefined,
      open.sealIntact ? undefined : 'SEAL_NOT_INTACT',
    ],
  }),
  HUB_SCANNED: about('PKG')({
    ...note,
    zh: '中转',
    en: 'Scanned at a hub',
    roles: ['COURIER'],
    whose: 'carrier',
    when: ['IN_CUSTODY'],
    open: { dir: f.oneOf('IN', 'OUT') },
    sealed: { hubCode: carriage(f.id), tempDeciC: shown(f.maybe(f.int(-400, 1000))) },
    marks: ({ own, org }) => [own.custodian === org ? undefined : 'OUT_OF_PHASE'],
  }),
  OUT_FOR_DELIVERY: about('PKG')({
    zh: '派送',
    en: 'Out for delivery',
    roles: ['COURIER'],
    whose: 'custodian',
    when: ['IN_CUSTODY'],
    moves: 'OUT',
    open: {},
    sealed: { slotStart: carriage(f.minute) },
  }),
  DELIVERED: about('PKG')({
    zh: '送达、签收',
    en: 'Delivered',
    roles: ['COURIER', 'DISPATCH'],
    links: { kind: 'FUL', min: 0, max: 1 },
    whose: 'custodian',
    when: ['OUT', 'LABELLED'],
    moves: 'DELIVERED',
    open: {
      proof: f.oneOf('CODE', 'SIGN', 'HEALTHCODE', 'LOCKER'),
      bags: f.bags,
      sealIntact: f.bool,
    },
    sealed: { receiverKind: carriage(f.oneOf('SELF', 'FAMILY', 'GUARDIAN', 'STATION', 'WARD')) },
    needs: [need.bagsAreThePackages, need.leavesTheCentre(['SELF', 'WARD'])],
    marks: ({ open }) => [open.sealIntact ? undefined : 'SEAL_NOT_INTACT'],
  }),
  PATIENT_VERIFIED: about('PKG')({
    ...note,
    zh: '患者扫码确认',
    en: 'Checked by the patient',
    roles: ['PAGE'],
    when: ['DELIVERED'],
    open: { outerInnerMatch: f.bool, bagCountOk: f.bool },
    sealed: {},
  }),
  CLOSED: about('PKG')({
    zh: '归档',
    en: 'Closed',
    roles: ['SYSTEM'],
    whose: 'opener',
    when: ['DELIVERED'],
    moves: 'CLOSED',
    open: {},
    sealed: {},
    needs: [need.aWeekAfterDelivery],
  }),

  // ── Device ───────────────────────────────────────────────────────────────────────────────────────────────────────
  EQUIP_CLEANED: about('DEV')({
    zh: '清洗',
    en: 'Equipment cleaned',
    roles: ['DECOCTION'],
    whose: 'opener',
    when: ['REGISTERED'],
    moves: 'REGISTERED',
    open: { kind: f.oneOf('NORMAL', 'STRENGTHENED') },
    sealed: { deviceId: internal(f.id), minutes: internal(f.int(0, 1440)) },
    needs: [need.deviceIsIdle, need.deviceIsDirty],
    does: ({ linked }) => {
      if (linked) linked.dirty = false;
    },
  }),
};

export const RULES: Readonly<Record<string, Rule>> = Object.fromEntries(
  Object.entries(ROWS).map(([step, row]) => [step, { ...row, checks: checksOf(step) }]),
);
