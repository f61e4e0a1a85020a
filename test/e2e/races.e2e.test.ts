import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { isDisagreement } from '@yaoji/api/ledger/errors';
import { proposeBatch, VALID } from '@yaoji/api/ledger/submit';
import { readState } from '@yaoji/api/ledger/view';
import { at as keyOf, canonical, toBase64url, type Log } from '@yaoji/chaincode/core';
import { ApiError, OrganisationClient } from '@yaoji/scripts/client';
import type { Acknowledged } from '@yaoji/scripts/soak/load';
import { contractFolder, type LedgerKind } from '@yaoji/scripts/instance';
import { endsAsTold } from '../support/afterwards.ts';
import { PROVIDERS, type LedgerUnderTest, type Provider } from '../support/ledger-under-test.ts';
import {
  enrol,
  randomKey,
  receiptOf,
  serveService,
  startPartsOn,
  Telling,
  until,
  withDevice,
  type Difference,
  type Said,
  type ServedService,
  type Started,
  type TestStation,
} from '../support/service.ts';

/**
 * Of each race: this many in a run of all tests. RACES=200 is the long run on the local ledger; on a real network, where each
 * transaction takes several times as long, FABRIC_RACES=200 is.
 */
const ROUNDS_ON: Readonly<Record<LedgerKind, number>> = {
  local: Number(process.env['RACES'] ?? 20),
  fabric: Number(process.env['FABRIC_RACES'] ?? 10),
};
/** Rounds that run at the same time. */
const TOGETHER = 50;
const [HOSPITAL, FIRST, SECOND, COURIER] = [
  'HospitalMSP',
  'DecoctionMSP',
  'SecondDecoctionMSP',
  'CourierMSP',
] as const;

const ORGANISATIONS = [
  'HospitalMSP:hospital',
  'DecoctionMSP:decoction',
  'SecondDecoctionMSP:decoction',
  'CourierMSP:courier',
  'RegulatorMSP:regulator',
].join(',');

for (const provider of PROVIDERS)
  describe(`${provider.name}: races, time after time,`, function () {
    races.call(this, provider);
  });

function races(this: Mocha.Suite, { kind, needed, start }: Provider): void {
  this.timeout(300_000);
  const ROUNDS = ROUNDS_ON[kind];
  let on: LedgerUnderTest;
  let parts: Started;
  before(async function () {
    await needed(this);
    on = await start({ chaincode: contractFolder(), organisations: ORGANISATIONS });
    parts = await startPartsOn({ profile: on.profilePath() });
  });
  after(async () => {
    await parts?.stop();
    await on?.stop();
  });

  /** How often each outcome came about. */
  const tally = (outcomes: readonly string[]): Record<string, number> => {
    const counts: Record<string, number> = {};
    for (const outcome of outcomes) counts[outcome] = (counts[outcome] ?? 0) + 1;
    return counts;
  };
  const report = (what: string, outcomes: readonly string[], begun: number): void =>
    void process.stdout.write(
      `\n  ${what}: ${JSON.stringify(tally(outcomes))}, ${((Date.now() - begun) / 1000).toFixed(1)} s`,
    );
  /** The numbers in a row: which side is sent first changes with them. */
  const turned = <T>(round: number, sides: readonly [T, T]): readonly [T, T] =>
    round % 2 ? [sides[1], sides[0]] : sides;
  const newRoom = (org: string): Promise<TestStation> =>
    enrol(parts.pipeline(), parts.principal(org, 'registrar'), `room-${randomKey()}`, ['PRESCRIBER']);

  /** A prescription that both centres may accept, and what each of them says of it. */
  interface Wanted {
    readonly telling: Telling;
    readonly routed: readonly Said[];
    readonly accept: () => readonly [Said, Said];
  }
  function wanted(): Wanted {
    const telling = new Telling(parts);
    const by = parts.stations['second-reception']!;
    return {
      telling,
      routed: telling.routed([FIRST, SECOND]),
      accept: () => [
        telling.say('RX_ACCEPTED'),
        telling.say('RX_ACCEPTED', { by, subject: randomKey(), payload: { fulfilmentNo: 2 } }),
      ],
    };
  }

  /** Boxes of one fulfilment that are ready to be handed over: how they came to that, and both sides of the handover. */
  interface Boxes {
    readonly telling: Telling;
    readonly story: readonly Said[];
    readonly boxes: readonly { readonly giver: () => Said; readonly taker: () => Said }[];
  }
  function boxes(): Boxes {
    const telling = new Telling(parts);
    // 7 doses of 4 bags, a bag in each box.
    const all = Array.from({ length: 28 }, () => ({
      subject: randomKey(),
      token: toBase64url(randomBytes(32)),
      handover: randomKey(),
    }));
    const changes: Readonly<Record<string, readonly Difference[]>> = {
      RX_ISSUED: [{ payload: { bagsPerDose: 4 } }],
      PACKED: [
        { payload: { bagMl: 100, packages: all.map(({ subject }) => ({ package: subject, bags: 1 })) } },
      ],
      LABELLED: all.map(({ subject, token }) => ({ subject, payload: { token, bags: 1 } })),
      RELEASED: [{ payload: { packageCount: all.length } }],
    };
    const nth: Record<string, number> = {};
    const story = telling.told
      .slice(
        0,
        telling.told.findIndex(({ statement }) => statement.step === 'HANDED_OVER'),
      )
      .flatMap(({ statement: { step } }) => {
        const place = (nth[step] = (nth[step] ?? 0) + 1);
        return (changes[step] ?? [{}]).map((change) => telling.say(step, change, place));
      });
    return {
      telling,
      story,
      boxes: all.map(({ subject, handover }) => ({
        giver: () => telling.say('HANDED_OVER', { subject, payload: { handover, bags: 1 } }),
        taker: () => telling.say('COURIER_ACCEPTED', { subject, payload: { handover, bags: 1 } }),
      })),
    };
  }

  describe('through the API of two services over one store:', () => {
    let services: readonly [ServedService, ServedService];
    const told: Acknowledged[] = [];
    before(async () => {
      services = [await serveService(parts), await serveService(parts)];
    });
    after(() => Promise.all(services.map((served) => served.stop())));

    const note = (
      { org, station, n, step, subject, item }: Said,
      expected: Acknowledged['expected'] = 'settled',
    ): void => {
      const line = 'entry' in item ? canonical(item['entry']) : undefined;
      told.push({ org, station, n, step, subject, line, expected, sent: 0, answered: 0, receipt: undefined });
    };
    /** Says it over a connection of its own, and gives what is answered. */
    async function say({ org, item }: Said, through: ServedService): Promise<string> {
      try {
        const receipt = await new OrganisationClient(through.access.url, through.of(org)).record(item);
        return receipt.outcome;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        return error.problem.code ?? String(error.status);
      }
    }
    const both = (round: number, sides: readonly [Said, Said]): Promise<[string, string]> =>
      Promise.all([say(sides[0], services[round % 2]!), say(sides[1], services[(round + 1) % 2]!)]);
    /** Says what must be there before, as its organisations would. */
    async function given(said: readonly Said[]): Promise<void> {
      for (let from = 0; from < said.length;) {
        const { org } = said[from]!;
        let to = from;
        while (to < said.length && to < from + 400 && said[to]!.org === org) to++;
        const run = said.slice(from, to);
        const answers = await services[0].running.service.receive(
          parts.principal(org),
          run.map(({ item }) => item),
        );
        for (const [i, { receipt, rejection }] of answers.entries())
          if (!receipt || receipt.outcome === 'refused')
            throw new Error(`${run[i]!.step}: ${JSON.stringify(receipt ?? rejection)}`);
        for (const one of run) note(one);
        from = to;
      }
    }
    /** What became of it in the end: waits for the verdict where the answer could not. */
    const verdictOf = async (said: Said): Promise<string> => {
      const receipt = await receiptOf(parts, said);
      return receipt?.code ?? receipt?.outcome ?? 'not stored';
    };
    const settledAll = (): Promise<void> => endsAsTold(parts.pool, parts.pipeline().ledger, told, 60_000);
    async function rounds(one: (round: number) => Promise<void>): Promise<void> {
      for (let from = 0; from < ROUNDS; from += TOGETHER)
        await Promise.all(Array.from({ length: Math.min(TOGETHER, ROUNDS - from) }, (_, i) => one(from + i)));
    }
    /** Sides of which some must win, by what was answered at once and by what stands in the end. */
    async function race(
      what: string,
      sides: readonly (readonly [Said, Said])[],
      expected: readonly string[],
    ): Promise<void> {
      const begun = Date.now();
      const answered: [string, string][] = [];
      await rounds(async (round) => {
        const [one, other] = turned(round, sides[round]!);
        const answers = await both(round, [one, other]);
        answered[round] = round % 2 ? [answers[1], answers[0]] : answers;
      });
      for (const side of sides.flat()) note(side, 'either');
      await settledAll();
      const outcomes: string[] = [];
      for (const [i, [one, other]] of sides.entries()) {
        const verdicts = [await verdictOf(one), await verdictOf(other)];
        for (const [k, answer] of answered[i]!.entries())
          if (answer !== 'pending' && answer !== 'held') expect(answer).to.equal(verdicts[k]);
        outcomes.push(verdicts.join(' '));
      }
      report(what, outcomes, begun);
      expect(Object.keys(tally(outcomes))).to.satisfy((found: string[]) =>
        found.every((outcome) => expected.includes(outcome)),
      );
      expect(outcomes).to.have.length(ROUNDS);
    }

    it('two centres accept one prescription, and one of them has it', async () => {
      const all = Array.from({ length: ROUNDS }, wanted);
      await given(all.flatMap(({ routed }) => routed));
      await race(
        'API, accept : accept',
        all.map(({ accept }) => accept()),
        ['settled PRESCRIPTION_USED', 'PRESCRIPTION_USED settled'],
      );
    });

    it('a prescription is revoked while a centre accepts it, and one of the two holds', async () => {
      const all = Array.from({ length: ROUNDS }, wanted);
      await given(all.flatMap(({ routed }) => routed));
      await race(
        'API, revoke : accept',
        all.map(({ telling, accept }, i) => [telling.say('RX_REVOKED'), accept()[i % 2]!]),
        ['settled PRESCRIPTION_REVOKED', 'TOO_LATE_ACCEPTED settled'],
      );
    });

    it('both sides of a handover come at once, and custody passes, giver first', async () => {
      const all = Array.from({ length: Math.ceil(ROUNDS / 28) }, boxes);
      for (const { telling } of all) await withDevice(parts.pipeline(), parts, telling);
      await Promise.all(all.map(({ story }) => given(story)));
      const sides = all.flatMap((one) => one.boxes).slice(0, ROUNDS);
      await race(
        'API, giver : taker',
        sides.map(({ giver, taker }) => [giver(), taker()]),
        ['settled settled'],
      );
    });

    it('one event is sent twice over two connections, and is there once', async () => {
      const begun = Date.now();
      const registrar = parts.principal(HOSPITAL, 'registrar');
      const hosted = await enrol(parts.pipeline(), registrar, `his-${randomKey()}`, ['PRESCRIBER'], true);
      const sent: Said[] = [];
      const answers: string[] = [];
      await rounds(async (round) => {
        const said = new Telling(parts).say('RX_ISSUED', round % 2 ? { by: hosted } : {});
        sent.push(said);
        answers.push(
          (await both(round, [said, said])).map((one) => one.replace('settled', 'pending')).join(' '),
        );
      });
      for (const said of sent) note(said);
      await settledAll();
      report('API, the same event twice', answers, begun);
      expect(tally(answers)).to.deep.equal({ 'pending pending': ROUNDS });
    });

    it('two processes speak for one station under one number, and one of them is told to take another', async () => {
      const begun = Date.now();
      const station = await newRoom(HOSPITAL);
      const outcomes: string[] = [];
      await rounds(async (round) => {
        const one = new Telling(parts).say('RX_ISSUED', { by: station });
        const other = new Telling(parts).say('RX_ISSUED', { by: station, n: one.n });
        const answers = await both(round, [one, other]);
        note(answers[0] === 'N_CONFLICT' ? other : one);
        const loser = answers.indexOf('N_CONFLICT');
        outcomes.push(
          [...answers]
            .map((answer) => answer.replace('settled', 'pending'))
            .sort()
            .join(' '),
        );
        const again = new Telling(parts).say('RX_ISSUED', { by: station });
        expect(await say(again, services[loser]!)).to.be.oneOf(['pending', 'settled']);
        note(again);
      });
      await settledAll();
      report('API, one number from two processes', outcomes, begun);
      expect(tally(outcomes)).to.deep.equal({ 'N_CONFLICT pending': ROUNDS });
    });
  });

  // From here on no service runs: what is written past it would stop its logs.
  describe('straight at the ledger, from two gateways:', () => {
    let gateways: readonly [Ledger, Ledger];
    before(() => {
      gateways = [connectLedger(parts.profile), connectLedger(parts.profile)];
    });
    after(() => gateways.forEach((gateway) => gateway.close()));

    const logOf = async (ledger: Ledger, org: string): Promise<Log | undefined> => {
      const text = (await readState(ledger, org, [keyOf.log(org)])).get(keyOf.log(org));
      return text === undefined ? undefined : (JSON.parse(text) as Log);
    };
    const overtaken: number[] = [];
    /** Writes a batch, anew where another was faster, and gives each entry's verdict. `meet`: before the first is ordered. */
    async function write(
      ledger: Ledger,
      org: string,
      said: readonly Said[],
      meet?: () => Promise<void>,
    ): Promise<string[]> {
      const lines = said.map(({ item }) => canonical(item['entry']!));
      for (const end = Date.now() + 30_000; Date.now() < end;) {
        const after = (await logOf(ledger, org))?.batch ?? 0;
        const endorsed = await proposeBatch(ledger, org, after, lines)
          .endorse()
          .catch((error: unknown) => {
            if (isDisagreement(error)) return undefined;
            throw error;
          });
        if (!endorsed || endorsed.answer.stale !== undefined) {
          // Peers lag one another, or the one that was asked lags behind those that judged.
          await sleep(20);
          continue;
        }
        await meet?.();
        meet = undefined;
        const code = await endorsed.submit();
        if (code !== VALID) {
          overtaken.push(code);
          continue;
        }
        const verdicts = said.map(() => 'accepted');
        for (const { i, code: refusal } of endorsed.answer.refused) verdicts[i] = refusal;
        return verdicts;
      }
      throw new Error('it never went in');
    }
    async function given(said: readonly Said[]): Promise<void> {
      for (let from = 0; from < said.length;) {
        const { org } = said[from]!;
        let to = from;
        while (to < said.length && to < from + 900 && said[to]!.org === org) to++;
        const verdicts = await write(gateways[0], org, said.slice(from, to));
        expect(tally(verdicts)).to.deep.equal({ accepted: to - from });
        from = to;
      }
    }
    /** Resolves for both when both have come. */
    function meeting(): () => Promise<void> {
      let come = 0;
      let open = (): void => {};
      const met = new Promise<void>((resolve) => (open = resolve));
      return () => {
        if (++come === 2) open();
        return met;
      };
    }
    /** Both are endorsed before either is ordered, in three of four rounds; in the fourth each goes as fast as it can. */
    async function race(
      what: string,
      sides: readonly (() => readonly [Said, Said])[],
      then?: (verdicts: readonly [string, string], round: number) => Promise<void>,
    ): Promise<Record<string, number>> {
      const begun = Date.now();
      const orgs = [HOSPITAL, FIRST, SECOND, COURIER];
      const sizes = await Promise.all(orgs.map(async (org) => (await logOf(gateways[0], org))?.size ?? 0));
      overtaken.length = 0;
      const outcomes: string[] = [];
      let accepted = 0;
      for (const [round, make] of sides.entries()) {
        const pair = make();
        const meet = round % 4 === 3 ? undefined : meeting();
        const order = turned(round, [0, 1]);
        const verdicts: [string, string] = ['', ''];
        await Promise.all(
          order.map(async (k) => {
            [verdicts[k]] = (await write(gateways[k]!, pair[k]!.org, [pair[k]!], meet)) as [string];
          }),
        );
        outcomes.push(verdicts.join(' '));
        accepted += verdicts.filter((verdict) => verdict === 'accepted').length;
        await then?.(verdicts, round);
      }
      report(`ledger, ${what} (${overtaken.length} overtaken)`, outcomes, begun);
      const now = await Promise.all(orgs.map(async (org) => (await logOf(gateways[1], org))?.size ?? 0));
      if (!then) expect(sum(now) - sum(sizes), 'what the logs grew by').to.equal(accepted);
      // A peer's answer to reads that another transaction overtook.
      expect(overtaken.filter((code) => code !== 11)).to.deep.equal([]);
      return tally(outcomes);
    }
    const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);

    it('two centres accept one prescription, and one of them has it', async () => {
      const all = Array.from({ length: ROUNDS }, wanted);
      await given(all.flatMap(({ routed }) => routed));
      const found = await race(
        'accept : accept',
        all.map(({ accept }) => accept),
      );
      const {
        'accepted PRESCRIPTION_USED': first = 0,
        'PRESCRIPTION_USED accepted': second = 0,
        ...others
      } = found;
      expect(others).to.deep.equal({});
      expect(first + second).to.equal(ROUNDS);
      const keys = all.map(({ telling }) => keyOf.subject(telling.keys.prescription));
      // The hospital's peer has not confirmed any of it to us.
      await until('each is used once', async () => {
        const states = await readState(gateways[0], HOSPITAL, keys);
        return keys.every((key) => states.get(key)?.includes('"uses":1'));
      });
    });

    it('a prescription is revoked while a centre accepts it, and one of the two holds', async () => {
      const all = Array.from({ length: ROUNDS }, wanted);
      await given(all.flatMap(({ routed }) => routed));
      const found = await race(
        'revoke : accept',
        all.map(
          ({ telling, accept }, i) =>
            () =>
              [telling.say('RX_REVOKED'), accept()[i % 2]!] as const,
        ),
      );
      const {
        'accepted PRESCRIPTION_REVOKED': revoked = 0,
        'TOO_LATE_ACCEPTED accepted': accepted = 0,
        ...others
      } = found;
      expect(others).to.deep.equal({});
      expect(revoked + accepted).to.equal(ROUNDS);
    });

    it('both sides of a handover come at once, and custody passes once, after the giver’s', async () => {
      const all = Array.from({ length: Math.ceil(ROUNDS / 28) }, boxes);
      for (const { telling, story } of all) {
        await withDevice(parts.pipeline(), parts, telling);
        await given(story);
      }
      const sides = all.flatMap((one) => one.boxes).slice(0, ROUNDS);
      const found = await race(
        'giver : taker',
        sides.map(
          ({ giver, taker }) =>
            () =>
              [giver(), taker()] as const,
        ),
        async ([giver, taker], round) => {
          expect(giver).to.equal('accepted');
          // Judged before the giver's, it was early: its number is spent, and the courier says it again.
          const again = await write(gateways[1], COURIER, [sides[round]!.taker()]);
          expect(again).to.deep.equal([taker === 'accepted' ? 'STEP_NOT_LEGAL' : 'accepted']);
        },
      );
      const { 'accepted accepted': passed = 0, 'accepted STEP_NOT_LEGAL': early = 0, ...others } = found;
      expect(others).to.deep.equal({});
      expect(passed + early).to.equal(ROUNDS);
    });

    it('one event comes twice, and is there once', async () => {
      const found = await race(
        'the same event twice',
        Array.from({ length: ROUNDS }, () => () => {
          const said = new Telling(parts).say('RX_ISSUED');
          return [said, said] as const;
        }),
      );
      const { 'accepted N_USED': first = 0, 'N_USED accepted': second = 0, ...others } = found;
      expect(others).to.deep.equal({});
      expect(first + second).to.equal(ROUNDS);
    });

    it('one station speaks twice under one number, and one of the two is taken', async () => {
      const station = await newRoom(HOSPITAL);
      const found = await race(
        'one number from two processes',
        Array.from({ length: ROUNDS }, () => () => {
          const said = new Telling(parts).say('RX_ISSUED', { by: station });
          return [said, new Telling(parts).say('RX_ISSUED', { by: station, n: said.n })] as const;
        }),
      );
      const { 'accepted N_USED': first = 0, 'N_USED accepted': second = 0, ...others } = found;
      expect(others).to.deep.equal({});
      expect(first + second).to.equal(ROUNDS);
    });
  });
}
