import { expect } from 'chai';
import {
  at as keyOf,
  checksOf,
  DEFAULT_RULE_SET,
  deviationsOf,
  parseMinute,
  PROCESS_CHECKS,
  RULE_SETS,
  RULES,
  type ProcessCheck,
  type ProcessCheckId,
  type Seen,
  type State,
  type Subject,
} from '@yaoji/chaincode/core';
import { KEYS, ledgerAfter, reference, the } from '../../support/consortium.ts';

const rules = RULE_SETS.get(DEFAULT_RULE_SET)!;
const CHECKS = Object.entries<ProcessCheck>(PROCESS_CHECKS);
const SERVICE = CHECKS.flatMap(([id, check]) => (check.judged === 'service' ? [{ id, ...check }] : []));

type Own = State<'FUL'>['own'];
const own: Own = {
  phase: 'BOILING',
  moved: 0,
  plan: { first: true, late: false, wrap: true, separate: true, dissolve: false, second: true },
  mode: 'COURIER',
  runs: {},
  deviations: [],
};
/** A fulfilment whose liquids are mixed and whose one first boil lasted so long after its last mark. */
const boiledFor = (minutes: number): Own => {
  const first = { is: 'STRAINED', started: 0, firstBoil: 5, lastBoil: 30, ended: 30 + minutes } as const;
  const run = { device: KEYS.device, held: false, moved: 0, first, added: {} };
  return { ...own, phase: 'MIXED', runs: { R1: run } };
};
const prescription = the('RX_ISSUED').statement.payload;
const nothing: Seen = {
  payload: {},
  time: 0,
  rules,
  own,
  accepted: undefined,
  prescription: {},
  device: { cleaning: {}, before: {} },
};

/** What is found at a step; by default about the reference story's prescription. */
const found = (step: string, seen: Partial<Seen>): string[] =>
  deviationsOf(step, { ...nothing, prescription, ...seen }).map(({ checkId }) => checkId);

/** Says for each value whether the check finds something. */
function expectFindings<V>(check: string, of: (value: V) => string[], within: V[], outside: V[]): void {
  for (const value of within) expect(of(value), String(value)).to.deep.equal([]);
  for (const value of outside) expect(of(value), String(value)).to.deep.equal([check]);
}

describe('The process checks', () => {
  it('name each check once, in both languages, at steps that there are', () => {
    for (const [id, { zh, en, steps }] of CHECKS) {
      expect(id).to.match(/^[A-Z][A-Z_0-9]{2,30}$/);
      expect(zh).to.match(/\p{Script=Han}/u);
      expect(en).to.match(/^[A-Z].* .*[^.]$/);
      expect(steps).to.not.deep.equal([]);
      for (const step of steps) expect(RULES).to.have.property(step);
    }
    for (const column of ['zh', 'en'] as const)
      expect(new Set(CHECKS.map(([, check]) => check[column])).size, column).to.equal(CHECKS.length);
  });

  it('stand in the row of each step at which they are made', () => {
    for (const [step, rule] of Object.entries(RULES)) expect(rule.checks).to.deep.equal(checksOf(step));
    expect(RULES['PACKED']!.checks).to.deep.equal(['BAG_COUNT', 'VOL_DOSE']);
    expect(RULES['LABELLED']!.checks).to.deep.equal([]);
    const atQualityControl = RULES['QC_DONE']!.checks.filter((id) => PROCESS_CHECKS[id].judged === 'ledger');
    expect(atQualityControl).to.have.length(CHECKS.length - SERVICE.length);
  });

  it('of the service are made about a fulfilment, on which a deviation can be recorded at once', () => {
    for (const { steps } of SERVICE)
      for (const step of steps) {
        const { subject, opens } = RULES[step]!;
        expect([subject, opens], step).to.deep.equal(['FUL', undefined]);
      }
  });

  it('find nothing in the reference story', async () => {
    const ledger = await ledgerAfter(reference());
    const { state } = ledger.get<Subject>(keyOf.subject(KEYS.fulfilment))!;
    const accepted = parseMinute(the('RX_ACCEPTED').statement.time);
    for (const { statement } of reference()) {
      const seen = {
        payload: statement.payload,
        time: parseMinute(statement.time),
        own: (state as State<'FUL'>).own,
        accepted,
      };
      expect(found(statement.step, seen), statement.step).to.deep.equal([]);
    }
  });

  it('of the service find nothing where nothing is known', () => {
    const steps = new Set(SERVICE.flatMap((check) => check.steps));
    const packed = { ...own, packages: { [KEYS.package]: 14 } };
    for (const step of steps) {
      expect(deviationsOf(step, nothing), step).to.deep.equal([]);
      expect(deviationsOf(step, { ...nothing, own: packed }), step).to.deep.equal([]);
    }
  });

  it('say what was measured and what the limit is, in texts that a DEVIATION_RECORDED takes', () => {
    const cases: Record<string, [step: string, seen: Partial<Seen>, measured: string, limit: string]> = {
      WEIGH_DOSE: ['HERBS_DISPENSED', { payload: { totalMilligrams: 514_501 } }, '514.501 g', '490 g ± 5 %'],
      SOAK_MIN: ['SOAK_ENDED', { own: { ...own, soakStarted: 0, soakEnded: 12 } }, '12 min', '≥ 30 min'],
      WASH: [
        'DECOCT_STARTED',
        {
          payload: { stage: 'FIRST' },
          device: { cleaning: { kind: 'NORMAL', minutes: 20 }, before: { hasToxic: true } },
        },
        'NORMAL, 20 min',
        'STRENGTHENED, ≥ 15 min',
      ],
      TEMP: ['BOIL_REACHED', { payload: { tempDeciC: 1120 } }, '112 °C', '≤ 102 °C'],
      PRESSURE: ['BOIL_REACHED', { payload: { pressureKpa: 150 } }, '150 kPa', '≤ 20 kPa'],
      BOIL_CLASS: ['MIXED', { own: boiledFor(19) }, '19 min', '20–30 min'],
      STIR: ['DECOCT_ENDED', { payload: { stirCount: 1 } }, '1', '≥ 2'],
      SEPARATE: [
        'SEPARATE_ENDED',
        { own: { ...own, separate: { started: 0, ended: 109 } } },
        '109 min',
        '110–190 min',
      ],
      BAG_COUNT: ['PACKED', { own: { ...own, packages: { [KEYS.package]: 13 } } }, '13', '14'],
      VOL_DOSE: [
        'PACKED',
        { payload: { bagMl: 199 }, own: { ...own, packages: { [KEYS.package]: 14 } } },
        '398 ml',
        '400–600 ml',
      ],
      URGENT: [
        'QC_DONE',
        { payload: { result: 'PASS' }, prescription: { urgent: true }, accepted: 0, time: 121 },
        '121 min',
        '≤ 120 min',
      ],
      SAMPLE: [
        'SAMPLE_RETAINED',
        { payload: { ml: 49, tempDeciC: -5, keepHours: 23 } },
        '49 ml, -0.5 °C, 23 h',
        '≥ 50 ml, 2–8 °C, ≥ 24 h',
      ],
    };
    expect(Object.keys(cases).toSorted()).to.deep.equal(SERVICE.map(({ id }) => id).toSorted());
    for (const [checkId, [step, seen, measured, limit]] of Object.entries(cases)) {
      const deviations = deviationsOf(step, { ...nothing, prescription, ...seen });
      expect(deviations).to.deep.equal([{ checkId, measured, limit }]);
      expect(RULES['DEVIATION_RECORDED']!.payloadSchema.safeParse(deviations[0]).success).to.equal(true);
    }
  });

  it('WEIGH_DOSE: what was dispensed lies within 5 % of 70 g × 7 doses', () => {
    const weighed = (totalMilligrams: number): string[] =>
      found('HERBS_DISPENSED', { payload: { totalMilligrams } });
    expectFindings('WEIGH_DOSE', weighed, [465_500, 490_000, 514_500], [465_499, 514_501, 70_000]);
    const unknown = { ...prescription, items: [{ milligrams: 1 }, {}] };
    expect(
      found('HERBS_DISPENSED', { payload: { totalMilligrams: 1 }, prescription: unknown }),
    ).to.deep.equal([]);
  });

  it('SOAK_MIN: 30 minutes, 15 when urgent, and nothing where the prescription is not known', () => {
    const soaked = (urgent: boolean | undefined) => (minutes: number) =>
      found('SOAK_ENDED', {
        own: { ...own, soakStarted: 100, soakEnded: 100 + minutes },
        prescription: urgent === undefined ? {} : { urgent },
      });
    expectFindings('SOAK_MIN', soaked(false), [30, 31, 1440], [29, 12, 0]);
    expectFindings('SOAK_MIN', soaked(true), [15, 30], [14, 0]);
    expectFindings('SOAK_MIN', soaked(undefined), [0, 12], []);
  });

  it('WASH: after something toxic strengthened and for 15 minutes, after anything else in any way', () => {
    const washed =
      (hasToxic: boolean | undefined, stage = 'FIRST') =>
      ([kind, minutes]: [string, number]): string[] =>
        found('DECOCT_STARTED', {
          payload: { stage },
          device: { cleaning: { kind, minutes }, before: hasToxic === undefined ? {} : { hasToxic } },
        });
    expectFindings(
      'WASH',
      washed(true),
      [['STRENGTHENED', 15]],
      [
        ['STRENGTHENED', 14],
        ['NORMAL', 60],
      ],
    );
    expectFindings('WASH', washed(false), [['NORMAL', 5]], []);
    expectFindings('WASH', washed(undefined), [['NORMAL', 5]], []);
    // Between the two boils of a run nobody cleans.
    expectFindings('WASH', washed(true, 'SECOND'), [['NORMAL', 5]], []);
  });

  it('BOIL_CLASS: the first boil of each run lasts as its class asks, from the last boiling mark', () => {
    const boiled =
      (decoctClass: string, step = 'MIXED') =>
      (minutes: number): string[] =>
        found(step, { own: boiledFor(minutes), prescription: { decoctClass } });
    expectFindings('BOIL_CLASS', boiled('GENERAL'), [20, 30], [19, 31, -1]);
    for (const quick of ['EXTERIOR', 'HEAT', 'AROMATIC'])
      expectFindings('BOIL_CLASS', boiled(quick), [15, 20], [14, 21]);
    expectFindings('BOIL_CLASS', boiled('TONIC'), [40, 60], [39, 61]);
    expectFindings('BOIL_CLASS', boiled('constructor'), [0], []);
    const [good, bad] = [boiledFor(25).runs['R1']!, boiledFor(9).runs['R1']!];
    expect(found('MIXED', { own: { ...boiledFor(25), runs: { R1: good, R2: bad } } })).to.deep.equal([
      'BOIL_CLASS',
    ]);
  });

  it('BOIL_CLASS: waits for the marks until the liquids are mixed, and looks again at a later one', () => {
    const marked = (phase: Own['phase']): string[] =>
      found('BOIL_REACHED', { own: { ...boiledFor(19), phase }, payload: { tempDeciC: 990 } });
    expect(marked('BOILING')).to.deep.equal([]);
    expect(marked('MIXED')).to.deep.equal(['BOIL_CLASS']);
    expect(marked('RELEASED')).to.deep.equal(['BOIL_CLASS']);
  });

  it('BOIL_CLASS: leaves a boil without a mark to the check of that name', () => {
    const { R1 } = boiledFor(5).runs;
    const first = { is: 'STRAINED', started: 0, ended: 35 } as const;
    expect(found('MIXED', { own: { ...boiledFor(5), runs: { R1: { ...R1!, first } } } })).to.deep.equal([]);
  });

  it('TEMP: 100 °C, and 2 more for the sensor, at the boiling mark and as the peak', () => {
    for (const [step, field] of [
      ['BOIL_REACHED', 'tempDeciC'],
      ['DECOCT_ENDED', 'peakTempDeciC'],
    ] as const)
      expectFindings(
        'TEMP',
        (value) => found(step, { payload: { [field]: value } }),
        [996, 1020],
        [1021, 1500],
      );
  });

  it('PRESSURE: up to 20 kPa, and a device that measures none is not asked', () => {
    const pressed = (pressureKpa: number | undefined): string[] =>
      found('BOIL_REACHED', { payload: { pressureKpa } });
    expectFindings('PRESSURE', pressed, [-100, 0, 20, undefined], [21, 500]);
  });

  it('STIR: twice or more', () => {
    expectFindings(
      'STIR',
      (stirCount: number) => found('DECOCT_ENDED', { payload: { stirCount } }),
      [2, 50],
      [1, 0],
    );
  });

  it('SEPARATE: 110 to 190 minutes', () => {
    const ended = (minutes: number): string[] =>
      found('SEPARATE_ENDED', { own: { ...own, separate: { started: 7, ended: 7 + minutes } } });
    expectFindings('SEPARATE', ended, [110, 120, 190], [109, 191, 0]);
  });

  it('BAG_COUNT: as many as doses × bags per dose, over all packages', () => {
    const packed = (bags: number[]): string[] =>
      found('PACKED', {
        own: { ...own, packages: Object.fromEntries(bags.map((count, i) => [`package ${i}`, count])) },
      });
    expectFindings('BAG_COUNT', packed, [[14], [8, 6]], [[13], [15], [7, 6]]);
  });

  it('VOL_DOSE: by band, whatever the number of bags', () => {
    const dose =
      (patientBand: string) =>
      (bagMl: number): string[] =>
        found('PACKED', {
          payload: { bagMl },
          prescription: { bagsPerDose: 2, patientBand },
          own: { ...own, packages: { [KEYS.package]: 13 } },
        });
    expectFindings('VOL_DOSE', dose('ADULT'), [200, 300], [199, 301]);
    for (const small of ['CHILD', 'INFANT'])
      expectFindings('VOL_DOSE', dose(small), [50, 75, 150], [49, 151]);
  });

  it('URGENT: two hours from acceptance to the PASS, for an urgent prescription', () => {
    const passed =
      (urgent: boolean, result = 'PASS') =>
      (minutes: number): string[] =>
        found('QC_DONE', {
          payload: { result },
          time: 500 + minutes,
          accepted: 500,
          prescription: { urgent },
        });
    expectFindings('URGENT', passed(true), [0, 120], [121]);
    expectFindings('URGENT', passed(false), [121, 500], []);
    for (const result of ['CONCESSION', 'REWORK', 'SCRAP'])
      expectFindings('URGENT', passed(true, result), [121], []);
  });

  it('SAMPLE: 50 ml, 2 to 8 °C, 24 hours', () => {
    const kept = ([ml, tempDeciC, keepHours]: number[]): string[] =>
      found('SAMPLE_RETAINED', { payload: { ml: ml!, tempDeciC: tempDeciC!, keepHours: keepHours! } });
    expectFindings(
      'SAMPLE',
      kept,
      [
        [50, 20, 24],
        [150, 80, 168],
      ],
      [
        [49, 40, 24],
        [50, 19, 24],
        [50, 81, 24],
        [50, 0, 24],
        [50, 40, 23],
      ],
    );
  });

  it('have no check that a step of the table could not reach', () => {
    const made = new Set<ProcessCheckId>(Object.values(RULES).flatMap(({ checks }) => checks));
    expect(made.size).to.equal(CHECKS.length);
  });
});
