import { RULES } from '@yaoji/chaincode/core';
import type { StageId } from './words/page.ts';

// A box's way as a layperson tells it: nine stages, in their usual order. The steps of one stage are one chapter; medicine that
// is made again, and a box that changes hands again, begin new ones.

/** The stages in their usual order. */
export const STAGES = [
  'PRESCRIBED',
  'DISPENSED',
  'SOAKED',
  'BOILED',
  'PACKED',
  'QUALITY',
  'HANDOVER',
  'CARRIED',
  'ARRIVED',
] as const satisfies readonly StageId[];

const STAGE_OF: Readonly<Record<string, StageId>> = {
  RX_ACCEPTED: 'PRESCRIBED',
  HERBS_DISPENSED: 'DISPENSED',
  HERBS_CHECKED: 'DISPENSED',
  SOAK_STARTED: 'SOAKED',
  SOAK_ENDED: 'SOAKED',
  DECOCT_STARTED: 'BOILED',
  HERB_ADDED: 'BOILED',
  SEPARATE_STARTED: 'BOILED',
  SEPARATE_ENDED: 'BOILED',
  BOIL_REACHED: 'BOILED',
  DECOCT_ENDED: 'BOILED',
  STRAINED: 'BOILED',
  DISSOLVED: 'BOILED',
  MIXED: 'BOILED',
  PACKED: 'PACKED',
  LABELLED: 'PACKED',
  QC_DONE: 'QUALITY',
  SAMPLE_RETAINED: 'QUALITY',
  RELEASED: 'QUALITY',
  HANDED_OVER: 'HANDOVER',
  COURIER_ACCEPTED: 'HANDOVER',
  HUB_SCANNED: 'CARRIED',
  OUT_FOR_DELIVERY: 'CARRIED',
  DELIVERED: 'ARRIVED',
  PATIENT_VERIFIED: 'ARRIVED',
  CLOSED: 'ARRIVED',
};

/** What a step tells of where it belongs. */
interface Told {
  readonly step: string;
  readonly open: Readonly<Record<string, unknown>>;
}

/** The steps of one stage, in their order. */
export interface Chapter<S extends Told> {
  readonly stage: StageId;
  readonly steps: [S, ...S[]];
}

/**
 * The chapters of the steps of a box and its fulfilment, oldest first; a hospital's and a device's steps are not told. A step
 * without a stage of its own, such as a deviation, belongs to the chapter in which it was found.
 */
export function chaptersOf<S extends Told>(steps: readonly S[]): Chapter<S>[] {
  const chapters: Chapter<S>[] = [];
  /** where the chapters begin that a step may still join */
  let round = 0;
  for (const step of steps) {
    const stage = Object.hasOwn(STAGE_OF, step.step) ? STAGE_OF[step.step] : chapters.at(-1)?.stage;
    if (!stage || !isTold(step)) continue;
    if (step.step === 'HANDED_OVER') round = chapters.length;
    const chapter = chapters.slice(round).findLast((open) => open.stage === stage);
    if (chapter) chapter.steps.push(step);
    else chapters.push({ stage, steps: [step] });
    if (isMadeAgain(step)) round = chapters.length;
  }
  return chapters;
}

function isTold({ step }: Told): boolean {
  const subject = Object.hasOwn(RULES, step) ? RULES[step]!.subject : undefined;
  return subject === 'FUL' || subject === 'PKG';
}

const isMadeAgain = ({ step, open }: Told): boolean =>
  step === 'QC_DONE' && (open['result'] === 'REWORK' || open['result'] === 'SCRAP');

/** How far a stage is: behind, where the box is now, still ahead, or passed over without any record of it. */
export type Reached = 'past' | 'now' | 'ahead' | 'unseen';

/** How far each stage is, in their order. */
export function reachedBy(chapters: readonly Chapter<Told>[]): Reached[] {
  const last = chapters.at(-1);
  const now = last ? STAGES.indexOf(last.stage) : -1;
  const seen = new Set<string>(chapters.map(({ stage }) => stage));
  return STAGES.map((stage, i) =>
    i === now ? 'now' : i > now ? 'ahead' : seen.has(stage) ? 'past' : 'unseen',
  );
}
