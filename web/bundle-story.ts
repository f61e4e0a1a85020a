import { at, memberSchema, readBundle, replay, RULES } from '@yaoji/chaincode/core';
import type { Story } from './story.ts';
import type { Words } from './words/page.ts';

/**
 * The story that a bundle tells, which `verify` has passed: then nothing on the page rests on the server's word. Throws
 * where the bundle cannot be read.
 */
export function storyOf(bundle: unknown): Story {
  const { package: box, trails, heads } = readBundle(bundle);
  const memberOf = (org: string) => memberSchema.safeParse(heads.values.get(at.member(org))).data;
  const nameOf = (org: string): Words => {
    const member = memberOf(org);
    return member ? { zh: member.zh, en: member.en } : { zh: org, en: org };
  };
  const state = replay(trails, (org) => memberOf(org)?.kind).states.get(box);
  if (!state || !('custodian' in state.own)) throw new Error('the box is no package');
  const entries = trails.flatMap(({ records }) => records.map(({ record: { entry } }) => entry));
  const label = trails
    .find(({ subject }) => subject === box)!
    .records.findLast(({ record }) => record.entry.step === 'LABELLED');
  const shown = (name: string): unknown =>
    label?.disclosures.find((item) => item.shown.name === name)?.shown.value;
  const sealNo = shown('sealNo');
  const bestBefore = shown('bestBefore');
  return {
    phase: state.own.phase,
    centre: nameOf(state.org),
    custodian: nameOf(state.own.custodian),
    bags: state.own.bags,
    ...(typeof sealNo === 'string' && { sealNo }),
    ...(typeof bestBefore === 'string' && { bestBefore }),
    // Minutes of UTC sort as text; records of the same minute stay in their trails' order.
    steps: [...entries]
      .sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0))
      .map(({ step, time, org, open }) => ({ step, time, org: nameOf(org), open })),
  };
}

/** The step that a check's detail names by its place in the bundle, as /trails/0/records/3; undefined where it names none. */
export function stepAt(bundle: unknown, detail: string): { words: Words; time: string } | undefined {
  const [, trail, record] = /^\/trails\/(\d+)\/records\/(\d+)[/:]/.exec(detail) ?? [];
  if (!trail || !record) return undefined;
  try {
    const { step, time } = readBundle(bundle).trails[Number(trail)]!.records[Number(record)]!.record.entry;
    const rule = Object.hasOwn(RULES, step) ? RULES[step] : undefined;
    return rule && { words: { zh: rule.zh, en: rule.en }, time };
  } catch {
    // What cannot be read has no steps.
    return undefined;
  }
}
