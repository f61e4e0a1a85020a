import { createHash } from 'node:crypto';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { checkView } from '@yaoji/chaincode/core/fabric/endorsement';
import { readView, versionOf } from '@yaoji/chaincode/core/fabric/view';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  message,
  organisation,
  peer,
  READ,
  resultsOf,
  signHighS,
  strangersKey,
  view,
  type Organisation,
  type Peer,
  type Plan,
} from './made.ts';
import { ca, cas, envelope, payload, viewFacts, written, writtenFacts } from './recorded.ts';
import { code, refusal } from './refusal.ts';

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const check = (bytes: Uint8Array, known = cas) => checkView(readView(bytes), known, nodeSuite);

function versions(reads: ReturnType<typeof readView>['reads']): (readonly [string, string, string | null])[] {
  return [...reads].flatMap(([namespace, keys]) =>
    [...keys].map(
      ([key, version]) => [namespace, key, version ? `${version.block}:${version.tx}` : null] as const,
    ),
  );
}

describe('the recorded view', () => {
  const found = readView(payload);

  it('is the recorded bytes', () => {
    expect(envelope.length).equal(viewFacts.bytes);
    expect(createHash('sha256').update(envelope).digest('hex')).equal(viewFacts.sha256);
  });

  it('says what was recorded of it', () => {
    expect(found.channel).equal(viewFacts.channel);
    expect(found.txId).equal(viewFacts.txId);
    expect(found.timestamp).equal(Date.parse(viewFacts.timestamp));
    expect(found.chaincode).equal(viewFacts.chaincode);
    expect(text(found.args[0]!)).equal(viewFacts.function);
    expect(found.args.slice(1).map(({ length }) => length)).deep.equal(viewFacts.argumentBytes);
    expect(found.status).equal(viewFacts.response.status);
    expect(found.message).equal('');
    expect(text(found.payload)).equal(viewFacts.response.payload);
    expect(hex(found.signed.proposalHash)).equal(viewFacts.proposalHash);
    expect(found.endorsements.map(({ mspId }) => mspId)).deep.equal(viewFacts.endorsers);
    expect(versions(found.reads)).deep.equal(viewFacts.reads);
    expect(found.writes).equal(viewFacts.writes.length > 0);
  });

  it('is signed by a peer of each of the four organisations', async () => {
    expect(await check(payload)).deep.equal({ organisations: viewFacts.endorsers, unknown: [] });
  });

  it('names the version of what it read, and refuses to speak of what it did not read', async () => {
    expect(versionOf(found, 'yaoji', 'log~DecoctionMSP')).deep.equal({ block: 10, tx: 0 });
    expect(await code(() => versionOf(found, 'yaoji', 'log~HospitalMSP'))).equal('VIEW_MALFORMED');
    expect(await code(() => versionOf(found, 'another', 'log~DecoctionMSP'))).equal('VIEW_MALFORMED');
  });

  it('counts for the known organisations only, and says who the others are', async () => {
    const known = new Map([...cas].filter(([mspId]) => mspId !== 'CourierMSP'));
    expect(await check(payload, known)).deep.equal({
      organisations: ['RegulatorMSP', 'DecoctionMSP', 'HospitalMSP'],
      unknown: ['CourierMSP'],
    });
  });

  it('is refused when an organisation has another CA, and names the organisation and the place', async () => {
    const known = new Map([...cas, ['DecoctionMSP', ca('HospitalMSP')]]);
    const why = await refusal(() => check(payload, known));
    expect(why).include({ code: 'VIEW_MALFORMED', place: '/endorsements/2' });
    expect(why?.message).include('DecoctionMSP');
  });

  it('names the CA certificate that cannot be read', async () => {
    const why = await refusal(() => check(payload, new Map([...cas, ['DecoctionMSP', 'nothing']])));
    expect(why).include({ code: 'CERTIFICATE_MALFORMED', place: '/DecoctionMSP' });
  });

  it('is refused, or loses an endorser, when any one byte of it is changed', async function () {
    this.timeout(30_000);
    // Every byte was tried once; a stride of 5 meets every field and every bit of a byte in a second.
    for (let i = 0; i < payload.length; i += 5) {
      const changed = payload.slice();
      changed[i]! ^= 1 << (i % 8);
      await code(async () => {
        const { organisations } = await check(changed);
        expect(organisations.length, `byte ${i}`).below(4);
      });
    }
  });

  it('is refused wherever it is cut off, and when a byte follows', async () => {
    for (let size = 0; size < payload.length; size++)
      expect(await code(() => check(payload.subarray(0, size))), `${size} bytes`).not.equal(undefined);
    expect(await code(() => check(new Uint8Array([...payload, 0])))).equal('PROTOBUF_MALFORMED');
    expect(await code(() => check(new Uint8Array([...payload, ...payload])))).equal('PROTOBUF_MALFORMED');
  });

  it('of random bytes, or with random changes, ends in a refusal and nothing worse', async function () {
    this.timeout(60_000);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(payload.length - 1),
        fc.uint8Array({ maxLength: 40 }),
        fc.nat(40),
        async (at, piece, cut) => {
          await code(() => check(piece));
          const changed = new Uint8Array([
            ...payload.subarray(0, at),
            ...piece,
            ...payload.subarray(at + cut),
          ]);
          await code(async () => {
            const { organisations } = await check(changed);
            if (organisations.length === 4) expect(changed).deep.equal(payload);
          });
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('a recorded transaction that writes', () => {
  it('reads as a view that is not only a read', async () => {
    const found = readView(written);
    expect(found.txId).equal(writtenFacts.txId);
    expect(found.writes).equal(true);
    expect(versions(found.reads)).deep.equal(writtenFacts.reads);
    expect(text(found.payload)).equal(writtenFacts.response.payload);
    expect(await check(written)).deep.equal({ organisations: writtenFacts.endorsers, unknown: [] });
  });
});

describe('a view', () => {
  const all = ['HospitalMSP', 'DecoctionMSP', 'CourierMSP'];
  // The CAs are made now, and must be valid when the view is taken.
  const now = Date.now();
  let organisations: Organisation[];
  let peers: Peer[];
  let known: Map<string, string>;
  before(async () => {
    organisations = await Promise.all(all.map(organisation));
    peers = await Promise.all(organisations.map((of) => peer(of)));
    known = new Map(organisations.map(({ mspId, ca: { certificate } }) => [mspId, certificate]));
  });

  const checkMade = (plan: Plan = {}, by = peers) => check(view(by, { timestamp: now, ...plan }), known);
  const whyNot = (plan: Plan, by = peers) => refusal(() => checkMade(plan, by));

  it('made by hand passes as the recorded one does', async () => {
    expect(await checkMade()).deep.equal({ organisations: all, unknown: [] });
    const found = readView(view(peers, { timestamp: now }));
    expect(found.timestamp).equal(now);
    expect(found.args.map(text)).deep.equal(['View', '', 'k']);
    expect(versionOf(found, 'yaoji', 'k')).deep.equal({ block: 7, tx: 0 });
  });

  const inconsistent: Record<string, Plan> = {
    'another type of transaction': { type: 1 },
    'an epoch': { epoch: 1 },
    'no nonce': { nonce: new Uint8Array() },
    'no creator': { creator: new Uint8Array() },
    'a year above 9999': { time: message([1, 253_402_300_800]) },
    'a second of a thousand million nanoseconds': { time: message([1, 1], [2, 1e9]) },
    'no time at all': { time: message([9, 1]) },
    'another transaction id': { txId: 'ab'.repeat(32) },
    'another chaincode in the header': { proposed: 'other' },
    'another chaincode in the call': { invoked: 'other' },
    'another chaincode in the answer': { answered: 'other' },
    'a chaincode without a name': { proposed: '', invoked: '', answered: '' },
    'the hash of another proposal': { proposalHash: new Uint8Array(32).fill(1) },
    'another header in the action': { actionHeader: message([1, 'someone'], [2, 'else']) },
    'no action': { actions: 0 },
    'two actions': { actions: 2 },
    'a transient map': { transient: true },
    'a key read twice': { results: resultsOf([1, READ], [1, READ]) },
    'a namespace twice': { results: message([2, message([1, 'yaoji'])], [2, message([1, 'yaoji'])]) },
    'another data model': { results: message([1, 1]) },
  };
  for (const [what, plan] of Object.entries(inconsistent))
    it(`is refused for ${what}, whoever signed it`, async () => {
      // Taken before any endorsement is looked at: the certificates' dates must not be what refuses it.
      const why = await whyNot(plan, []);
      expect(why?.code).match(/^(VIEW|PROTOBUF)_MALFORMED$/);
    });

  it('tells a key that did not exist from one of block 0', () => {
    const absent = message([1, 'absent']);
    const first = message([1, 'first'], [2, '']);
    const found = readView(view(peers, { timestamp: now, results: resultsOf([1, absent], [1, first]) }));
    expect(versionOf(found, 'yaoji', 'absent')).equal(undefined);
    expect(versionOf(found, 'yaoji', 'first')).deep.equal({ block: 0, tx: 0 });
  });

  it('says so when the simulation did more than read keys', () => {
    const sets = {
      range: resultsOf([1, READ], [2, '']),
      write: resultsOf([1, READ], [3, message([1, 'k'], [3, 'v'])]),
      metadata: resultsOf([4, message([1, 'k'])]),
      collection: message([2, message([1, 'yaoji'], [3, message([1, 'secret'])])]),
    };
    for (const [what, results] of Object.entries(sets))
      expect(readView(view(peers, { timestamp: now, results })).writes, what).equal(true);
  });

  it('counts an organisation once, whichever of its peers signed', async () => {
    const second = await peer(organisations[0]!, { name: 'peer1' });
    expect(await checkMade({}, [...peers, second])).deep.equal({ organisations: all, unknown: [] });
  });

  it('is refused when one peer endorses twice', async () => {
    expect((await whyNot({ endorse: (list) => [...list, list[0]!] }))?.message).equal(
      'a peer endorses twice',
    );
    expect((await whyNot({}, [...peers, peers[0]!]))?.message).equal('a peer endorses twice');
  });

  it('has no endorser when nobody signed', async () => {
    expect(await checkMade({}, [])).deep.equal({ organisations: [], unknown: [] });
  });

  /** Whether the second endorsement, by this peer, is refused and named. */
  async function expectRefused(by: Peer, why: string, plan: Plan = {}): Promise<void> {
    const found = await whyNot(plan, [peers[0]!, by]);
    expect(found).include({ code: 'VIEW_MALFORMED', place: '/endorsements/1' });
    expect(found?.message).equal(`the endorsement of ${by.mspId}: ${why}`);
  }

  it('is refused for the signature of a client, an admin or an orderer', async () => {
    for (const ou of ['client', 'admin', 'orderer'] as const)
      await expectRefused(await peer(organisations[1]!, { ou }), 'the endorser is not a peer');
  });

  it('is refused for the signature of the CA itself', async () => {
    const { mspId, ca: issued } = organisations[1]!;
    await expectRefused({ mspId, ...issued }, 'the endorser is not a peer');
  });

  it('is refused for a certificate that was not valid when it was taken', async () => {
    const why = 'a certificate was not valid when the view was taken';
    const second = Math.floor(now / 1000) * 1000;
    const ended = { notBefore: new Date(second - 9000), notAfter: new Date(second - 1000) };
    await expectRefused(await peer(organisations[1]!, ended), why);
    await expectRefused(await peer(organisations[1]!, { notBefore: new Date(second + 1000) }), why);
    const last = await peer(organisations[1]!, { notBefore: new Date(second), notAfter: new Date(second) });
    expect((await checkMade({ timestamp: second }, [last])).organisations).deep.equal(['DecoctionMSP']);
  });

  it('is refused when the CA itself was not yet valid', async () => {
    const old = new Date(now - 20 * 86_400_000);
    const early = await peer(organisations[1]!, { notBefore: old });
    expect((await whyNot({ timestamp: now - 10 * 86_400_000 }, [early]))?.message).include('was not valid');
    expect((await checkMade({}, [early])).organisations).deep.equal(['DecoctionMSP']);
  });

  it('is refused for a certificate of another organisation, or of a CA of the same name', async () => {
    const why = "the organisation's CA did not issue the certificate";
    const { mspId } = organisations[1]!;
    await expectRefused({ ...(await peer(organisations[2]!)), mspId }, why);
    await expectRefused(await peer(await organisation(mspId)), why);
  });

  it("is refused for a signature by another key than the certificate's", async () => {
    await expectRefused({ ...peers[1]!, key: strangersKey() }, 'the signature does not hold');
  });

  it("is refused for another peer's certificate beside a signature", async () => {
    const other = await peer(organisations[1]!);
    await expectRefused({ ...other, key: peers[1]!.key }, 'the signature does not hold');
  });

  it('is refused for a high-S signature', async () => {
    const found = await whyNot({ sign: signHighS });
    expect(found).include({ code: 'VIEW_MALFORMED', place: '/endorsements/0' });
    expect(found?.message).equal('the endorsement of HospitalMSP: a signature has the high s');
  });

  it('is refused for a certificate that cannot be read', async () => {
    const found = await whyNot({}, [{ ...peers[0]!, certificate: 'none' }]);
    expect(found).include({ code: 'VIEW_MALFORMED', place: '/endorsements/0' });
  });

  it('is refused above a megabyte, before it is read', async () => {
    expect((await refusal(() => readView(new Uint8Array(2 ** 20 + 1))))?.message).equal(
      'the view is too large',
    );
  });
});
