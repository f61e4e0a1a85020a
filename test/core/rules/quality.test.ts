import {
  before as upTo,
  changed,
  given,
  keyFrom,
  KEYS,
  the,
  until,
  without,
  type Act,
} from '../../support/consortium.ts';
import { actor, concession, deviation, dissolved, PACKER, prescribed, second } from './variants.ts';

const QC = '2026-03-10T04:27Z';
const afterQc = '2026-03-10T04:40Z';
const labels = [the('PACKED'), the('LABELLED')];

describe('the rules of packing and labelling', () => {
  it('pack after mixing, each package once, in possible numbers', async () => {
    const box = { package: KEYS.package, bags: 7 };
    await given(until('STRAINED', 2)).when(the('PACKED')).says('STEP_NOT_LEGAL');
    await given(until('MIXED'))
      .when(the('PACKED', { payload: { packages: [box, box] } }))
      .says('PACKAGES_TWICE');
    await given(until('MIXED'))
      .when(the('PACKED', { payload: { packages: [box, { ...box, package: keyFrom('box 2') }] } }))
      .says([]);
    for (const packages of [[], [{ ...box, bags: 0 }], [{ ...box, bags: 401 }], [{ ...box, package: 'x' }]])
      await given(until('MIXED'))
        .when(the('PACKED', { payload: { packages } }))
        .says('ENTRY_MALFORMED');
    await given(until('PACKED')).when(the('PACKED')).says('STEP_NOT_LEGAL');
  });

  it('label what was packed, by the same centre, with the same number of bags', async () => {
    await given(until('MIXED')).when(the('LABELLED')).says('STEP_NOT_LEGAL');
    await given(until('PACKED'))
      .when(the('LABELLED', { subject: keyFrom('another box') }))
      .says('PACKAGE_NOT_NAMED');
    await given(until('PACKED'))
      .when(the('LABELLED', { payload: { bags: 13 } }))
      .says('BAGS_DIFFER');
    await given(until('PACKED'))
      .when(the('LABELLED', { by: 'other-packing' }))
      .says('NOT_OPENER');
    await given(until('PACKED'))
      .when(the('LABELLED', { links: [] }))
      .says('LINK_UNKNOWN');
    await given(until('PACKED')).when(the('LABELLED'), the('LABELLED')).says([], 'SUBJECT_EXISTS');
  });

  it('never put one token on two boxes', () =>
    given(until('EQUIP_CLEANED'), second(until('PACKED')))
      .when(...second([the('LABELLED')]))
      .says('TOKEN_USED'));
});

describe('the rules of quality control', () => {
  it('want every package labelled', async () => {
    await given(until('MIXED')).when(the('QC_DONE')).says('STEP_NOT_LEGAL');
    await given(until('PACKED')).when(the('QC_DONE')).says('NOT_ALL_LABELLED');
    await given(until('PACKED'))
      .when(the('QC_DONE', { payload: { result: 'SCRAP' } }))
      .says('NOT_ALL_LABELLED');
    const two = ['a', 'b'].map((name) => ({ package: keyFrom(name), bags: 7 }));
    const packed = the('PACKED', { payload: { packages: two } });
    const label = (name: string, token: string) =>
      the('LABELLED', {
        subject: keyFrom(name),
        payload: { bags: 7, token: keyFrom(token).padEnd(43, 'A') },
      });
    await given(until('MIXED'), packed, label('a', '1')).when(the('QC_DONE')).says('NOT_ALL_LABELLED');
    await given(until('MIXED'), packed, label('a', '1'), label('b', '2')).when(the('QC_DONE')).says([]);
  });

  it('want another person than the packer', () =>
    given(until('LABELLED'))
      .when(the('QC_DONE', { payload: { actor: PACKER } }))
      .says('SAME_PERSON'));

  it('want a concession approved by a third person', async () => {
    const approved = (approver: unknown) => the('QC_DONE', { payload: { result: 'CONCESSION', approver } });
    const { actor: inspector } = the('QC_DONE').statement.payload;
    await given(until('LABELLED')).when(approved(undefined)).says('APPROVER_MISSING');
    await given(until('LABELLED')).when(approved(inspector)).says('SAME_PERSON');
    await given(until('LABELLED')).when(approved(PACKER)).says('SAME_PERSON');
    await given(until('LABELLED'))
      .when(approved(actor('ZL001')))
      .says([]);
  });

  it('end a fulfilment that must be reworked or scrapped', async () => {
    for (const result of ['REWORK', 'SCRAP'])
      await given(until('LABELLED'))
        .when(the('QC_DONE', { payload: { result } }), the('QC_DONE'), the('RELEASED'))
        .says('accepted', 'STEP_NOT_LEGAL', 'STEP_NOT_LEGAL');
  });

  it('say something again only because something was found', async () => {
    await given(until('QC_DONE'))
      .when(the('QC_DONE'), concession(afterQc))
      .says('NO_DEVIATION', 'NO_DEVIATION');
    await given(until('QC_DONE'), deviation('2026-03-10T04:30Z'))
      .when(the('QC_DONE', { time: afterQc }), the('RELEASED'), concession(afterQc), the('RELEASED'))
      .says('DEVIATION_OPEN', 'DEVIATION_OPEN', 'accepted', 'accepted');
    await given(until('QC_DONE'), deviation('2026-03-10T04:30Z'))
      .when(the('QC_DONE', { time: afterQc, payload: { result: 'SCRAP' } }))
      .says([]);
  });

  it('record a deviation from acceptance on, and let none pass', async () => {
    await given(until('RX_ROUTED')).when(deviation(QC)).says('SUBJECT_UNKNOWN');
    await given(until('RX_ACCEPTED')).when(deviation(QC)).says([]);
    await given(until('SOAK_ENDED'))
      .when(changed(deviation(QC), { by: 'system' }))
      .says([]);
    await given(until('LABELLED'), deviation(QC))
      .when(the('QC_DONE'), concession(QC), the('RELEASED'))
      .says('DEVIATION_OPEN', 'accepted', 'accepted');
  });

  const plan = { first: false, late: false, wrap: false, separate: false, dissolve: false, second: false };
  /** Nothing special is asked for: one boil from 02:08, boiling from 02:20, ended at 03:06. */
  const plain = (asked: Parameters<typeof prescribed>[1], ...notes: Act[]): Act[] =>
    prescribed(
      [
        ...upTo('SEPARATE_STARTED'),
        the('DECOCT_STARTED'),
        ...notes,
        the('DECOCT_ENDED'),
        the('STRAINED'),
        the('MIXED', asked.second ? { links: [KEYS.device] } : {}),
        ...labels,
      ],
      { ...plan, ...asked },
    );
  const boil = (time: string) => the('BOIL_REACHED', { time });
  const added = (kind: string, time: string) => the('HERB_ADDED', { time, payload: { kind } });

  it('find what the plan asks for and the trail does not show', async () => {
    const mark = boil('2026-03-10T02:20Z');
    await given(plain({}, mark)).when(the('QC_DONE')).says([]);
    for (const part of ['first', 'late', 'wrap', 'separate', 'dissolve', 'second'])
      await given(plain({ [part]: true }, mark))
        .when(the('QC_DONE'), concession(QC))
        .says('DEVIATION_OPEN', []);
    await given(plain({})).when(the('QC_DONE'), concession(QC)).says('DEVIATION_OPEN', []);
    await given(plain({ wrap: true }, mark, added('WRAP', '2026-03-10T02:33Z')))
      .when(the('QC_DONE'))
      .says([]);
  });

  it('find every step of the reference plan that is left out', async () => {
    const parts: [step: string, nth: number][] = [
      ['SEPARATE_ENDED', 1],
      ['HERB_ADDED', 1],
      ['HERB_ADDED', 2],
      ['HERB_ADDED', 3],
      ['BOIL_REACHED', 3],
    ];
    for (const [step, nth] of parts)
      await given(without(until('LABELLED'), step, nth))
        .when(the('QC_DONE'))
        .says('DEVIATION_OPEN');
    // One boil mark of the first boil may be missing, though not both.
    await given(without(until('LABELLED'), 'BOIL_REACHED', 1))
      .when(the('QC_DONE'))
      .says('DEVIATION_OPEN');
    await given(without(until('LABELLED'), 'BOIL_REACHED', 2))
      .when(the('QC_DONE'))
      .says([]);
  });

  it('take what a late note brings', () =>
    given(without(until('LABELLED'), 'HERB_ADDED', 3))
      .when(the('HERB_ADDED', {}, 3), the('QC_DONE'))
      .says(['OUT_OF_PHASE'], []));

  it('want 10 minutes to 4 hours from the first boiling to the main herbs', async () => {
    const lead = (minutes: number) => {
      const main = changed(added('MAIN', '2026-03-10T02:20Z'), { later: minutes });
      return plain(
        { first: true },
        boil('2026-03-10T02:20Z'),
        added('FIRST', '2026-03-10T02:08Z'),
        boil('2026-03-10T02:25Z'),
        main,
      );
    };
    await given(lead(9)).when(the('QC_DONE')).says('DEVIATION_OPEN');
    await given(lead(10)).when(the('QC_DONE')).says([]);
    await given(lead(240))
      .when(the('QC_DONE', { later: 1440 }))
      .says([]);
    await given(lead(241))
      .when(the('QC_DONE', { later: 1440 }))
      .says('DEVIATION_OPEN');
    await given(lead(-5)).when(the('QC_DONE')).says('DEVIATION_OPEN');
  });

  it('want late herbs in 10 to 5 minutes before the end', async () => {
    const late = (minutes: number) =>
      plain(
        { late: true },
        boil('2026-03-10T02:20Z'),
        changed(added('LATE', '2026-03-10T03:06Z'), { later: -minutes }),
      );
    await given(late(4)).when(the('QC_DONE')).says('DEVIATION_OPEN');
    await given(late(5)).when(the('QC_DONE')).says([]);
    await given(late(10)).when(the('QC_DONE')).says([]);
    await given(late(11)).when(the('QC_DONE')).says('DEVIATION_OPEN');
    await given(late(-1)).when(the('QC_DONE')).says('DEVIATION_OPEN');
  });

  it('want the second boil shorter than the first, each from its last boiling on', async () => {
    // The first boil lasts 25 minutes from its last mark, the second ends at 03:39.
    const secondFrom = (time: string) => [
      ...without(until('LABELLED'), 'BOIL_REACHED', 3),
      the('BOIL_REACHED', { time }, 3),
    ];
    await given(secondFrom('2026-03-10T03:14Z')).when(the('QC_DONE')).says('DEVIATION_OPEN');
    await given(secondFrom('2026-03-10T03:15Z')).when(the('QC_DONE')).says([]);
  });

  it('count dissolving and separating once they are done', async () => {
    const mark = boil('2026-03-10T02:20Z');
    await given(plain({ dissolve: true }, mark))
      .when(dissolved(QC), the('QC_DONE'))
      .says(['OUT_OF_PHASE'], []);
    await given(plain({ separate: true }, mark))
      .when(the('SEPARATE_STARTED'), the('QC_DONE'), the('SEPARATE_ENDED'), the('QC_DONE'))
      .says('accepted', 'DEVIATION_OPEN', 'accepted', 'accepted');
  });

  it('take samples from mixing on', async () => {
    await given(upTo('MIXED')).when(the('SAMPLE_RETAINED')).says('STEP_NOT_LEGAL');
    await given(until('MIXED')).when(the('SAMPLE_RETAINED')).says([]);
    await given(until('RELEASED'))
      .when(changed(the('SAMPLE_RETAINED'), { by: 'packing' }))
      .says([]);
  });
});

describe('the rules of release', () => {
  it('want it passed, every package counted, and nothing open', async () => {
    await given(until('LABELLED')).when(the('RELEASED')).says('STEP_NOT_LEGAL');
    await given(until('QC_DONE'))
      .when(the('RELEASED', { payload: { packageCount: 2 } }))
      .says('PACKAGES_DIFFER');
    await given(until('QC_DONE'), deviation('2026-03-10T04:30Z'))
      .when(the('RELEASED'))
      .says('DEVIATION_OPEN');
    await given(until('QC_DONE')).when(the('RELEASED'), the('RELEASED')).says([], 'STEP_NOT_LEGAL');
  });

  it('release again what was conceded after its release', () =>
    given(until('RELEASED'), deviation('2026-03-10T06:00Z'))
      .when(
        the('HANDED_OVER'),
        concession('2026-03-10T06:10Z'),
        the('HANDED_OVER'),
        the('RELEASED', { time: '2026-03-10T06:11Z' }),
        the('HANDED_OVER'),
      )
      .says('DEVIATION_OPEN', 'accepted', 'STEP_NOT_LEGAL', 'accepted', 'accepted'));
});
