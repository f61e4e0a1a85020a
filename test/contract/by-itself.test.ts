import { expect } from 'chai';
import {
  at as keyOf,
  canonical,
  DEFAULT_RULE_SET,
  MAX_BATCH,
  MAX_ENTRY,
  type Answer,
} from '@yaoji/chaincode/core';
import { MEMBERS, siteOf, STATIONS, TestLedger, the } from '../support/consortium.ts';
import { FakeStub, type Call } from '../support/fake-stub.ts';
import { describedTransactions, invoke, Peers } from './ledgers.ts';

// What needs a stub instead of a ledger: a transaction's time to the millisecond, which on a ledger is the caller's clock; a
// batch that is larger than gRPC lets pass; and what the build made of the contract's decorators. That each transaction reads
// and writes the same keys in the same order wherever it runs, clock, random numbers and time zone included, is looked at in
// ledgers.ts (Peers) whenever contract.test.ts runs on nothing but the contract.

const ORG = 'HospitalMSP';
const service: Call = { org: ORG };

async function enrolled(): Promise<Peers> {
  const peers = new Peers();
  const admin = { org: ORG, role: 'admin' };
  const names = { zh: ORG, en: ORG };
  await peers.submit('Found', admin, canonical([{ org: ORG, kind: MEMBERS[ORG]!, ...names }]));
  await peers.submit('PutSite', admin, canonical({ site: siteOf(ORG), ...names, rules: DEFAULT_RULE_SET }));
  const { id, site, roles, key, hosted } = STATIONS.connector;
  const station = { station: id, site, roles: [...roles], key, hosted };
  await peers.submit('EnrolStation', { org: ORG, role: 'service' }, canonical(station));
  return peers;
}

describe('the contract on a stub', () => {
  it('takes the time from the transaction, to the minute', async () => {
    const peers = await enrolled();
    const line = canonical(new TestLedger().entryOf(the('RX_ISSUED')).entry);
    const at = Date.parse(the('RX_ISSUED').statement.time);
    const refusedAt = async (time: number): Promise<unknown> => {
      const stub = new FakeStub(peers.values, { ...service, time });
      const answer = JSON.parse((await invoke('RecordBatch', stub, service, ['0', line]))!) as Answer;
      return answer.stale === undefined && answer.refused[0]?.code;
    };
    expect(await refusedAt(at - 5 * 60_000)).to.equal(undefined);
    expect(await refusedAt(at - 5 * 60_000 - 1)).to.equal('TIME_FUTURE');
    expect(await refusedAt(at + 30 * 86_400_000 + 59_999)).to.equal(undefined);
    expect(await refusedAt(at + 30 * 86_400_000 + 60_000)).to.equal('TIME_TOO_OLD');
  });

  it('reads a batch that is refused as a whole not at all', async () => {
    const peers = await enrolled();
    const stub = new FakeStub(peers.values, service);
    const tooLarge = 'x'.repeat(MAX_BATCH * (MAX_ENTRY + 1) + 1);
    const error = await invoke('RecordBatch', stub, service, ['0', tooLarge]).catch(
      (thrown: unknown) => thrown,
    );
    expect((error as Error).message).to.match(/^ARGUMENT_BAD: /);
    expect([stub.reads, stub.writes]).to.deep.equal([[], []]);
  });

  it('reads each key once, and only those of the batch', async () => {
    const peers = await enrolled();
    const stub = new FakeStub(peers.values, {
      ...service,
      time: Date.parse(the('RX_ISSUED').statement.time),
    });
    const { entry } = new TestLedger().entryOf(the('RX_ISSUED'));
    await invoke('RecordBatch', stub, service, ['0', [entry, entry].map(canonical).join('\n')]);
    expect(stub.reads).to.deep.equal(
      [
        keyOf.log(ORG),
        keyOf.member(ORG),
        keyOf.site(ORG, siteOf(ORG)),
        keyOf.station(entry.station),
        keyOf.subject(entry.subject),
        keyOf.window(entry.station),
      ].toSorted(),
    );
  });
});

describe("the contract's metadata", () => {
  it('tells of every transaction its parameters, which the build could lose', () => {
    const found = describedTransactions().map(({ name, tag, parameters }) => [
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
