import type { Need } from './case.ts';
import { openFindings } from './findings.ts';
import { rankOf, runOf, type FulOwn, type Plan, type Stage } from './state.ts';

// The conditions that the table's rows name. Each is one question with one answer; a linked subject that cannot be seen
// (in a bundle) leaves its question open.

const when = <T extends string>(broken: boolean, code: T): T | undefined => (broken ? code : undefined);

// The prescription, at its acceptance

/** Revoked and not routed are told apart: the centre that lost the race is owed the reason. */
export const prescriptionIsRouted: Need<'FUL'> = ({ rx }) =>
  rx &&
  (when(rx.own.phase === 'REVOKED', 'PRESCRIPTION_REVOKED') ??
    when(rx.own.phase !== 'ROUTED', 'PRESCRIPTION_NOT_ROUTED'));

export const centreIsNamed: Need<'FUL'> = ({ rx, org }) =>
  rx && when(!rx.own.centres?.includes(org), 'CENTRE_NOT_NAMED');

/** Expiry is a comparison with the transaction's time, not an event that must arrive. */
export const stillValid: Need<'FUL'> = ({ rx, at }) =>
  rx && when(at > rx.own.validUntil, 'PRESCRIPTION_EXPIRED');

export const hasUseLeft: Need<'FUL'> = ({ rx }) =>
  rx?.linked && when(rx.linked.uses >= rx.own.maxUses, 'PRESCRIPTION_USED');

export const planAndModeAsPrescribed: Need<'FUL', { plan: Plan; mode: string }> = ({ rx, open }) =>
  rx &&
  when(
    rx.own.mode !== open.mode ||
      (Object.keys(rx.own.plan) as (keyof Plan)[]).some((name) => rx.own.plan[name] !== open.plan[name]),
    'PLAN_DIFFERS',
  );

export const noUseCounted: Need<'RX'> = ({ linked }) => linked && when(linked.uses > 0, 'TOO_LATE_ACCEPTED');

// Persons

export const differsFromDispenser: Need<'FUL', { actor: string }> = ({ own, open }) =>
  when(open.actor === own.dispenser, 'SAME_PERSON');

export const differsFromPacker: Need<'FUL', { actor: string }> = ({ own, open }) =>
  when(open.actor === own.packer, 'SAME_PERSON');

/** A concession is approved by somebody who neither packed nor checked. */
export const concessionIsApproved: Need<
  'FUL',
  { result: string; actor: string; approver?: string | undefined }
> = ({ own, open }) =>
  open.result === 'CONCESSION'
    ? (when(open.approver === undefined, 'APPROVER_MISSING') ??
      when(open.approver === open.actor || open.approver === own.packer, 'SAME_PERSON'))
    : undefined;

// Soaking, runs and devices

const DAY = 1440;

export const soakIsPossible: Need<'FUL'> = ({ own, time }) =>
  when(time < own.soakStarted! || time - own.soakStarted! > DAY, 'DURATION_IMPOSSIBLE');

type OfStage = { run: string; stage: 'FIRST' | 'SECOND' };
const stageOf = (own: FulOwn, { run, stage }: OfStage): Stage | undefined =>
  stage === 'FIRST' ? runOf(own, run)?.first : runOf(own, run)?.second;

export const deviceIsTheCentres: Need<'FUL'> = ({ devs, org }) =>
  when(
    [...devs.values()].some((device) => device.org !== org),
    'NOT_OPENER',
  );

/** FIRST begins a new run on an idle, clean device; SECOND goes on with the run and the device that it holds. */
export const stageMayStart: Need<'FUL', OfStage> = (c) => {
  const run = runOf(c.own, c.open.run);
  const device = c.links[0]!;
  const state = c.devs.get(device)?.linked;
  if (c.open.stage === 'FIRST')
    return (
      when(run !== undefined, 'RUN_EXISTS') ??
      when(state?.held !== undefined, 'DEVICE_BUSY') ??
      when(state?.dirty === true, 'DEVICE_DIRTY')
    );
  if (!run) return 'RUN_UNKNOWN';
  return (
    when(run.second !== undefined || run.first.is !== 'STRAINED', 'STAGE_NOT_LEGAL') ??
    when(!run.held || run.device !== device, 'DEVICE_DIFFERS')
  );
};

/** The stage's own next step: the one and only phase from which it may be taken. */
export const stageIs =
  (phase: Stage['is']): Need<'FUL', OfStage> =>
  ({ own, open }) =>
    when(runOf(own, open.run) === undefined, 'RUN_UNKNOWN') ??
    when(stageOf(own, open)?.is !== phase, 'STAGE_NOT_LEGAL');

/** For notes: the stage was started once; that it has gone on meanwhile only makes the note late. */
export const stageWasStarted: Need<'FUL', OfStage> = ({ own, open }) =>
  when(runOf(own, open.run) === undefined, 'RUN_UNKNOWN') ??
  when(stageOf(own, open) === undefined, 'STAGE_NOT_LEGAL');

export const firstStageWasStarted: Need<'FUL', { run: string }> = ({ own, open }) =>
  when(runOf(own, open.run) === undefined, 'RUN_UNKNOWN');

export const deviceIsTheRuns: Need<'FUL', { run: string }> = ({ own, open, links }) =>
  when(runOf(own, open.run)?.device !== links[0], 'DEVICE_DIFFERS');

export const everyStageIsStrained: Need<'FUL'> = ({ own }) =>
  when(
    Object.values(own.runs).some(
      ({ first, second }) => first.is !== 'STRAINED' || (second && second.is !== 'STRAINED'),
    ),
    'RUN_NOT_STRAINED',
  );

export const devicesAreThoseStillHeld: Need<'FUL'> = ({ own, links }) => {
  const held = Object.values(own.runs)
    .filter((run) => run.held)
    .map((run) => run.device);
  return when(
    held.length !== links.length || held.some((device) => !links.includes(device)),
    'DEVICE_DIFFERS',
  );
};

export const aStageIsStrained: Need<'FUL'> = ({ own }) =>
  when(
    !Object.values(own.runs).some(
      ({ first, second }) => first.is === 'STRAINED' || second?.is === 'STRAINED',
    ),
    'STAGE_NOT_LEGAL',
  );

export const deviceIsIdle: Need<'DEV'> = ({ linked }) =>
  linked && when(linked.held !== undefined, 'DEVICE_BUSY');
export const deviceIsDirty: Need<'DEV'> = ({ linked }) => linked && when(!linked.dirty, 'DEVICE_CLEAN');

export const separateNotStarted: Need<'FUL'> = ({ own }) => when(own.separate !== undefined, 'ALREADY_DONE');

export const separateIsUnderWay: Need<'FUL'> = ({ own, time }) => {
  if (!own.separate) return 'STAGE_NOT_LEGAL';
  if (own.separate.ended !== undefined) return 'ALREADY_DONE';
  return when(time < own.separate.started || time - own.separate.started > 360, 'DURATION_IMPOSSIBLE');
};

// Packing, quality, release

export const packagesStandOnce: Need<'FUL', { packages: { package: string }[] }> = ({ open }) =>
  when(new Set(open.packages.map((item) => item.package)).size !== open.packages.length, 'PACKAGES_TWICE');

export const everyPackageIsLabelled: Need<'FUL'> = ({ own, linked }) =>
  linked &&
  when(
    own.phase === 'PACKED' && Object.keys(own.packages ?? {}).some((name) => !linked.labelled.includes(name)),
    'NOT_ALL_LABELLED',
  );

/** After PACKED, quality control speaks again only because something was found. */
export const reopenedByDeviation: Need<'FUL'> = ({ own }) =>
  when(own.phase !== 'PACKED' && own.deviations.length === 0, 'NO_DEVIATION');

export const passIsClean: Need<'FUL', { result: string }> = ({ own, open, rules }) =>
  when(
    open.result === 'PASS' && (own.deviations.length > 0 || openFindings(own, rules).length > 0),
    'DEVIATION_OPEN',
  );

export const noDeviationOpen: Need<'FUL'> = ({ own }) => when(own.deviations.length > 0, 'DEVIATION_OPEN');

export const countsAllPackages: Need<'FUL', { packageCount: number }> = ({ own, open }) =>
  when(open.packageCount !== Object.keys(own.packages ?? {}).length, 'PACKAGES_DIFFER');

// The box

export const ofTheFulfilmentsCentre: Need<'PKG'> = ({ ful, org }) =>
  ful && when(ful.org !== org, 'NOT_OPENER');

export const packingNamesItWithTheseBags: Need<'PKG', { bags: number }> = ({ ful, subject, open }) =>
  ful &&
  (when(ful.own.phase !== 'PACKED', 'STEP_NOT_LEGAL') ??
    when(ful.own.packages?.[subject] === undefined, 'PACKAGE_NOT_NAMED') ??
    when(ful.own.packages?.[subject] !== open.bags, 'BAGS_DIFFER'));

export const tokenIsNew: Need<'PKG'> = ({ tokenUsed }) => when(tokenUsed, 'TOKEN_USED');

export const sealIsThePackages: Need<'PKG', { sealCommit: string }> = ({ own, open }) =>
  when(open.sealCommit !== own.seal, 'SEAL_DIFFERS');

export const bagsAreThePackages: Need<'PKG', { bags: number }> = ({ own, open }) =>
  when(open.bags !== own.bags, 'BAGS_DIFFER');

export const takerIsAnotherCourier: Need<'PKG', { to: string }> = ({ open, org, kindOf }) => {
  const kind = kindOf(open.to);
  return when(open.to === org || (kind !== 'courier' && kind !== 'unseen'), 'NOT_A_COURIER');
};

export const handoverIsTheSame: Need<'PKG', { handover: string }> = ({ own, open }) =>
  when(own.handover?.id !== open.handover, 'HANDOVER_DIFFERS');

/**
 * Leaving the centre, whether with a courier or over the counter: the fulfilment is linked, released, packed this box last
 * and has no open deviation. A box already with a courier links no fulfilment.
 */
export const leavesTheCentre =
  (modes: readonly string[]): Need<'PKG'> =>
  ({ own, links, ful, subject }) => {
    if (own.phase !== 'LABELLED') return when(links.length > 0, 'LINK_UNKNOWN');
    if (links.length !== 1) return 'LINK_UNKNOWN';
    return (
      ful &&
      (when(ful.own.packages?.[subject] === undefined, 'PACKAGE_NOT_NAMED') ??
        when(!modes.includes(ful.own.mode), 'MODE_DIFFERS') ??
        when(ful.own.deviations.length > 0, 'DEVIATION_OPEN') ??
        when(rankOf('FUL', ful.own.phase) < rankOf('FUL', 'RELEASED'), 'STEP_NOT_LEGAL'))
    );
  };

export const aWeekAfterDelivery: Need<'PKG'> = ({ own, time }) =>
  when(time - own.moved < 7 * DAY, 'TOO_EARLY');
