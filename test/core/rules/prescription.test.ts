import { before as upTo, changed, given, keyFrom, KEYS, the, until } from '../../support/consortium.ts';
import { prescribed, revoked, second } from './variants.ts';

describe('the rules of a prescription', () => {
  it('allow the reference story up to the centre', () =>
    given()
      .when(...until('RX_ACCEPTED'))
      .says([], [], [], []));

  it('refuse what is about no subject, an existing one, or one of another kind', async () => {
    await given().when(the('RX_REVIEWED')).says('SUBJECT_UNKNOWN');
    await given(until('RX_ISSUED')).when(the('RX_ISSUED')).says('SUBJECT_EXISTS');
    await given()
      .when(the('RX_ISSUED', { subject: KEYS.device }))
      .says('SUBJECT_EXISTS');
    await given()
      .when(the('RX_REVIEWED', { subject: KEYS.device }))
      .says('SUBJECT_WRONG_KIND');
  });

  it('refuse impossible open fields', async () => {
    for (const payload of [
      { maxUses: 0 },
      { maxUses: 13 },
      { maxUses: '1' },
      { validUntil: '2026-03-13' },
      { plan: { first: true } },
      { plan: undefined },
    ])
      await given().when(the('RX_ISSUED', { payload })).says('ENTRY_MALFORMED');
    for (const payload of [{ centres: [] }, { mode: 'POST' }, { centres: Array(9).fill('CentreMSP') }])
      await given(until('RX_REVIEWED')).when(the('RX_ROUTED', { payload })).says('ENTRY_MALFORMED');
  });

  it('let only the hospital that issued it go on', () =>
    given(until('RX_ISSUED'))
      .when(the('RX_REVIEWED', { by: 'other-connector' }))
      .says('NOT_OPENER'));

  it('send it on only when the pharmacist passed or overrode it', async () => {
    const review = (result: string) => the('RX_REVIEWED', { payload: { result } });
    await given(until('RX_ISSUED')).when(the('RX_ROUTED')).says('STEP_NOT_LEGAL');
    await given(until('RX_ISSUED')).when(review('OVERRIDE'), the('RX_ROUTED')).says('accepted', 'accepted');
    await given(until('RX_ISSUED'))
      .when(review('RETURN'), the('RX_ROUTED'), review('PASS'))
      .says('accepted', 'STEP_NOT_LEGAL', 'STEP_NOT_LEGAL');
    await given(until('RX_ROUTED')).when(the('RX_ROUTED')).says('STEP_NOT_LEGAL');
  });

  it('let the hospital revoke it from every phase, once', async () => {
    const returned = the('RX_REVIEWED', { payload: { result: 'RETURN' } });
    for (const acts of [
      until('RX_ISSUED'),
      until('RX_REVIEWED'),
      until('RX_ROUTED'),
      [...until('RX_ISSUED'), returned],
    ])
      await given(acts)
        .when(revoked('2026-03-10T01:06Z'), revoked('2026-03-10T01:07Z'))
        .says('accepted', 'STEP_NOT_LEGAL');
  });

  it('let revocation and acceptance have one winner, and tell the loser why', async () => {
    await given(until('RX_ROUTED'))
      .when(revoked('2026-03-10T01:06Z'), the('RX_ACCEPTED'))
      .says('accepted', 'PRESCRIPTION_REVOKED');
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED'), revoked('2026-03-10T01:11Z'))
      .says('accepted', 'TOO_LATE_ACCEPTED');
  });
});

describe('the rules of an acceptance', () => {
  it('need a routed prescription', async () => {
    await given(until('RX_ISSUED')).when(the('RX_ACCEPTED')).says('PRESCRIPTION_NOT_ROUTED');
    await given(until('RX_REVIEWED')).when(the('RX_ACCEPTED')).says('PRESCRIPTION_NOT_ROUTED');
  });

  it('need one prescription, which exists', async () => {
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { links: [] }))
      .says('LINK_UNKNOWN');
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { links: [keyFrom('nothing')] }))
      .says('LINK_UNKNOWN');
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { links: [KEYS.device] }))
      .says('LINK_UNKNOWN');
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { links: [KEYS.prescription, KEYS.device] }))
      .says('LINK_UNKNOWN');
  });

  it('need a centre that the prescription names', async () => {
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { by: 'other-reception' }))
      .says('CENTRE_NOT_NAMED');
    await given(
      upTo('RX_ROUTED'),
      the('RX_ROUTED', { payload: { centres: ['CentreMSP', 'OtherCentreMSP'] } }),
    )
      .when(the('RX_ACCEPTED', { by: 'other-reception' }))
      .says('accepted');
  });

  it('hold the transaction, not the event, to the last minute of validity', async () => {
    const last = Date.parse(the('RX_ISSUED').statement.payload['validUntil'] as string) / 60_000;
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { at: last }))
      .says('accepted');
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { at: last + 1 }))
      .says('PRESCRIPTION_EXPIRED');
  });

  it('use it at most as often as it allows', async () => {
    const again = (seed: string) => the('RX_ACCEPTED', { subject: keyFrom(seed) });
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED'), again('2'))
      .says('accepted', 'PRESCRIPTION_USED');
    await given(prescribed(until('RX_ROUTED'), { maxUses: 3 }))
      .when(the('RX_ACCEPTED'), again('2'), again('3'), again('4'))
      .says('accepted', 'accepted', 'accepted', 'PRESCRIPTION_USED');
  });

  it('take plan and mode over as prescribed', async () => {
    const { plan } = the('RX_ACCEPTED').statement.payload as { plan: { [part: string]: boolean } };
    for (const part of Object.keys(plan))
      await given(until('RX_ROUTED'))
        .when(the('RX_ACCEPTED', { payload: { plan: { ...plan, [part]: !plan[part] } } }))
        .says('PLAN_DIFFERS');
    await given(until('RX_ROUTED'))
      .when(the('RX_ACCEPTED', { payload: { mode: 'SELF' } }))
      .says('PLAN_DIFFERS');
  });

  it('give a second prescription its own story', () =>
    given(until('RX_ACCEPTED'))
      .when(...second(until('RX_ACCEPTED')))
      .says('accepted', 'accepted', 'accepted', 'accepted'));
});

describe("the rules of an event's time", () => {
  const rx = until('RX_REVIEWED');
  const minute = Date.parse(the('RX_ROUTED').statement.time) / 60_000;
  const routed = (at: number) => changed(the('RX_ROUTED'), { at });

  it('let it lie 5 minutes ahead of the transaction and not more', async () => {
    await given(rx)
      .when(routed(minute - 5))
      .says([]);
    await given(rx)
      .when(routed(minute - 6))
      .says('TIME_FUTURE');
  });

  it('mark it late after 15 minutes and refuse it after 30 days', async () => {
    await given(rx)
      .when(routed(minute + 15))
      .says([]);
    await given(rx)
      .when(routed(minute + 16))
      .says(['LATE']);
    await given(rx)
      .when(routed(minute + 30 * 1440))
      .says(['LATE']);
    await given(rx)
      .when(routed(minute + 30 * 1440 + 1))
      .says('TIME_TOO_OLD');
  });

  it('let it lie 5 minutes before the move it follows, marked, and not more', async () => {
    const reviewed = Date.parse(the('RX_REVIEWED').statement.time) / 60_000;
    const early = (minutes: number) => the('RX_ROUTED', { later: reviewed - minute - minutes });
    await given(rx).when(early(0)).says([]);
    await given(rx).when(early(1)).says(['CLOCK_SKEW']);
    await given(rx).when(early(5)).says(['CLOCK_SKEW']);
    await given(rx).when(early(6)).says('TIME_ORDER');
  });

  it('count from the latest move, not the last: a clock that is behind does not move it back', () =>
    given(rx, the('RX_ROUTED', { time: '2026-03-10T01:00Z' }))
      .when(revoked('2026-03-10T00:57Z'), revoked('2026-03-10T00:58Z'))
      .says('TIME_ORDER', ['CLOCK_SKEW']));
});
