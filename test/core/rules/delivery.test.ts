import { given, keyFrom, KEYS, the, until } from '../../support/consortium.ts';
import { closed, collected, deviation, handedOn, prescribed, second, takenOn } from './variants.ts';

const someHash = keyFrom('some').padEnd(43, 'A');
const afterRelease = '2026-03-10T06:00Z';

describe('the rules of a handover', () => {
  it('take a released box out of its own centre, to another courier', async () => {
    const to = (member: string) => the('HANDED_OVER', { payload: { to: member } });
    await given(until('LABELLED')).when(the('HANDED_OVER')).says('STEP_NOT_LEGAL');
    await given(until('QC_DONE')).when(the('HANDED_OVER')).says('STEP_NOT_LEGAL');
    await given(until('RELEASED'))
      .when(the('HANDED_OVER', { by: 'other-dispatch' }))
      .says('NOT_CUSTODIAN');
    for (const member of ['CentreMSP', 'OtherCentreMSP', 'HospitalMSP', 'NobodyMSP'])
      await given(until('RELEASED')).when(to(member)).says('NOT_A_COURIER');
    await given(until('RELEASED')).when(to('OtherCourierMSP')).says([]);
    await given(until('HANDED_OVER')).when(the('HANDED_OVER')).says('STEP_NOT_LEGAL');
  });

  it("carry the package's seal and bags", async () => {
    await given(until('RELEASED'))
      .when(the('HANDED_OVER', { payload: { sealCommit: someHash } }))
      .says('SEAL_DIFFERS');
    await given(until('RELEASED'))
      .when(the('HANDED_OVER', { payload: { bags: 13 } }))
      .says('BAGS_DIFFER');
  });

  it("name the box's own fulfilment", async () => {
    await given(until('RELEASED'))
      .when(the('HANDED_OVER', { links: [] }))
      .says('LINK_UNKNOWN');
    await given(until('RELEASED'))
      .when(the('HANDED_OVER', { links: [KEYS.device] }))
      .says('LINK_UNKNOWN');
    await given(until('RELEASED'), second(until('RX_ACCEPTED')))
      .when(the('HANDED_OVER', { links: [keyFrom('second fulfilment')] }))
      .says('PACKAGE_NOT_NAMED');
  });

  it('are for boxes that are sent, not for those that are fetched', async () => {
    await given(prescribed(until('RELEASED'), { mode: 'SELF' }))
      .when(the('HANDED_OVER'))
      .says('MODE_DIFFERS');
    await given(prescribed(until('RELEASED'), { mode: 'WARD' }))
      .when(the('HANDED_OVER'))
      .says([]);
  });

  it('stop at an open deviation', () =>
    given(until('RELEASED'), deviation(afterRelease)).when(the('HANDED_OVER')).says('DEVIATION_OPEN'));

  it('are complete only with the equal word of the named taker', async () => {
    const taken = (payload: object) => the('COURIER_ACCEPTED', { payload: { ...payload } });
    await given(until('RELEASED')).when(the('COURIER_ACCEPTED')).says('STEP_NOT_LEGAL');
    await given(until('HANDED_OVER'))
      .when(the('COURIER_ACCEPTED', { by: 'other-phone' }))
      .says('NOT_NAMED');
    await given(until('HANDED_OVER'))
      .when(taken({ handover: keyFrom('another') }))
      .says('HANDOVER_DIFFERS');
    await given(until('HANDED_OVER'))
      .when(taken({ sealCommit: someHash }))
      .says('SEAL_DIFFERS');
    await given(until('HANDED_OVER'))
      .when(taken({ bags: 13 }))
      .says('BAGS_DIFFER');
    await given(until('HANDED_OVER')).when(the('OUT_FOR_DELIVERY')).says('NOT_CUSTODIAN');
    await given(until('HANDED_OVER')).when(taken({}), taken({})).says([], 'STEP_NOT_LEGAL');
  });

  it('note a broken seal, and sides that are hours apart', async () => {
    const { time } = the('HANDED_OVER').statement;
    const later = (minutes: number) => the('COURIER_ACCEPTED', { time, later: minutes });
    await given(until('HANDED_OVER')).when(later(120)).says([]);
    await given(until('HANDED_OVER')).when(later(121)).says(['HANDOVER_SLOW']);
    await given(until('HANDED_OVER'))
      .when(the('COURIER_ACCEPTED', { payload: { sealIntact: false } }))
      .says(['SEAL_NOT_INTACT']);
  });

  it('go on from courier to courier without the fulfilment', async () => {
    const on = handedOn('2026-03-10T08:00Z');
    await given(until('COURIER_ACCEPTED'))
      .when({ ...on, statement: { ...on.statement, links: [KEYS.fulfilment] } })
      .says('LINK_UNKNOWN');
    await given(until('COURIER_ACCEPTED'))
      .when(the('HANDED_OVER', { time: '2026-03-10T08:00Z' }))
      .says('NOT_CUSTODIAN');
    await given(until('COURIER_ACCEPTED'))
      .when(
        on,
        the('COURIER_ACCEPTED', { time: '2026-03-10T08:01Z' }),
        takenOn('2026-03-10T08:01Z'),
        the('OUT_FOR_DELIVERY'),
        the('OUT_FOR_DELIVERY', { by: 'other-phone' }),
      )
      .says('accepted', 'NOT_NAMED', 'accepted', 'NOT_CUSTODIAN', 'accepted');
  });

  it('go to somebody else, never back to oneself', () =>
    given(until('COURIER_ACCEPTED'))
      .when(
        the('HANDED_OVER', {
          by: 'phone',
          links: [],
          time: '2026-03-10T08:00Z',
          payload: { to: 'CourierMSP' },
        }),
      )
      .says('NOT_A_COURIER'));
});

describe('the rules of the way', () => {
  it('let only those scan it who carry it or have carried it', async () => {
    await given(until('HANDED_OVER')).when(the('HUB_SCANNED')).says('NOT_CUSTODIAN');
    await given(until('COURIER_ACCEPTED')).when(the('HUB_SCANNED')).says([]);
    await given(until('COURIER_ACCEPTED'))
      .when(the('HUB_SCANNED', { by: 'other-phone' }))
      .says('NOT_CUSTODIAN');
    await given(until('DELIVERED')).when(the('HUB_SCANNED')).says(['OUT_OF_PHASE']);
  });

  it('take a scan that arrives after the box was handed on', async () => {
    const on = handedOn('2026-03-10T13:00Z');
    await given(until('COURIER_ACCEPTED'), on).when(the('HUB_SCANNED')).says(['OUT_OF_PHASE']);
    await given(until('COURIER_ACCEPTED'), on, takenOn('2026-03-10T13:01Z'))
      .when(the('HUB_SCANNED'), the('HUB_SCANNED', { by: 'other-phone', time: '2026-03-10T13:02Z' }))
      .says(['OUT_OF_PHASE'], []);
  });

  it('deliver all bags, from the door of the patient', async () => {
    await given(until('HUB_SCANNED', 2)).when(the('DELIVERED')).says('STEP_NOT_LEGAL');
    await given(until('OUT_FOR_DELIVERY'))
      .when(the('DELIVERED', { payload: { bags: 13 } }))
      .says('BAGS_DIFFER');
    await given(until('OUT_FOR_DELIVERY'))
      .when(the('DELIVERED', { by: 'other-phone' }))
      .says('NOT_CUSTODIAN');
    await given(until('OUT_FOR_DELIVERY'))
      .when(the('DELIVERED', { links: [KEYS.fulfilment] }))
      .says('LINK_UNKNOWN');
    await given(until('OUT_FOR_DELIVERY')).when(the('OUT_FOR_DELIVERY')).says('STEP_NOT_LEGAL');
    await given(until('OUT_FOR_DELIVERY'))
      .when(the('DELIVERED', { payload: { sealIntact: false } }), the('DELIVERED'))
      .says(['SEAL_NOT_INTACT'], 'STEP_NOT_LEGAL');
  });

  it('let the patient or the ward fetch it from the centre', async () => {
    const time = afterRelease;
    await given(until('RELEASED')).when(collected(time)).says('MODE_DIFFERS');
    for (const mode of ['SELF', 'WARD']) {
      await given(prescribed(until('QC_DONE'), { mode }))
        .when(collected(time))
        .says('STEP_NOT_LEGAL');
      await given(prescribed(until('RELEASED'), { mode }))
        .when(collected(time))
        .says([]);
      await given(prescribed(until('RELEASED'), { mode }), deviation(time))
        .when(collected(time))
        .says('DEVIATION_OPEN');
    }
  });

  it("ask the patient after the delivery, on the page of the box's centre", async () => {
    await given(until('OUT_FOR_DELIVERY')).when(the('PATIENT_VERIFIED')).says('STEP_NOT_LEGAL');
    await given(until('DELIVERED'))
      .when(the('PATIENT_VERIFIED', { by: 'other-page' }))
      .says('NOT_OPENER');
    await given(until('DELIVERED')).when(the('PATIENT_VERIFIED'), the('PATIENT_VERIFIED')).says([], []);
  });

  it('close a box a week after its delivery, once', async () => {
    await given(until('OUT_FOR_DELIVERY'))
      .when(closed(7 * 1440))
      .says('STEP_NOT_LEGAL');
    await given(until('DELIVERED'))
      .when(closed(7 * 1440 - 1))
      .says('TOO_EARLY');
    await given(until('DELIVERED'))
      .when(closed(7 * 1440), closed(7 * 1440), the('PATIENT_VERIFIED'))
      .says([], 'STEP_NOT_LEGAL', ['OUT_OF_PHASE']);
  });
});
