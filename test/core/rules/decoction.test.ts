import { expect } from 'chai';
import { at as keyOf, type State, type Subject } from '@yaoji/chaincode/core';
import {
  before as upTo,
  changed,
  DEVICES,
  FOREIGN_DEVICE,
  given,
  KEYS,
  ledgerAfter,
  the,
  until,
  without,
  type Act,
} from '../../support/consortium.ts';
import { actor, dissolved, DISPENSER, prescribed, second } from './variants.ts';

const [device, device2] = DEVICES as [string, string];
const started = (change: Parameters<typeof the>[1] = {}) => the('DECOCT_STARTED', change);
const startedSecond = (change: Parameters<typeof the>[1] = {}) => the('DECOCT_STARTED', change, 2);
const dev = async (acts: readonly Act[], key = device): Promise<State<'DEV'>['linked']> =>
  ((await ledgerAfter(acts)).get<Subject>(keyOf.subject(key))!.state as State<'DEV'>).linked;

describe('the rules of dispensing', () => {
  it('take one step after the other, by the accepting centre', async () => {
    await given(until('RX_ACCEPTED')).when(the('HERBS_CHECKED')).says('STEP_NOT_LEGAL');
    await given(until('RX_ACCEPTED'))
      .when(the('HERBS_DISPENSED', { by: 'other-dispensary' }))
      .says('NOT_OPENER');
    await given(until('HERBS_DISPENSED')).when(the('HERBS_DISPENSED')).says('STEP_NOT_LEGAL');
  });

  it('want two different persons', async () => {
    await given(until('HERBS_DISPENSED'))
      .when(the('HERBS_CHECKED', { payload: { actor: DISPENSER } }))
      .says('SAME_PERSON');
    await given(until('HERBS_DISPENSED')).when(the('HERBS_CHECKED')).says([]);
  });

  it('send rejected herbs back to be dispensed again', () =>
    given(until('HERBS_DISPENSED'))
      .when(
        the('HERBS_CHECKED', { payload: { result: 'FAIL', kind: 'DOSE' } }),
        the('SOAK_STARTED'),
        the('HERBS_DISPENSED', { payload: { actor: actor('other') }, later: 10 }),
        the('HERBS_CHECKED', { payload: { actor: actor('other') }, later: 10 }),
        the('HERBS_CHECKED', { payload: { actor: DISPENSER }, later: 10 }),
      )
      .says('accepted', 'STEP_NOT_LEGAL', 'accepted', 'SAME_PERSON', 'accepted'));
});

describe('the rules of soaking', () => {
  it('begin after the check and end after the beginning', async () => {
    await given(until('HERBS_DISPENSED')).when(the('SOAK_STARTED')).says('STEP_NOT_LEGAL');
    await given(until('HERBS_CHECKED')).when(the('SOAK_ENDED')).says('STEP_NOT_LEGAL');
    await given(until('SOAK_ENDED')).when(the('SOAK_ENDED')).says('STEP_NOT_LEGAL');
  });

  it('refuse less than no time and more than a day, and accept 12 minutes', async () => {
    const lasting = (minutes: number) =>
      the('SOAK_ENDED', { time: the('SOAK_STARTED').statement.time, later: minutes });
    await given(until('SOAK_STARTED')).when(lasting(-1)).says('DURATION_IMPOSSIBLE');
    await given(until('SOAK_STARTED')).when(lasting(0)).says([]);
    await given(until('SOAK_STARTED')).when(lasting(12)).says([]);
    await given(until('SOAK_STARTED')).when(lasting(1440)).says([]);
    await given(until('SOAK_STARTED')).when(lasting(1441)).says('DURATION_IMPOSSIBLE');
  });
});

describe('the rules of runs and devices', () => {
  it('begin a run on an idle, clean device, once herbs are soaked', async () => {
    await given(until('SOAK_STARTED')).when(started()).says('STEP_NOT_LEGAL');
    await given(until('SOAK_ENDED'))
      .when(started({ links: [] }))
      .says('LINK_UNKNOWN');
    await given(until('SOAK_ENDED'))
      .when(started({ links: [KEYS.prescription] }))
      .says('LINK_UNKNOWN');
    await given(until('SOAK_ENDED')).when(started()).says([]);
  });

  it('never let a run hold another prescription', async () => {
    const other = second(until('SOAK_ENDED'));
    const [start] = second([started()]) as [Act];
    await given(until('DECOCT_STARTED'), other).when(start).says('DEVICE_BUSY');
    // Between the boils the run still holds it.
    await given(until('STRAINED'), other).when(start).says('DEVICE_BUSY');
    await given(until('DECOCT_ENDED', 2), other).when(start).says('DEVICE_DIRTY');
    await given(until('EQUIP_CLEANED'), other).when(start).says('accepted');
  });

  it("refuse another centre's device", () =>
    given(until('SOAK_ENDED'))
      .when(started({ links: [FOREIGN_DEVICE] }))
      .says('NOT_OPENER'));

  it('let a fulfilment have several runs, each with its own name', () =>
    given(until('DECOCT_STARTED'))
      .when(
        started({ links: [device2] }),
        started({ links: [device2], payload: { run: 'R2' } }),
        started({ payload: { run: 'R3' } }),
      )
      .says('RUN_EXISTS', 'accepted', 'DEVICE_BUSY'));

  it('begin the second boil on the run and device of the first, strained', async () => {
    const r9 = { payload: { run: 'R9' } };
    await given(until('STRAINED')).when(startedSecond(r9)).says('RUN_UNKNOWN');
    await given(until('DECOCT_STARTED')).when(startedSecond()).says('STAGE_NOT_LEGAL');
    await given(until('DECOCT_ENDED')).when(startedSecond()).says('STAGE_NOT_LEGAL');
    await given(until('STRAINED'))
      .when(startedSecond({ links: [device2] }))
      .says('DEVICE_DIFFERS');
    await given(until('STRAINED')).when(startedSecond(), startedSecond()).says([], 'STAGE_NOT_LEGAL');
    await given(prescribed(until('STRAINED'), { second: false }))
      .when(startedSecond())
      .says('DEVICE_DIFFERS');
  });

  it('end and strain each stage once, in this order', async () => {
    const wrongRun = { payload: { run: 'R9' } };
    await given(until('DECOCT_STARTED')).when(the('STRAINED')).says('STAGE_NOT_LEGAL');
    await given(until('DECOCT_STARTED'))
      .when(the('DECOCT_ENDED', {}, 2))
      .says('STAGE_NOT_LEGAL');
    await given(until('DECOCT_STARTED')).when(the('DECOCT_ENDED', wrongRun)).says('RUN_UNKNOWN');
    await given(until('DECOCT_STARTED'))
      .when(the('DECOCT_ENDED', { links: [device2] }))
      .says('DEVICE_DIFFERS');
    await given(until('DECOCT_ENDED')).when(the('DECOCT_ENDED')).says('STAGE_NOT_LEGAL');
    await given(until('DECOCT_ENDED')).when(the('STRAINED', wrongRun)).says('RUN_UNKNOWN');
    await given(until('STRAINED')).when(the('STRAINED')).says('STAGE_NOT_LEGAL');
  });

  it('free the device, dirty, after the last planned boil', async () => {
    const held = { fulfilment: KEYS.fulfilment, run: 'R1' };
    expect(await dev(until('DECOCT_STARTED'))).to.deep.equal({ dirty: false, held });
    expect(await dev(until('DECOCT_ENDED'))).to.deep.equal({ dirty: false, held });
    expect(await dev(until('DECOCT_ENDED', 2))).to.deep.equal({ dirty: true });
    expect(await dev(prescribed(until('DECOCT_ENDED'), { second: false }))).to.deep.equal({ dirty: true });
    expect(await dev(until('EQUIP_CLEANED'))).to.deep.equal({ dirty: false });
  });

  it('clean a device only when it is idle and dirty, and by its centre', async () => {
    await given(until('SOAK_ENDED')).when(the('EQUIP_CLEANED')).says('DEVICE_CLEAN');
    await given(until('DECOCT_STARTED')).when(the('EQUIP_CLEANED')).says('DEVICE_BUSY');
    await given(until('MIXED'))
      .when(the('EQUIP_CLEANED', { by: 'other-decoctionRoom' }))
      .says('NOT_OPENER');
    await given(until('MIXED')).when(the('EQUIP_CLEANED'), the('EQUIP_CLEANED')).says([], 'DEVICE_CLEAN');
  });

  it("compare a stage's time with its own run's, and a run's first with the soaking", async () => {
    const run2 = (act: Act, time: string) =>
      changed(act, { time, payload: { run: 'R2' }, ...(act.statement.links ? { links: [device2] } : {}) });
    // R1 has been strained at 03:08; R2 was started earlier on another pot and is told later.
    await given(until('STRAINED'))
      .when(
        run2(started(), '2026-03-10T02:00Z'),
        run2(started(), '2026-03-10T02:01Z'),
        run2(the('DECOCT_ENDED'), '2026-03-10T01:55Z'),
        run2(the('DECOCT_ENDED'), '2026-03-10T02:40Z'),
      )
      .says('TIME_ORDER', ['CLOCK_SKEW'], 'TIME_ORDER', []);
  });

  it('know a run by its name alone, whatever that name is', async () => {
    for (const run of ['constructor', 'toString', 'valueOf', 'hasOwnProperty']) {
      const named = { payload: { run } };
      await given(until('STRAINED'))
        .when(
          the('HERB_ADDED', named),
          the('BOIL_REACHED', named),
          the('DECOCT_ENDED', named),
          startedSecond(named),
          started({ ...named, links: [device2] }),
          the('HERB_ADDED', named),
        )
        .says('RUN_UNKNOWN', 'RUN_UNKNOWN', 'RUN_UNKNOWN', 'RUN_UNKNOWN', 'accepted', 'accepted');
    }
  });
});

describe('the rules of what is noted while it boils', () => {
  it('want a run whose first boil began', async () => {
    await given(until('SOAK_ENDED')).when(the('HERB_ADDED')).says('STEP_NOT_LEGAL');
    await given(until('DECOCT_STARTED')).when(the('HERB_ADDED')).says([]);
    await given(until('DECOCT_STARTED'))
      .when(the('HERB_ADDED', { payload: { run: 'R9' } }))
      .says('RUN_UNKNOWN');
    await given(until('DECOCT_STARTED'))
      .when(the('HERB_ADDED', { payload: { kind: 'ALL' } }))
      .says('ENTRY_MALFORMED');
    await given(until('DECOCT_STARTED')).when(the('BOIL_REACHED')).says([]);
    await given(until('DECOCT_STARTED'))
      .when(the('BOIL_REACHED', {}, 3))
      .says('STAGE_NOT_LEGAL');
    await given(until('DECOCT_STARTED'))
      .when(the('BOIL_REACHED', { payload: { run: 'R9' } }))
      .says('RUN_UNKNOWN');
    await given(until('DECOCT_STARTED'))
      .when(the('HERB_ADDED', { by: 'other-decoctionRoom' }))
      .says('NOT_OPENER');
  });

  it('accept it later too, and mark it', async () => {
    await given(until('DECOCT_ENDED'))
      .when(the('HERB_ADDED'), the('BOIL_REACHED'))
      .says(['OUT_OF_PHASE'], ['OUT_OF_PHASE']);
    await given(until('RELEASED')).when(the('HERB_ADDED')).says(['OUT_OF_PHASE']);
  });

  it('ask nothing of its time but the limits of all times', () =>
    given(until('DECOCT_ENDED'))
      .when(the('HERB_ADDED', { later: -600 }))
      .says(['OUT_OF_PHASE']));

  it('separate once, from the soaking on, in up to six hours', async () => {
    const start = the('SEPARATE_STARTED');
    const end = (minutes: number) => the('SEPARATE_ENDED', { time: start.statement.time, later: minutes });
    await given(until('SOAK_STARTED')).when(start).says('STEP_NOT_LEGAL');
    await given(until('SOAK_ENDED')).when(end(0)).says('STAGE_NOT_LEGAL');
    await given(until('SEPARATE_STARTED')).when(start).says('ALREADY_DONE');
    await given(until('SEPARATE_STARTED')).when(end(-1)).says('DURATION_IMPOSSIBLE');
    await given(until('SEPARATE_STARTED')).when(end(0), end(0)).says([], 'ALREADY_DONE');
    await given(until('SEPARATE_STARTED')).when(end(360)).says([]);
    await given(until('SEPARATE_STARTED')).when(end(361)).says('DURATION_IMPOSSIBLE');
    await given(without(until('MIXED'), 'SEPARATE_ENDED'))
      .when(the('SEPARATE_ENDED'))
      .says(['OUT_OF_PHASE']);
  });

  it('dissolve into liquid that was strained off', async () => {
    await given(until('SOAK_ENDED')).when(dissolved('2026-03-10T03:09Z')).says('STEP_NOT_LEGAL');
    await given(until('DECOCT_ENDED')).when(dissolved('2026-03-10T03:09Z')).says('STAGE_NOT_LEGAL');
    await given(until('STRAINED')).when(dissolved('2026-03-10T03:09Z')).says([]);
    await given(until('MIXED')).when(dissolved('2026-03-10T03:09Z')).says(['LATE', 'OUT_OF_PHASE'].slice(1));
  });
});

describe('the rules of mixing', () => {
  it('want every stage strained', async () => {
    for (const acts of [
      until('DECOCT_STARTED'),
      until('DECOCT_ENDED'),
      until('DECOCT_STARTED', 2),
      until('DECOCT_ENDED', 2),
    ])
      await given(acts)
        .when(the('MIXED', { links: [device] }))
        .says('RUN_NOT_STRAINED');
    await given(until('SOAK_ENDED')).when(the('MIXED')).says('STEP_NOT_LEGAL');
    await given(until('MIXED')).when(the('MIXED')).says('STEP_NOT_LEGAL');
  });

  it('name exactly the devices that are still held, and free them, dirty', async () => {
    await given(until('STRAINED', 2))
      .when(the('MIXED', { links: [device] }))
      .says('DEVICE_DIFFERS');
    await given(until('STRAINED', 2)).when(the('MIXED')).says([]);
    await given(until('STRAINED')).when(the('MIXED')).says('DEVICE_DIFFERS');
    await given(until('STRAINED'))
      .when(the('MIXED', { links: [device2] }))
      .says('DEVICE_DIFFERS');
    const skipped = [...until('STRAINED'), the('MIXED', { links: [device] })];
    expect(await dev(skipped)).to.deep.equal({ dirty: true });
  });

  it('are not before the latest move of any run', async () => {
    await given(upTo('MIXED'))
      .when(the('MIXED', { time: '2026-03-10T03:35Z' }))
      .says('TIME_ORDER');
    await given(upTo('MIXED'))
      .when(the('MIXED', { time: '2026-03-10T03:36Z' }))
      .says(['CLOCK_SKEW']);
  });
});
