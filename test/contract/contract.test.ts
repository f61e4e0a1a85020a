import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import {
  append,
  at as keyOf,
  canonical,
  DEFAULT_RULE_SET,
  EMPTY,
  leafHash,
  MAX_BATCH,
  parseCheckpoint,
  printMinute,
  recordBytes,
  root,
  toBase64url,
  tokenFrom,
  type Answer,
  type Entry,
  type Frontier,
  type Log,
  type Station,
  type Subject,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { latestDay, referenceStory, type Told } from '@yaoji/scripts/reference-story';
import {
  changed,
  MEMBERS,
  siteOf,
  STATIONS,
  STORY,
  TestLedger,
  type Act,
  type Change,
  type TestStationName,
} from '../support/consortium.ts';
import {
  CONTRACT_LEDGERS,
  describedTransactions,
  type Caller,
  type ContractLedger,
  type ContractProvider,
} from './ledgers.ts';

// The contract's own behaviour, by itself, on the local ledger and on a real network. Everywhere each transaction is simulated
// by every peer, and they must agree. What can be seen only from inside stays in by-itself.test.ts, and says why.
//
// A ledger is started once for all of these tests: each begins where the one before has ended.

const ORGANISATIONS = ['HospitalMSP', 'CentreMSP', 'CourierMSP', 'RegulatorMSP', 'OtherCentreMSP'] as const;
const FOUNDERS = ORGANISATIONS.slice(0, 4);
/** It has a peer from the beginning and becomes a member of the consortium later. */
const STRANGER = 'OtherCentreMSP';

const admin = (org: string): Caller => ({ org, role: 'admin' });
const service = (org: string): Caller => ({ org, role: 'service' });
const names = (org: string) => ({ zh: org, en: org });
const memberOf = (org: string) => ({ org, kind: MEMBERS[org]!, ...names(org) });
const enrolment = (name: TestStationName) => {
  const { id, site, roles, key, hosted } = STATIONS[name];
  return { station: id, site, roles: [...roles], key, hosted };
};
const newKey = (): string => toBase64url(randomBytes(16));
const minutesFromNow = (minutes: number): string => printMinute(Math.floor(Date.now() / 60_000) + minutes);

/** A telling of the reference story that has just ended, about subjects of its own. */
function newStory() {
  const keys = { prescription: newKey(), fulfilment: newKey(), package: newKey(), device: newKey() };
  const told: readonly Told[] = referenceStory({
    ...STORY,
    keys,
    day: latestDay(Date.now()),
    token: tokenFrom(randomBytes(17)),
    handover: newKey(),
  });
  const the = (step: string, change: Change = {}): Act =>
    changed(
      told.find(({ statement }) => statement.step === step)!,
      change,
    );
  return { keys, told, the };
}

for (const provider of CONTRACT_LEDGERS)
  describe(`${provider.name}: the contract`, function () {
    contract.call(this, provider);
  });

function contract(this: Mocha.Suite, provider: ContractProvider): void {
  this.timeout(120_000);

  let ledger: ContractLedger;
  const signer = new TestLedger();
  /** what was submitted */
  const submitted = new Set<string>();
  /** what anybody can make of the accepted entries: logs by organisation, the last record of each subject */
  const logs = new Map<string, Frontier>();
  const heads = new Map<string, { seq: number; leaf: string }>();

  before(async function () {
    this.timeout(300_000);
    await provider.needed(this);
    const members = Object.fromEntries(ORGANISATIONS.map((org) => [org, MEMBERS[org]!]));
    ledger = await provider.start(members);
  });
  after(async function () {
    this.timeout(60_000);
    await ledger?.stop();
  });

  const submit = (name: string, caller: Caller, ...args: string[]) => {
    submitted.add(name);
    return ledger.submit(name, caller, ...args);
  };
  const refused = (name: string, caller: Caller, ...args: string[]): Promise<string> =>
    ledger.refused(name, caller, ...args);
  const writesOf = async (name: string, caller: Caller, ...args: string[]): Promise<readonly string[]> =>
    (await ledger.simulate(name, caller, ...args)).writes;
  const lastBatch = async (org: string): Promise<number> =>
    (await ledger.find<Log>(keyOf.log(org)))?.batch ?? 0;
  const get = async <T>(key: string): Promise<T> => {
    const found = await ledger.find<T>(key);
    if (found === undefined) throw new Error(`nothing stands under ${key}`);
    return found;
  };
  const entryOf = (act: Act): Entry => signer.entryOf(act).entry;

  /** Writes one batch of an organisation and gives a verdict for each line. */
  async function record(org: string, lines: readonly (Entry | string)[]): Promise<string[]> {
    const follows = await lastBatch(org);
    const texts = lines.map((line) => (typeof line === 'string' ? line : canonical(line)));
    const { answer: text, at } = await submit('RecordBatch', service(org), String(follows), texts.join('\n'));
    const answer = JSON.parse(text) as Answer;
    if (answer.stale !== undefined) throw new Error('stale');
    expect(answer.batch).to.equal(follows + 1);
    const verdicts = lines.map(() => 'accepted');
    for (const { i, code } of answer.refused) verdicts[i] = code;
    for (const [i, line] of lines.entries())
      if (verdicts[i] === 'accepted') append1(org, line as Entry, printMinute(at));
    const log = logs.get(org) ?? EMPTY;
    const checkpoint = parseCheckpoint(answer.checkpoint);
    expect([checkpoint.origin, checkpoint.size]).to.deep.equal([`${ledger.channel}/${org}`, log.size]);
    if (log.size > 0) expect(toBase64url(checkpoint.root)).to.equal(toBase64url(root(log, nodeSuite.sha256)));
    return verdicts;
  }
  function append1(org: string, entry: Entry, at: string): void {
    const log = logs.get(org) ?? EMPTY;
    const { seq, leaf: prev } = heads.get(entry.subject) ?? { seq: 0, leaf: '' };
    const made = recordBytes({ entry, seq: seq + 1, prev, index: log.size, at, rules: DEFAULT_RULE_SET });
    const leaf = leafHash(made, nodeSuite.sha256);
    logs.set(org, append(log, leaf, nodeSuite.sha256));
    heads.set(entry.subject, { seq: seq + 1, leaf: toBase64url(leaf) });
  }

  describe('as a registry', () => {
    const all = canonical(FOUNDERS.map(memberOf));

    it('names each founder once, by an id that entries can carry', async () => {
      const twice = [memberOf('CentreMSP'), { ...memberOf('CentreMSP'), kind: 'courier' }];
      expect(await refused('Found', admin('CentreMSP'), canonical(twice))).to.equal('ARGUMENT_BAD');
      const unsayable = [memberOf('CentreMSP'), { ...memberOf('CourierMSP'), org: 'a~b' }];
      expect(await refused('Found', admin('CentreMSP'), canonical(unsayable))).to.equal('ARGUMENT_BAD');
    });

    it('is founded once, by an administrator of a founder', async () => {
      expect(await refused('Found', service('RegulatorMSP'), all)).to.equal('ROLE_MISSING');
      expect(await refused('Found', admin(STRANGER), all)).to.equal('NOT_A_FOUNDER');
      for (const text of [
        '',
        '[]',
        '{}',
        canonical([{ ...memberOf('CentreMSP'), kind: 'pharmacy' }]),
        canonical([{ ...memberOf('CentreMSP'), more: 1 }]),
        ` ${all}`,
      ])
        expect(await refused('Found', admin('CentreMSP'), text), text).to.equal('ARGUMENT_BAD');
      await submit('Found', admin('RegulatorMSP'), all);
      expect(await refused('Found', admin('RegulatorMSP'), all)).to.equal('ALREADY_FOUNDED');
    });

    it('lets a member name its sites and their published rule sets, and change them', async () => {
      for (const org of FOUNDERS) {
        const site = { site: siteOf(org), ...names(org), rules: DEFAULT_RULE_SET };
        await submit('PutSite', admin(org), canonical(site));
      }
      const site = { site: 'CentreMSP-2', ...names('x'), rules: DEFAULT_RULE_SET };
      expect(await refused('PutSite', service('CentreMSP'), canonical(site))).to.equal('ROLE_MISSING');
      expect(await refused('PutSite', admin(STRANGER), canonical(site))).to.equal('MEMBER_UNKNOWN');
      const unpublished = canonical({ ...site, rules: 'national-2099.1' });
      expect(await refused('PutSite', admin('CentreMSP'), unpublished)).to.equal('RULES_UNKNOWN');
      const unsayable = canonical({ ...site, site: 'a~b' });
      expect(await refused('PutSite', admin('CentreMSP'), unsayable)).to.equal('ARGUMENT_BAD');
      await submit('PutSite', admin('CentreMSP'), canonical(site));
      await submit('PutSite', admin('CentreMSP'), canonical({ ...site, en: 'renamed' }));
      expect(await get(keyOf.site('CentreMSP', 'CentreMSP-2'))).to.include({ en: 'renamed' });
    });

    it("enrols stations of the caller's own kind and site, from its log's size on", async () => {
      for (const [name, { org }] of Object.entries(STATIONS))
        if (FOUNDERS.some((founder) => founder === org))
          await submit('EnrolStation', service(org), canonical(enrolment(name as TestStationName)));

      const station = { ...enrolment('packing'), station: 'packing-2' };
      const ask = (change: object, caller = service('CentreMSP')): Promise<string> =>
        refused('EnrolStation', caller, canonical({ ...station, ...change }));
      expect(await ask({}, admin('CentreMSP'))).to.equal('ROLE_MISSING');
      expect(await ask({}, service(STRANGER))).to.equal('MEMBER_UNKNOWN');
      expect(await ask({}, service('HospitalMSP'))).to.equal('ROLE_NOT_ALLOWED');
      expect(await ask({ roles: ['PACKING', 'COURIER'] })).to.equal('ROLE_NOT_ALLOWED');
      expect(await ask({ roles: [] })).to.equal('ARGUMENT_BAD');
      expect(await ask({ roles: ['BOSS'] })).to.equal('ARGUMENT_BAD');
      expect(await ask({ site: 'CentreMSP-9' })).to.equal('SITE_UNKNOWN');
      expect(await ask({ key: 'A'.repeat(122) })).to.equal('KEY_BAD');
      expect(await ask({ key: 'A' })).to.equal('ARGUMENT_BAD');
      expect(await ask({ enrolled: 0 })).to.equal('ARGUMENT_BAD');
      expect(await ask({ org: 'HospitalMSP' })).to.equal('ARGUMENT_BAD');
      expect(await ask({ station: 'a~b' })).to.equal('ARGUMENT_BAD');

      expect(await record('HospitalMSP', [entryOf(newStory().the('RX_ISSUED'))])).to.deep.equal(['accepted']);
      const late = { ...enrolment('connector'), station: 'connector-2' };
      await submit('EnrolStation', service('HospitalMSP'), canonical(late));
      expect((await get<Station>(keyOf.station('connector-2'))).enrolled).to.equal(1);
      expect(await writesOf('EnrolStation', service('HospitalMSP'), canonical(late)), 'again').to.deep.equal(
        [],
      );
      const otherwise = canonical({ ...late, hosted: true });
      expect(await refused('EnrolStation', service('HospitalMSP'), otherwise)).to.equal('STATION_EXISTS');
      expect(await ask({ station: 'connector' })).to.equal('STATION_EXISTS');
    });

    it('takes new members from a regulator only, and each once', async () => {
      const other = canonical(memberOf(STRANGER));
      expect(await refused('AddMember', admin('CentreMSP'), other)).to.equal('NOT_A_REGULATOR');
      expect(await refused('AddMember', service('RegulatorMSP'), other)).to.equal('ROLE_MISSING');
      expect(await refused('AddMember', admin(STRANGER), other)).to.equal('MEMBER_UNKNOWN');
      await submit('AddMember', admin('RegulatorMSP'), other);
      expect(await writesOf('AddMember', admin('RegulatorMSP'), other), 'again').to.deep.equal([]);
      const courier = canonical({ ...memberOf(STRANGER), kind: 'courier' });
      expect(await refused('AddMember', admin('RegulatorMSP'), courier)).to.equal('MEMBER_EXISTS');
    });

    it('registers devices of centres, idle and clean, and never over another subject', async () => {
      const device = newKey();
      const text = canonical({ device });
      expect(await refused('RegisterDevice', admin('CentreMSP'), text)).to.equal('ROLE_MISSING');
      expect(await refused('RegisterDevice', service('HospitalMSP'), text)).to.equal('NOT_A_CENTRE');
      const short = canonical({ device: 'short' });
      expect(await refused('RegisterDevice', service('CentreMSP'), short)).to.equal('ARGUMENT_BAD');
      await submit('RegisterDevice', service('CentreMSP'), text);
      expect(await writesOf('RegisterDevice', service('CentreMSP'), text), 'again').to.deep.equal([]);
      expect(await refused('RegisterDevice', service('OtherCentreMSP'), text)).to.equal('SUBJECT_EXISTS');
      const { the, keys } = newStory();
      await record('HospitalMSP', [entryOf(the('RX_ISSUED'))]);
      const used = canonical({ device: keys.prescription });
      expect(await refused('RegisterDevice', service('CentreMSP'), used)).to.equal('SUBJECT_EXISTS');
    });

    it('revokes a station once, for good, and only its own', async () => {
      const lost = { ...enrolment('phone'), station: 'lost-phone' };
      await submit('EnrolStation', service('CourierMSP'), canonical(lost));
      const ask = (station: string, caller: Caller): Promise<string> =>
        refused('RevokeStation', caller, station);
      expect(await ask('lost-phone', service('CentreMSP'))).to.equal('STATION_UNKNOWN');
      expect(await ask('nobody', service('CourierMSP'))).to.equal('STATION_UNKNOWN');
      expect(await ask('lost-phone', admin('CourierMSP'))).to.equal('ROLE_MISSING');
      await submit('RevokeStation', service('CourierMSP'), 'lost-phone');
      expect(await writesOf('RevokeStation', service('CourierMSP'), 'lost-phone'), 'again').to.deep.equal([]);
      expect(await refused('EnrolStation', service('CourierMSP'), canonical(lost))).to.equal(
        'STATION_EXISTS',
      );
    });
  });

  describe('as a referee', () => {
    it('accepts the whole story, a batch of each organisation after another, and shows where it led', async () => {
      const { told, keys } = newStory();
      await submit('RegisterDevice', service('CentreMSP'), canonical({ device: keys.device }));
      const batches = [
        told.filter(({ by }) => by === 'connector'),
        told.filter(({ by }) => !['connector', 'phone', 'page'].includes(by)),
        told.filter(({ by }) => by === 'phone'),
        told.filter(({ by }) => by === 'page'),
      ];
      for (const acts of batches) {
        const verdicts = await record(acts[0]!.statement.org, acts.map(entryOf));
        expect(verdicts).to.deep.equal(acts.map(() => 'accepted'));
      }
      const asked = canonical([keyOf.subject(keys.package), 'nothing', keyOf.log('CourierMSP')]);
      const { answer, writes } = await ledger.simulate('View', service('RegulatorMSP'), asked);
      submitted.add('View');
      expect(writes).to.deep.equal([]);
      const shown = JSON.parse(answer) as { [key: string]: unknown };
      expect(Object.keys(shown).toSorted()).to.deep.equal(
        [keyOf.log('CourierMSP'), keyOf.subject(keys.package)].toSorted(),
      );
      expect((shown[keyOf.subject(keys.package)] as Subject).state.own.phase).to.equal('DELIVERED');
      expect((shown[keyOf.log('CourierMSP')] as Log).size).to.equal(5);
    });

    it('gives each entry of a batch its own verdict: a bad one takes no other with it', async () => {
      const { the, keys } = newStory();
      const issued = entryOf(the('RX_ISSUED'));
      const again = entryOf(the('RX_ISSUED'));
      const reviewed = entryOf(the('RX_REVIEWED'));
      const foreign = entryOf(newStory().the('RX_ISSUED', { by: 'reception' }));
      const unknown = entryOf(newStory().the('RX_ISSUED', { by: 'other-connector' }));
      expect(
        await record('HospitalMSP', [
          issued,
          'not canonical',
          { ...reviewed, sig: issued.sig },
          reviewed,
          issued,
          again,
          foreign,
          unknown,
          entryOf(the('RX_ROUTED')),
        ]),
      ).to.deep.equal([
        'accepted',
        'ENTRY_MALFORMED',
        'SIGNATURE_BAD',
        'accepted',
        'N_USED',
        'SUBJECT_EXISTS',
        'STATION_FOREIGN',
        'STATION_UNKNOWN',
        'accepted',
      ]);
      const { state, seq } = await get<Subject>(keyOf.subject(keys.prescription));
      expect([state.own.phase, seq]).to.deep.equal(['ROUTED', 3]);
    });

    it('takes a number of a station once, and none that lies more than 1,024 behind its newest', async () => {
      const said = (n: number): Entry => entryOf(newStory().the('RX_ISSUED', { by: 'connector', n }));
      expect(await record('HospitalMSP', [said(3_000)])).to.deep.equal(['accepted']);
      // In another batch, so that it is the ledger that remembers.
      expect(
        await record('HospitalMSP', [said(3_000), said(1_976), said(1_977), said(2_999), said(1_977)]),
      ).to.deep.equal(['N_USED', 'N_TOO_OLD', 'accepted', 'accepted', 'N_USED']);
      expect(await record('HospitalMSP', [said(2_999), said(2_998)])).to.deep.equal(['N_USED', 'accepted']);
    });

    it('spends the number of an entry that it refuses', async () => {
      const illegal = newStory().the('RX_REVIEWED', { n: 3_001 });
      expect(await record('HospitalMSP', [entryOf(illegal)])).to.deep.equal(['SUBJECT_UNKNOWN']);
      expect(await record('HospitalMSP', [entryOf(illegal)])).to.deep.equal(['N_USED']);
    });

    it('refuses what a revoked station says', async () => {
      const { org } = STATIONS['decoctionRoom'];
      await submit('RevokeStation', service(org), STATIONS['decoctionRoom'].id);
      const soaking = newStory().the('SOAK_STARTED', { n: 2_000 });
      expect(await record(org, [entryOf(soaking)])).to.deep.equal(['STATION_REVOKED']);
    });

    it("holds the event's time against the transaction's", async () => {
      const at = (minutes: number): Entry =>
        entryOf(
          newStory().the('RX_ISSUED', {
            time: minutesFromNow(minutes),
            payload: { validUntil: minutesFromNow(minutes + 1_440) },
          }),
        );
      expect(
        await record('HospitalMSP', [at(7), at(3), at(0), at(-30 * 1_440 + 5), at(-30 * 1_440 - 5)]),
      ).to.deep.equal(['TIME_FUTURE', 'accepted', 'accepted', 'accepted', 'TIME_TOO_OLD']);
    });

    it('counts the uses of a prescription, whoever of two centres comes first', async () => {
      const { the, keys } = newStory();
      await submit(
        'PutSite',
        admin(STRANGER),
        canonical({ site: siteOf(STRANGER), ...names(STRANGER), rules: DEFAULT_RULE_SET }),
      );
      await submit('EnrolStation', service(STRANGER), canonical(enrolment('other-reception')));
      const routed = the('RX_ROUTED', { payload: { centres: ['CentreMSP', STRANGER] } });
      const steps = [the('RX_ISSUED'), the('RX_REVIEWED'), routed];
      expect(await record('HospitalMSP', steps.map(entryOf))).to.deep.equal(steps.map(() => 'accepted'));
      const accepting = the('RX_ACCEPTED', { by: 'other-reception', subject: newKey() });
      expect(await record(STRANGER, [entryOf(accepting)])).to.deep.equal(['accepted']);
      expect(await record('CentreMSP', [entryOf(the('RX_ACCEPTED'))])).to.deep.equal(['PRESCRIPTION_USED']);
      const { linked } = (await get<Subject>(keyOf.subject(keys.prescription))).state;
      expect(linked).to.deep.equal({ uses: 1 });
    });

    it('answers stale and writes nothing when a batch does not follow the last', async () => {
      const last = await lastBatch('CentreMSP');
      for (const after of [last - 1, last + 1, 7_000_000]) {
        const { answer, writes } = await ledger.simulate(
          'RecordBatch',
          service('CentreMSP'),
          String(after),
          '',
        );
        expect([answer, writes]).to.deep.equal([canonical({ stale: last }), []]);
      }
    });

    it('refuses batches that are not well formed, or from whom does not serve', async () => {
      const ask = (after: string, lines: string, caller = service('CentreMSP')): Promise<string> =>
        refused('RecordBatch', caller, after, lines);
      for (const after of ['', '-1', '01', '1.0', '1e3', ' 1', '12345678901234567', 'x'])
        expect(await ask(after, ''), after).to.equal('ARGUMENT_BAD');
      const last = String(await lastBatch('CentreMSP'));
      expect(await ask(last, '\n'.repeat(MAX_BATCH))).to.equal('ARGUMENT_BAD');
      const most = await ledger.simulate(
        'RecordBatch',
        service('CentreMSP'),
        last,
        '\n'.repeat(MAX_BATCH - 1),
      );
      expect((JSON.parse(most.answer) as { refused: unknown[] }).refused).to.have.length(MAX_BATCH);
      for (const role of ['admin', null, 'Service'])
        expect(await ask(last, '', { org: 'CentreMSP', role }), String(role)).to.equal('ROLE_MISSING');
    });

    it('shows up to 256 keys, and refuses anything else', async () => {
      for (const keys of ['', '{}', '["a",1]', '["a", "b"]', canonical(Array(257).fill('a')), 'null'])
        expect(await refused('View', service('CentreMSP'), keys), keys).not.to.equal('accepted');
      const most = await ledger.simulate('View', service('CentreMSP'), canonical(Array(256).fill('a')));
      expect(most.answer).to.equal('{}');
    });

    it("keeps in each log's root exactly the records that anybody can make from the accepted entries", async () => {
      expect(logs.size).to.equal(4);
      for (const [org, made] of logs) {
        const log = await get<Log>(keyOf.log(org));
        expect([log.size, log.frontier, log.root], org).to.deep.equal([
          made.size,
          made.nodes.map(toBase64url),
          toBase64url(root(made, nodeSuite.sha256)),
        ]);
      }
      for (const [subject, { seq, leaf }] of heads)
        expect(await get(keyOf.subject(subject))).to.include({ seq, head: leaf });
    });

    it('has shown here each of its transactions', () => {
      expect([...submitted].toSorted()).to.deep.equal(
        describedTransactions()
          .map(({ name }) => name)
          .toSorted(),
      );
    });
  });
}
