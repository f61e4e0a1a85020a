import { expect } from 'chai';
import { CustodyContract } from '@yaoji/chaincode/contract/custody-contract';
import {
  at as keyOf,
  canonical,
  DEFAULT_RULE_SET,
  leafHash,
  MAX_BATCH,
  parseCheckpoint,
  recordBytes,
  root,
  toBase64url,
  type Answer,
  type Log,
  type Station,
  type Subject,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  DEVICES,
  KEYS,
  MEMBERS,
  reference,
  siteOf,
  STATIONS,
  TestLedger,
  the,
  until,
} from '../support/consortium.ts';
import { contextOf, FakeStub, type Call } from '../support/fake-stub.ts';

const END = Date.UTC(2026, 2, 11, 1, 0);
const admin = (org: string): Call => ({ org, role: 'admin' });
const service = (org: string): Call => ({ org, role: 'service', time: END });

const contract = new CustodyContract();
const invoke = (name: string, stub: FakeStub, call: Call, args: readonly string[]): Promise<unknown> => {
  const transaction = contract[name as 'View'] as unknown as (...all: unknown[]) => Promise<unknown>;
  return transaction.call(contract, contextOf(stub, call), ...args);
};

/** A ledger that knows nothing but the contract. */
class Peers {
  values = new Map<string, string>();
  readonly invoked = new Set<string>();

  /** Submits a transaction: two peers simulate it, each in its own surroundings, and must not differ in a byte. */
  async submit(name: string, call: Call, ...args: string[]): Promise<string | undefined> {
    this.invoked.add(name);
    const one = new FakeStub(this.values, call);
    const answer = await invoke(name, one, call, args);
    const shuffled = new Map([...this.values].toReversed().map(([key, value]) => [key, value]));
    const two = new FakeStub(shuffled, call);
    const again = await elsewhere(() => invoke(name, two, call, args));
    expect(again, name).to.deep.equal(answer);
    expect(two.reads, `what ${name} reads`).to.deep.equal(one.reads);
    expect(two.writes, `what ${name} writes`).to.deep.equal(one.writes);
    expect(new Set(one.writes.map(([key]) => key)).size, `${name} writes a key once`).to.equal(
      one.writes.length,
    );
    for (const [key, value] of one.writes) this.values.set(key, value);
    return answer as string | undefined;
  }

  /** The refusal of a transaction, which then must not have written. */
  async refused(name: string, call: Call, ...args: string[]): Promise<string> {
    const stub = new FakeStub(this.values, call);
    try {
      await invoke(name, stub, call, args);
    } catch (error) {
      expect(stub.writes).to.deep.equal([]);
      return (error as Error).message.split(':')[0]!;
    }
    return 'accepted';
  }

  get<T>(key: string): T {
    return JSON.parse(this.values.get(key)!) as T;
  }
}

/** Another machine: another clock, other random numbers, another time zone. */
async function elsewhere<T>(run: () => Promise<T>): Promise<T> {
  const { now } = Date;
  const { random } = Math;
  const zone = process.env['TZ'];
  Date.now = () => now() + 86_400_000 * 400;
  Math.random = () => 0.123;
  process.env['TZ'] = 'Asia/Shanghai';
  try {
    return await run();
  } finally {
    Date.now = now;
    Math.random = random;
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  }
}

const names = (org: string) => ({ zh: org, en: org });
const founders = ['HospitalMSP', 'CentreMSP', 'CourierMSP', 'RegulatorMSP'];
const memberOf = (org: string) => ({ org, kind: MEMBERS[org]!, ...names(org) });
const enrolment = (name: keyof typeof STATIONS) => {
  const { id, site, roles, key, hosted } = STATIONS[name];
  return { station: id, site, roles: [...roles], key, hosted };
};

async function founded(): Promise<Peers> {
  const peers = new Peers();
  await peers.submit('Found', admin('RegulatorMSP'), canonical(founders.map(memberOf)));
  for (const org of founders)
    await peers.submit(
      'PutSite',
      admin(org),
      canonical({ site: siteOf(org), ...names(org), rules: DEFAULT_RULE_SET }),
    );
  return peers;
}
async function enrolled(): Promise<Peers> {
  const peers = await founded();
  for (const [name, { org }] of Object.entries(STATIONS))
    if (founders.includes(org))
      await peers.submit('EnrolStation', service(org), canonical(enrolment(name as keyof typeof STATIONS)));
  for (const device of DEVICES)
    await peers.submit('RegisterDevice', service('CentreMSP'), canonical({ device }));
  return peers;
}

describe('the contract', function () {
  this.timeout(20_000);

  it('does the same on every peer: each transaction reads and writes the same bytes wherever it runs', async () => {
    const peers = await enrolled();
    await peers.submit('AddMember', admin('RegulatorMSP'), canonical(memberOf('OtherCentreMSP')));
    const signer = new TestLedger();
    const story = reference();
    const batches = [
      story.filter(({ by }) => by === 'connector'),
      story.filter(({ by }) => !['connector', 'phone', 'page'].includes(by)),
      story.filter(({ by }) => by === 'phone'),
      story.filter(({ by }) => by === 'page'),
    ];
    let after = 0;
    const leaves: Uint8Array[] = [];
    for (const batch of batches) {
      const { org } = batch[0]!.statement;
      const lines = batch.map((act) => canonical(signer.entryOf(act).entry));
      const follows = batch === batches[3] ? after : 0;
      const answer = JSON.parse(
        (await peers.submit('RecordBatch', service(org), String(follows), lines.join('\n')))!,
      ) as Answer;
      if (answer.stale !== undefined) throw new Error('stale');
      expect(answer.refused).to.deep.equal([]);
      if (org === 'CentreMSP') after = answer.batch;
      if (org === 'CourierMSP') leaves.push(Buffer.from(answer.checkpoint));
    }
    await peers.submit('RevokeStation', service('CourierMSP'), 'phone');
    const view = await peers.submit(
      'View',
      service('RegulatorMSP'),
      canonical([keyOf.subject(KEYS.package), 'nothing', keyOf.log('CourierMSP')]),
    );
    const shown = JSON.parse(view!) as { [key: string]: unknown };
    expect(Object.keys(shown)).to.deep.equal([keyOf.log('CourierMSP'), keyOf.subject(KEYS.package)]);
    expect((shown[keyOf.subject(KEYS.package)] as Subject).state.own.phase).to.equal('DELIVERED');
    expect(peers.get<Station>(keyOf.station('phone')).revoked).to.equal(5);
    const checkpoint = parseCheckpoint(Buffer.from(leaves[0]!).toString());
    expect([checkpoint.origin, checkpoint.size, toBase64url(checkpoint.root)]).to.deep.equal([
      'test/CourierMSP',
      5,
      peers.get<Log>(keyOf.log('CourierMSP')).root,
    ]);
    expect([...peers.invoked].toSorted()).to.deep.equal(
      transactions()
        .map(({ name }) => name)
        .toSorted(),
    );
  });

  it("keeps in the log's root exactly the records that anybody can make from the accepted entries", async () => {
    const peers = await enrolled();
    const signer = new TestLedger();
    const entries = until('RX_ROUTED').map((act) => signer.entryOf(act).entry);
    await peers.submit('RecordBatch', service('HospitalMSP'), '0', entries.map(canonical).join('\n'));
    let prev = '';
    const leaves = entries.map((entry, i) => {
      const leaf = leafHash(
        recordBytes({ entry, seq: i + 1, prev, index: i, at: '2026-03-11T01:00Z', rules: DEFAULT_RULE_SET }),
        nodeSuite.sha256,
      );
      prev = toBase64url(leaf);
      return leaf;
    });
    const node = nodeSuite.sha256(Buffer.concat([Buffer.of(1), leaves[0]!, leaves[1]!]));
    const log = peers.get<Log>(keyOf.log('HospitalMSP'));
    expect(log.frontier).to.deep.equal([toBase64url(node), toBase64url(leaves[2]!)]);
    expect(log.root).to.equal(toBase64url(root({ nodes: [node, leaves[2]!] }, nodeSuite.sha256)));
    expect(peers.get<Subject>(keyOf.subject(KEYS.prescription)).head).to.equal(prev);
  });

  it('takes the time from the transaction, to the minute', async () => {
    const peers = await enrolled();
    const line = canonical(new TestLedger().entryOf(the('RX_ISSUED')).entry);
    const at = Date.parse(the('RX_ISSUED').statement.time);
    const refusedAt = async (time: number): Promise<unknown> => {
      const stub = new FakeStub(peers.values, { org: 'HospitalMSP', time });
      const answer = JSON.parse(
        (await invoke('RecordBatch', stub, { org: 'HospitalMSP' }, ['0', line])) as string,
      ) as { refused: { code: string }[] };
      return answer.refused[0]?.code;
    };
    expect(await refusedAt(at - 5 * 60_000)).to.equal(undefined);
    expect(await refusedAt(at - 5 * 60_000 - 1)).to.equal('TIME_FUTURE');
    expect(await refusedAt(at + 30 * 86_400_000 + 59_999)).to.equal(undefined);
    expect(await refusedAt(at + 30 * 86_400_000 + 60_000)).to.equal('TIME_TOO_OLD');
  });

  it('answers stale and writes nothing when a batch does not follow the last', async () => {
    const peers = await enrolled();
    const stub = new FakeStub(peers.values, service('CentreMSP'));
    expect(await invoke('RecordBatch', stub, service('CentreMSP'), ['7', ''])).to.equal('{"stale":0}');
    expect(stub.writes).to.deep.equal([]);
  });

  it('refuses batches that are not well formed', async () => {
    const peers = await enrolled();
    const ask = (...args: string[]): Promise<string> =>
      peers.refused('RecordBatch', service('CentreMSP'), ...args);
    for (const after of ['', '-1', '01', '1.0', '1e3', ' 1', '12345678901234567', 'x'])
      expect(await ask(after, ''), after).to.equal('ARGUMENT_BAD');
    expect(await ask('0', '\n'.repeat(MAX_BATCH))).to.equal('ARGUMENT_BAD');
    expect(await ask('0', 'x'.repeat(MAX_BATCH * 16_385 + 1))).to.equal('ARGUMENT_BAD');
    expect(await ask('0', '\n'.repeat(MAX_BATCH - 1))).to.equal('accepted');
    for (const role of ['admin', null, 'Service'])
      expect(await peers.refused('RecordBatch', { org: 'CentreMSP', role }, '0', '')).to.equal(
        'ROLE_MISSING',
      );
  });

  it('shows up to 256 keys, and refuses anything else', async () => {
    const peers = await enrolled();
    for (const keys of ['', '{}', '["a",1]', '["a", "b"]', canonical(Array(257).fill('a')), 'null'])
      expect(await peers.refused('View', service('CentreMSP'), keys), keys).not.to.equal('accepted');
    expect(await peers.submit('View', service('CentreMSP'), canonical(Array(256).fill('a')))).to.equal('{}');
  });
});

describe('the registry', function () {
  this.timeout(20_000);

  it('is founded once, by an administrator of a founder', async () => {
    const peers = new Peers();
    const all = canonical(founders.map(memberOf));
    expect(await peers.refused('Found', service('RegulatorMSP'), all)).to.equal('ROLE_MISSING');
    expect(await peers.refused('Found', admin('StrangerMSP'), all)).to.equal('NOT_A_FOUNDER');
    for (const text of [
      '',
      '[]',
      '{}',
      canonical([{ ...memberOf('CentreMSP'), kind: 'pharmacy' }]),
      canonical([{ ...memberOf('CentreMSP'), more: 1 }]),
      ` ${all}`,
    ])
      expect(await peers.refused('Found', admin('CentreMSP'), text), text).to.equal('ARGUMENT_BAD');
    await peers.submit('Found', admin('RegulatorMSP'), all);
    expect(await peers.refused('Found', admin('RegulatorMSP'), all)).to.equal('ALREADY_FOUNDED');
  });

  it('names each founder once, by an id that entries can carry', async () => {
    const peers = new Peers();
    const twice = [memberOf('CentreMSP'), { ...memberOf('CentreMSP'), kind: 'courier' }];
    expect(await peers.refused('Found', admin('CentreMSP'), canonical(twice))).to.equal('ARGUMENT_BAD');
    expect(
      await peers.refused('Found', admin('a~b'), canonical([{ ...memberOf('CentreMSP'), org: 'a~b' }])),
    ).to.equal('ARGUMENT_BAD');
  });

  it('takes new members from a regulator only, and each once', async () => {
    const peers = await founded();
    const other = canonical(memberOf('OtherCentreMSP'));
    expect(await peers.refused('AddMember', admin('CentreMSP'), other)).to.equal('NOT_A_REGULATOR');
    expect(await peers.refused('AddMember', service('RegulatorMSP'), other)).to.equal('ROLE_MISSING');
    expect(await peers.refused('AddMember', admin('StrangerMSP'), other)).to.equal('MEMBER_UNKNOWN');
    await peers.submit('AddMember', admin('RegulatorMSP'), other);
    const again = new FakeStub(peers.values, admin('RegulatorMSP'));
    await invoke('AddMember', again, admin('RegulatorMSP'), [other]);
    expect(again.writes).to.deep.equal([]);
    const courier = canonical({ ...memberOf('OtherCentreMSP'), kind: 'courier' });
    expect(await peers.refused('AddMember', admin('RegulatorMSP'), courier)).to.equal('MEMBER_EXISTS');
  });

  it('lets a member name its sites and their published rule sets, and change them', async () => {
    const peers = await founded();
    const site = { site: 'CentreMSP-2', ...names('x'), rules: DEFAULT_RULE_SET };
    expect(await peers.refused('PutSite', service('CentreMSP'), canonical(site))).to.equal('ROLE_MISSING');
    expect(await peers.refused('PutSite', admin('StrangerMSP'), canonical(site))).to.equal('MEMBER_UNKNOWN');
    expect(
      await peers.refused('PutSite', admin('CentreMSP'), canonical({ ...site, rules: 'national-2099.1' })),
    ).to.equal('RULES_UNKNOWN');
    expect(await peers.refused('PutSite', admin('CentreMSP'), canonical({ ...site, site: 'a~b' }))).to.equal(
      'ARGUMENT_BAD',
    );
    await peers.submit('PutSite', admin('CentreMSP'), canonical(site));
    await peers.submit('PutSite', admin('CentreMSP'), canonical({ ...site, en: 'renamed' }));
    expect(peers.get(keyOf.site('CentreMSP', 'CentreMSP-2'))).to.include({ en: 'renamed' });
  });

  it('registers devices of centres, idle and clean, and never over another subject', async () => {
    const peers = await founded();
    const [device] = DEVICES as [string];
    const text = canonical({ device });
    expect(await peers.refused('RegisterDevice', admin('CentreMSP'), text)).to.equal('ROLE_MISSING');
    expect(await peers.refused('RegisterDevice', service('HospitalMSP'), text)).to.equal('NOT_A_CENTRE');
    expect(
      await peers.refused('RegisterDevice', service('CentreMSP'), canonical({ device: 'short' })),
    ).to.equal('ARGUMENT_BAD');
    await peers.submit('RegisterDevice', service('CentreMSP'), text);
    const again = new FakeStub(peers.values, service('CentreMSP'));
    await invoke('RegisterDevice', again, service('CentreMSP'), [text]);
    expect(again.writes).to.deep.equal([]);
    await peers.submit('AddMember', admin('RegulatorMSP'), canonical(memberOf('OtherCentreMSP')));
    expect(await peers.refused('RegisterDevice', service('OtherCentreMSP'), text)).to.equal('SUBJECT_EXISTS');
    const used = await enrolled();
    const line = canonical(new TestLedger().entryOf(the('RX_ISSUED')).entry);
    await used.submit('RecordBatch', service('HospitalMSP'), '0', line);
    expect(
      await used.refused('RegisterDevice', service('CentreMSP'), canonical({ device: KEYS.prescription })),
    ).to.equal('SUBJECT_EXISTS');
  });

  it("enrols stations of the caller's own kind and site, from its log's size on", async () => {
    const peers = await enrolled();
    const station = { ...enrolment('packing'), station: 'packing-2' };
    const ask = (change: object, call = service('CentreMSP')): Promise<string> =>
      peers.refused('EnrolStation', call, canonical({ ...station, ...change }));
    expect(await ask({}, admin('CentreMSP'))).to.equal('ROLE_MISSING');
    expect(await ask({}, service('StrangerMSP'))).to.equal('MEMBER_UNKNOWN');
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
    await peers.submit(
      'RecordBatch',
      service('HospitalMSP'),
      '0',
      canonical(new TestLedger().entryOf(the('RX_ISSUED')).entry),
    );
    const late = { ...enrolment('connector'), station: 'connector-2' };
    await peers.submit('EnrolStation', service('HospitalMSP'), canonical(late));
    expect(peers.get<Station>(keyOf.station('connector-2')).enrolled).to.equal(1);
    const again = new FakeStub(peers.values, service('HospitalMSP'));
    await invoke('EnrolStation', again, service('HospitalMSP'), [canonical(late)]);
    expect(again.writes).to.deep.equal([]);
    expect(
      await peers.refused('EnrolStation', service('HospitalMSP'), canonical({ ...late, hosted: true })),
    ).to.equal('STATION_EXISTS');
    expect(
      await peers.refused(
        'EnrolStation',
        service('CentreMSP'),
        canonical({ ...station, station: 'connector' }),
      ),
    ).to.equal('STATION_EXISTS');
  });

  it('revokes a station once, for good, and only its own', async () => {
    const peers = await enrolled();
    expect(await peers.refused('RevokeStation', service('CentreMSP'), 'phone')).to.equal('STATION_UNKNOWN');
    expect(await peers.refused('RevokeStation', service('CourierMSP'), 'nobody')).to.equal('STATION_UNKNOWN');
    expect(await peers.refused('RevokeStation', admin('CourierMSP'), 'phone')).to.equal('ROLE_MISSING');
    await peers.submit('RevokeStation', service('CourierMSP'), 'phone');
    const again = new FakeStub(peers.values, service('CourierMSP'));
    await invoke('RevokeStation', again, service('CourierMSP'), ['phone']);
    expect(again.writes).to.deep.equal([]);
    expect(
      await peers.refused('EnrolStation', service('CourierMSP'), canonical(enrolment('phone'))),
    ).to.equal('STATION_EXISTS');
  });
});

interface Described {
  readonly name: string;
  readonly tag: readonly string[];
  readonly parameters?: readonly { readonly name: string; readonly schema: { readonly type?: string } }[];
}
function transactions(): Described[] {
  const reflect = Reflect as unknown as { getMetadata(key: string, target: object): Described[] };
  return reflect.getMetadata('fabric:transactions', contract);
}

describe("the contract's metadata", () => {
  it('tells of every transaction its parameters, which the build could lose', () => {
    const found = transactions().map(({ name, tag, parameters }) => [
      name,
      tag.some((word) => word.toLowerCase() === 'submittx'),
      (parameters ?? []).map(({ name: parameter, schema }) => `${parameter}: ${schema.type}`),
    ]);
    expect(Object.fromEntries(found.map(([name, ...rest]) => [name, rest]))).to.deep.equal({
      RecordBatch: [true, ['after: string', 'lines: string']],
      View: [false, ['keys: string']],
      Found: [true, ['members: string']],
      AddMember: [true, ['member: string']],
      PutSite: [true, ['site: string']],
      RegisterDevice: [true, ['device: string']],
      EnrolStation: [true, ['station: string']],
      RevokeStation: [true, ['station: string']],
    });
  });
});
