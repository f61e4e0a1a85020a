import { expect } from 'chai';
import { RULES } from '@yaoji/chaincode/core';
import { chaptersOf, reachedBy } from '@yaoji/web/stages';

const step = (name: string, open: Record<string, unknown> = {}) => ({ step: name, open });
const told = (...steps: ReturnType<typeof step>[]): string[] =>
  chaptersOf(steps).map(({ stage, steps: own }) => `${stage} ${own.length}`);

describe('the stages of a box’s way', () => {
  it('have a place for every step of a fulfilment and of a package', () => {
    for (const [name, { subject }] of Object.entries(RULES)) {
      const chapters = chaptersOf([step('RX_ACCEPTED'), step(name)]);
      const steps = chapters.reduce((sum, chapter) => sum + chapter.steps.length, 0);
      expect(steps, name).to.equal(subject === 'FUL' || subject === 'PKG' ? 2 : 1);
    }
  });

  it('gather what overlaps: one chapter for each stage', () => {
    expect(
      told(step('SOAK_STARTED'), step('SEPARATE_STARTED'), step('SOAK_ENDED'), step('DECOCT_STARTED')),
    ).to.deep.equal(['SOAKED 2', 'BOILED 2']);
  });

  it('begin anew where the medicine is made again', () => {
    expect(
      told(
        step('DECOCT_STARTED'),
        step('QC_DONE', { result: 'REWORK' }),
        step('DECOCT_STARTED'),
        step('QC_DONE', { result: 'PASS' }),
        step('RELEASED'),
      ),
    ).to.deep.equal(['BOILED 1', 'QUALITY 1', 'BOILED 1', 'QUALITY 2']);
  });

  it('begin anew with each handover', () => {
    const handover = [step('HANDED_OVER'), step('COURIER_ACCEPTED'), step('HUB_SCANNED')];
    expect(told(...handover, ...handover)).to.deep.equal([
      'HANDOVER 2',
      'CARRIED 1',
      'HANDOVER 2',
      'CARRIED 1',
    ]);
  });

  it('take a deviation to where it was found', () => {
    expect(told(step('DEVIATION_RECORDED'))).to.deep.equal([]);
    expect(told(step('SOAK_STARTED'), step('DEVIATION_RECORDED'))).to.deep.equal(['SOAKED 2']);
  });

  it('tell what is ahead again after a step back', () => {
    const back = chaptersOf([
      step('DECOCT_STARTED'),
      step('QC_DONE', { result: 'REWORK' }),
      step('SOAK_STARTED'),
    ]);
    expect(reachedBy(back)).to.deep.equal([
      'unseen',
      'unseen',
      'now',
      ...Array.from({ length: 6 }, () => 'ahead'),
    ]);
  });

  it('tell nothing of names that only look like steps', () => {
    expect(
      told(step('constructor'), step('toString'), step('RX_ISSUED'), step('EQUIP_CLEANED')),
    ).to.deep.equal([]);
  });
});
