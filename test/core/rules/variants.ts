import { pseudonym } from '@yaoji/chaincode/core';
import { changed, keyFrom, KEYS, STORY, the, type Act } from '../../support/consortium.ts';

// Other stories than the reference, made from it.

type Plan = { [part in 'first' | 'late' | 'wrap' | 'separate' | 'dissolve' | 'second']?: boolean };

/** The same acts where the prescription asks for something else. */
export const prescribed = (
  acts: readonly Act[],
  { mode = 'COURIER', maxUses = 1, ...plan }: Plan & { mode?: string; maxUses?: number },
): Act[] =>
  acts.map((act) => {
    const { step, payload } = act.statement;
    const asked = { ...(payload['plan'] as object), ...plan };
    if (step === 'RX_ISSUED') return changed(act, { payload: { plan: asked, maxUses } });
    if (step === 'RX_ROUTED') return changed(act, { payload: { mode } });
    if (step === 'RX_ACCEPTED') return changed(act, { payload: { plan: asked, mode } });
    return act;
  });

/** The same acts about a second prescription, fulfilment and package; the device stays the same. */
export const second = (acts: readonly Act[]): Act[] =>
  acts.map((act) => {
    let text = JSON.stringify(act);
    for (const name of ['prescription', 'fulfilment', 'package'] as const)
      text = text.replaceAll(KEYS[name], keyFrom(`second ${name}`));
    return JSON.parse(text) as Act;
  });

export const actor = (staff: string): string =>
  pseudonym(STORY.staffKey, KEYS.fulfilment, staff, STORY.sha256);
export const PACKER = the('PACKED').statement.payload['actor'];
export const DISPENSER = the('HERBS_DISPENSED').statement.payload['actor'];

export const deviation = (time: string, checkId = 'DQ-TEMP'): Act =>
  changed(the('QC_DONE'), {
    step: 'DEVIATION_RECORDED',
    time,
    payload: {
      result: undefined,
      actor: undefined,
      staff: undefined,
      items: undefined,
      checkId,
      measured: '112 °C',
      limit: '102 °C',
    },
  });
export const concession = (time: string): Act =>
  the('QC_DONE', {
    time,
    payload: { result: 'CONCESSION', approver: actor('ZL001'), approverStaff: 'ZL001' },
  });
export const revoked = (time: string): Act =>
  changed(the('RX_REVIEWED'), {
    step: 'RX_REVOKED',
    time,
    payload: { result: undefined, rules: undefined, reason: 'changed' },
  });
export const dissolved = (time: string): Act => changed(the('SEPARATE_STARTED'), { step: 'DISSOLVED', time });
export const closed = (later: number): Act =>
  changed(the('PATIENT_VERIFIED'), {
    by: 'system',
    step: 'CLOSED',
    time: the('DELIVERED').statement.time,
    later,
    payload: { outerInnerMatch: undefined, bagCountOk: undefined },
  });
/** Handed on from hub to hub. */
export const handedOn = (time: string): Act =>
  the('HANDED_OVER', {
    by: 'phone',
    links: [],
    time,
    payload: { to: 'OtherCourierMSP', handover: keyFrom('second handover') },
  });
export const takenOn = (time: string): Act =>
  the('COURIER_ACCEPTED', { by: 'other-phone', time, payload: { handover: keyFrom('second handover') } });
/** Over the counter. */
export const collected = (time: string): Act =>
  the('DELIVERED', { by: 'dispatch', links: [KEYS.fulfilment], time });
