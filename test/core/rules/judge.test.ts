import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import {
  at as keyOf,
  DEFAULT_RULE_SET,
  judge,
  openFindings,
  parseMinute,
  REFUSALS,
  ROLES,
  RULE_SETS,
  ruleSetHash,
  RULES,
  type Entry,
  type Member,
  type Scene,
  type State,
  type Subject,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  changed,
  DEVICES,
  keyFrom,
  ledgerAfter,
  reference,
  STATIONS,
  TestLedger,
  type Act,
} from '../../support/consortium.ts';
import {
  closed,
  collected,
  concession,
  deviation,
  dissolved,
  handedOn,
  prescribed,
  revoked,
  second,
  takenOn,
} from './variants.ts';

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    for (const member of Object.values(value)) deepFreeze(member);
    Object.freeze(value);
  }
  return value;
}

function sceneOf(ledger: TestLedger, entry: Entry): Scene {
  const state = (key: string): State | undefined =>
    deepFreeze(ledger.get<Subject>(keyOf.subject(key))?.state);
  return {
    subject: state(entry.subject),
    links: deepFreeze((entry.links ?? []).map(state)),
    kindOf: (org) => ledger.get<Member>(keyOf.member(org))?.kind,
    tokenUsed: false,
  };
}

/** Everything that anybody might try, most of it at the wrong time. */
const POOL: Act[] = (() => {
  const acts = [
    ...reference(),
    ...prescribed(reference(), { mode: 'SELF', maxUses: 2, first: false, wrap: false, separate: false }),
    deviation('2026-03-10T04:30Z'),
    concession('2026-03-10T04:31Z'),
    revoked('2026-03-10T01:06Z'),
    dissolved('2026-03-10T03:09Z'),
    closed(7 * 1440),
    handedOn('2026-03-10T13:00Z'),
    takenOn('2026-03-10T13:01Z'),
    collected('2026-03-10T06:00Z'),
    ...reference().map((act) => changed(act, { payload: { run: 'R2' }, later: 3 })),
    ...reference().map((act) =>
      changed(act, act.statement.links ? { links: [DEVICES[1]!] } : { later: -30 }),
    ),
  ];
  return [...acts, ...second(acts)];
})();

describe('judge', () => {
  it('changes none of its arguments', async () => {
    for (const [k, act] of reference().entries()) {
      const ledger = await ledgerAfter(reference().slice(0, k));
      const { entry } = ledger.entryOf(act);
      const scene = sceneOf(ledger, deepFreeze(entry));
      const rules = deepFreeze(structuredClone(RULE_SETS.get(DEFAULT_RULE_SET)!));
      const judged = judge(entry, scene, parseMinute(entry.time), rules);
      expect(judged.refused, entry.step).to.equal(undefined);
      expect(judge(entry, scene, parseMinute(entry.time), rules), entry.step).to.deep.equal(judged);
    }
  });

  it('shares nothing with its arguments: a later change to its answer does not reach back', async () => {
    const act = reference()[3]!;
    const ledger = await ledgerAfter(reference().slice(0, 3));
    const { entry } = ledger.entryOf(act);
    const judged = judge(
      entry,
      sceneOf(ledger, entry),
      parseMinute(entry.time),
      RULE_SETS.get(DEFAULT_RULE_SET)!,
    );
    if (judged.refused) throw new Error(judged.refused);
    (judged.subject as State<'FUL'>).own.plan.first = 'changed' as never;
    expect(entry.open['plan']).to.include({ first: true });
  });

  it('leaves the questions open whose answers it cannot see', async () => {
    for (const [k, act] of reference().entries()) {
      const ledger = await ledgerAfter(reference().slice(0, k));
      const { entry } = ledger.entryOf(act);
      const scene = sceneOf(ledger, entry);
      const { linked: _, ...subject } = scene.subject ?? ({} as State);
      const blind: Scene = {
        subject: scene.subject && subject,
        links: scene.links.map(() => 'unseen'),
        kindOf: () => 'unseen',
        tokenUsed: false,
      };
      const full = judge(entry, scene, parseMinute(entry.time), RULE_SETS.get(DEFAULT_RULE_SET)!);
      const found = judge(entry, blind, parseMinute(entry.time), RULE_SETS.get(DEFAULT_RULE_SET)!);
      if (full.refused || found.refused) throw new Error(`${entry.step}: ${full.refused ?? found.refused}`);
      expect(found.subject.own, entry.step).to.deep.equal(full.subject.own);
    }
  });

  it('never throws, and keeps what must hold, whatever is tried in whatever order', async function () {
    this.timeout(20_000);
    const story = reference();
    // Mostly the story, with steps left out and others put in: pure noise would hardly get beyond its first steps.
    const told = fc.array(
      fc.record({ skip: fc.boolean(), noise: fc.array(fc.nat(POOL.length - 1), { maxLength: 2 }) }),
      { minLength: 20, maxLength: story.length },
    );
    await fc.assert(
      fc.asyncProperty(fc.nat(story.length - 20), told, async (k, tries) => {
        const ledger = await ledgerAfter(story.slice(0, k));
        const done: Entry[] = ledger.kept.map(({ record }) => record.entry);
        const acts = tries.flatMap(({ skip, noise }, i) => [
          ...(skip && i % 5 === 0 ? [] : story.slice(k + i, k + i + 1)),
          ...noise.map((place) => POOL[place]!),
        ]);
        for (const act of acts) {
          const verdict = await ledger.play({ ...act, at: parseMinute('2026-03-12T01:00Z') });
          if (verdict.accepted) done.push(verdict.accepted.entry);
        }
        holds(done, ledger);
      }),
      { numRuns: 60 },
    );
  });
});

/** The invariants of the process reference (6.5) that the ledger judges, asked of what it accepted. */
function holds(done: readonly Entry[], ledger: TestLedger): void {
  const of = (step: string): Entry[] => done.filter((entry) => entry.step === step);
  // 1: no prescription is used more often than it allows.
  for (const issued of of('RX_ISSUED')) {
    const uses = of('RX_ACCEPTED').filter(({ links }) => links?.includes(issued.subject));
    expect(uses.length).to.be.at.most(issued.open['maxUses'] as number);
    // 2: revoked or accepted, never both while a use counts.
    if (uses.length)
      expect(of('RX_REVOKED').filter(({ subject }) => subject === issued.subject)).to.have.length(0);
  }
  // 3: only the member that opened the trail took its own steps.
  for (const { subject, org } of of('RX_ACCEPTED'))
    for (const entry of done) if (entry.subject === subject) expect(entry.org).to.equal(org);
  // 3: custody passed with equal words of both.
  for (const taken of of('COURIER_ACCEPTED')) {
    const given = of('HANDED_OVER').find(({ open }) => open['handover'] === taken.open['handover'])!;
    expect([given.open['to'], given.open['bags'], given.open['sealCommit']]).to.deep.equal([
      taken.org,
      taken.open['bags'],
      taken.open['sealCommit'],
    ]);
  }
  // 4: different persons.
  let dispenser: unknown;
  let packer: unknown;
  for (const { step, open } of done) {
    if (step === 'HERBS_DISPENSED') dispenser = open['actor'];
    if (step === 'PACKED') packer = open['actor'];
    if (step === 'HERBS_CHECKED') expect(open['actor']).not.to.equal(dispenser);
    if (step === 'QC_DONE') expect(open['actor']).not.to.equal(packer);
  }
  // 5: nothing was released with an open deviation.
  const open = new Map<string, number>();
  for (const { step, subject, open: fields } of done) {
    if (step === 'DEVIATION_RECORDED') open.set(subject, 1);
    if (step === 'QC_DONE' && fields['result'] === 'CONCESSION') open.delete(subject);
    if (step === 'RELEASED') expect(open.has(subject)).to.equal(false);
  }
  // 7: a device holds one run, and is clean when a run begins on it.
  for (const key of DEVICES) {
    let held: string | undefined;
    let dirty = false;
    for (const { step, subject, links, open: fields } of done) {
      if (step === 'EQUIP_CLEANED' && subject === key) {
        expect([held, dirty]).to.deep.equal([undefined, true]);
        dirty = false;
      }
      if (!links?.includes(key)) continue;
      if (step === 'DECOCT_STARTED') {
        const run = `${subject} ${fields['run'] as string}`;
        expect(fields['stage'] === 'FIRST' ? [held, dirty] : [held]).to.deep.equal(
          fields['stage'] === 'FIRST' ? [undefined, false] : [run],
        );
        held = run;
      }
      const state = step === 'DECOCT_ENDED' || step === 'MIXED';
      const plan = done.find((entry) => entry.step === 'RX_ACCEPTED' && entry.subject === subject)?.open[
        'plan'
      ] as { second: boolean };
      if (state && (step === 'MIXED' || fields['stage'] === (plan.second ? 'SECOND' : 'FIRST'))) {
        held = undefined;
        dirty = true;
      }
    }
  }
  // 9: every trail is numbered without a gap.
  for (const key of new Set(done.map(({ subject }) => subject)))
    expect(ledger.get<Subject>(keyOf.subject(key))!.seq).to.equal(
      done.filter(({ subject }) => subject === key).length,
    );
}

describe('the table of rules', () => {
  it('gives each step to roles of the kind of member whose step it is', () => {
    for (const [step, { roles }] of Object.entries(RULES)) expect(roles.length, step).to.be.greaterThan(0);
    expect(new Set(Object.values(ROLES))).to.deep.equal(
      new Set(['hospital', 'decoction', 'courier', 'regulator']),
    );
  });

  it('says in both languages what a step is, and why one was refused', () => {
    for (const [step, { zh, en }] of Object.entries(RULES)) {
      expect(zh, step).to.match(/\p{Script=Han}/u);
      expect(en, step).to.match(/^[A-Z]/);
    }
    for (const [code, sentence] of Object.entries(REFUSALS)) expect(sentence, code).to.match(/^[a-z]/);
  });

  it('keeps no field both open and hidden', () => {
    for (const [step, { openFields, sealed }] of Object.entries(RULES))
      expect(
        Object.keys(sealed).filter((name) => openFields.has(name)),
        step,
      ).to.deep.equal([]);
  });

  it('never shows a herb, a dose, a department or a person to whoever holds the box', () => {
    const secret = [
      'items',
      'herbRefs',
      'doses',
      'totalMilligrams',
      'weightMilligrams',
      'staff',
      'approverStaff',
      'useRoute',
      'hasToxic',
      'patientBand',
      'decoctClass',
      'basketId',
      'deviceId',
      'reason',
      'photo',
      'receiverKind',
      'waybill',
      'hubCode',
    ];
    for (const [step, { openFields, sealed }] of Object.entries(RULES))
      for (const name of secret) {
        if (step === 'QC_DONE' && name === 'items') continue;
        expect(openFields.has(name), `${step}.${name}`).to.equal(false);
        expect(sealed[name]?.readers ?? [], `${step}.${name}`).not.to.include('anyone');
      }
  });

  it("lets the reference story's payloads pass as a whole", () => {
    for (const { by, statement } of reference()) {
      const rule = RULES[statement.step]!;
      expect(rule.payloadSchema.safeParse(statement.payload).success, statement.step).to.equal(true);
      expect(rule.roles.some((role) => STATIONS[by].roles.includes(role))).to.equal(true);
    }
  });
});

describe('rule sets', () => {
  // A published set never changes: a new one gets a new id, and a new line here.
  const PUBLISHED = { 'national-2009.1': 'RcTUpcpsFb57_jCAD2bOAMfxeK8dAAZKA0cr-9Zybxw' };

  it('are pinned by their hashes', () => {
    const found = Object.fromEntries(
      [...RULE_SETS].map(([id, set]) => [id, ruleSetHash(set, nodeSuite.sha256)]),
    );
    expect(found).to.deep.equal(PUBLISHED);
    for (const [id, set] of RULE_SETS) expect(set.id).to.equal(id);
  });

  it('are hashed as canonical JSON', () => {
    const set = RULE_SETS.get(DEFAULT_RULE_SET)!;
    const sorted = (value: unknown): unknown =>
      typeof value === 'object' && value !== null
        ? Object.fromEntries(
            Object.entries(value)
              .toSorted(([a], [b]) => (a < b ? -1 : 1))
              .map(([name, member]) => [name, sorted(member)]),
          )
        : value;
    expect(ruleSetHash(set, nodeSuite.sha256)).to.equal(
      createHash('sha256')
        .update(JSON.stringify(sorted(set)))
        .digest('base64url'),
    );
  });

  it('find nothing in the reference story, and each thing once, sorted', async () => {
    const ledger = await ledgerAfter(reference());
    const { own } = ledger.get<Subject>(keyOf.subject(reference()[3]!.statement.subject))!
      .state as State<'FUL'>;
    const rules = RULE_SETS.get(DEFAULT_RULE_SET)!;
    expect(openFindings(own, rules)).to.deep.equal([]);
    const bare = {
      device: keyFrom('d'),
      held: false,
      moved: 0,
      first: { is: 'STRAINED', started: 0 },
      added: {},
    } as const;
    const all = { first: true, late: true, wrap: true, separate: true, dissolve: true, second: true };
    expect(
      openFindings(
        { ...own, plan: all, runs: { a: bare, b: bare }, separate: { started: 0 }, dissolved: false },
        rules,
      ),
    ).to.deep.equal([
      'NO_BOIL_MARK',
      'PLAN_DISSOLVE',
      'PLAN_FIRST',
      'PLAN_LATE',
      'PLAN_SECOND',
      'PLAN_SEPARATE',
      'PLAN_WRAP',
    ]);
  });
});
