import { verify, X509Certificate } from 'node:crypto';

import { status as rpc } from '@grpc/grpc-js';
import {
  checkpointers,
  GatewayError,
  StatusCode,
  type Status,
  type Transaction,
} from '@hyperledger/fabric-gateway';
import { common, gateway as messages, msp, peer } from '@hyperledger/fabric-protos';
import type { NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';
// A CommonJS module whose exports Node cannot name: only its default import has them.
import timestampPb from 'google-protobuf/google/protobuf/timestamp_pb.js';

import { headerBytes, quorumOf, readConsenters, sha256, signersOf } from '../support/blocks.ts';
import {
  changePrepared,
  changeProposal,
  openEnvelope,
  openPrepared,
  present,
  readWriteSet,
} from '../support/fabric-messages.ts';
import {
  connectAs,
  organisation,
  servicePerson,
  PROVIDERS,
  type LedgerClient,
  type LedgerUnderTest,
  type Person,
  type Provider,
} from '../support/ledger-under-test.ts';

// What is compared is codes and effects. Ledgers may word their refusals as they like.

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
const ABORTED: number = rpc.ABORTED;

for (const provider of PROVIDERS) {
  describe(`${provider.name} behaves as Fabric:`, function () {
    behaviour.call(this, provider);
  });
}

function behaviour(this: Mocha.Suite, provider: Provider): void {
  this.timeout(180 * SECOND_MS);

  let ledger: LedgerUnderTest;
  let profile: NetworkProfile;
  let hospital: Person;
  let own: LedgerClient;
  let keys = 0;
  const key = (): string => `key-${process.pid}-${++keys}`;
  const everyone = (): string[] => profile.organisations.map(({ mspId }) => mspId);

  const meet = (): void => {
    profile = ledger.profile();
    hospital = servicePerson(organisation(profile, 'hospital'));
    own = connectAs(hospital, profile);
  };
  before(async function () {
    await provider.needed(this);
    ledger = await provider.start();
    meet();
  });
  after(async () => {
    own?.close();
    await ledger?.stop();
  });

  const endorse = (name: string, args: string[], endorsingOrganizations?: string[]): Promise<Transaction> =>
    own.contract
      .newProposal(name, { arguments: args, ...(endorsingOrganizations && { endorsingOrganizations }) })
      .endorse();
  const commit = async (name: string, args: string[], organisations?: string[]) =>
    settle(await agreed(() => endorse(name, args, organisations)));
  const read = async (at: string): Promise<string> =>
    text(await own.contract.evaluateTransaction('read', at));
  const as = async <T>(person: Person, run: (client: LedgerClient) => Promise<T>): Promise<T> => {
    const client = connectAs(person, profile, hospital.mspId);
    try {
      return await run(client);
    } finally {
      client.close();
    }
  };
  const whoAmI = (person: Person) => as(person, ({ contract }) => contract.evaluateTransaction('whoAmI'));
  const evaluateAs = (person: Person) =>
    refusal(as(person, ({ contract }) => contract.evaluateTransaction('read', 'k')));
  const proposeAs = (person: Person) =>
    refusal(as(person, ({ contract }) => contract.newProposal('read', { arguments: ['k'] }).endorse()));
  const changedProposal = (change: Parameters<typeof changeProposal>[1]) =>
    own.gateway.newProposal(
      changeProposal(own.contract.newProposal('read', { arguments: ['k'] }).getBytes(), change),
    );
  const atTime = (offset: number) =>
    changedProposal((channel) =>
      channel.setTimestamp(timestampPb.Timestamp.fromDate(new Date(Date.now() + offset))),
    );
  const qscc = (name: string, argument?: string): Promise<Uint8Array> =>
    own.network
      .getContract('qscc')
      .evaluateTransaction(name, profile.channel, ...(argument === undefined ? [] : [argument]));
  const blockAt = async (number: bigint | number): Promise<common.Block> =>
    common.Block.deserializeBinary(await qscc('GetBlockByNumber', String(number)));

  describe('answers calls', () => {
    it('creates a value and reads it back', async () => {
      const k = key();
      const { code, successful, blockNumber } = await commit('create', [k, 'one']);
      expect([code, successful]).to.deep.equal([StatusCode.VALID, true]);
      expect(blockNumber > 0n).to.equal(true);
      expect(await read(k)).to.equal('one');
    });

    it('reads nothing where nothing was written', async () => {
      expect(await read(key())).to.equal('');
    });

    it('tells the contract who calls', async () => {
      const { mspId, identities } = organisation(profile, 'courier');
      const admin = servicePerson({
        ...organisation(profile, 'courier'),
        identities: { ...identities, service: identities.admin },
      });
      expect(text(await whoAmI(hospital))).to.equal(`${hospital.mspId} service`);
      expect(text(await whoAmI(admin))).to.equal(`${mspId} admin`);
    });

    it('tells the contract the time of the proposal', async () => {
      const before = Date.now();
      const time = Date.parse(text(await own.contract.evaluateTransaction('time')));
      expect(time).to.be.within(before, Date.now());
    });

    it("hands on a contract's own words when it fails", async () => {
      const evaluated = await refusal(own.contract.evaluateTransaction('fail', 'because of this'));
      expect(evaluated.code).to.equal(rpc.UNKNOWN);
      expect(evaluated.says).to.include('because of this');
      const endorsed = await refusal(endorse('fail', ['because of this']));
      expect([endorsed.name, endorsed.code]).to.deep.equal(['EndorseError', rpc.ABORTED]);
      expect(endorsed.says).to.include('because of this');
      const named = await refusal(endorse('fail', ['because of this'], everyone()));
      expect([named.code, named.details]).to.deep.equal([rpc.ABORTED, everyone().length]);
    });

    it('refuses an unknown function, and arguments too few', async () => {
      expect((await refusal(own.contract.evaluateTransaction('noSuchThing'))).code).to.equal(rpc.UNKNOWN);
      expect((await refusal(own.contract.evaluateTransaction('read'))).code).to.equal(rpc.UNKNOWN);
    });

    it('refuses an unknown chaincode', async () => {
      const nowhere = own.network.getContract('nowhere');
      expect((await refusal(nowhere.evaluateTransaction('read', 'k'))).code).to.equal(
        rpc.FAILED_PRECONDITION,
      );
      const endorsed = await refusal(nowhere.newProposal('read', { arguments: ['k'] }).endorse());
      expect(endorsed.code).to.equal(rpc.FAILED_PRECONDITION);
    });

    it('refuses an unknown channel', async () => {
      const nowhere = own.gateway.getNetwork('nowhere').getContract(profile.chaincode);
      expect((await refusal(nowhere.evaluateTransaction('read', 'k'))).code).to.equal(rpc.UNAVAILABLE);
      const endorsed = await refusal(nowhere.newProposal('read', { arguments: ['k'] }).endorse());
      expect(endorsed.code).to.equal(rpc.FAILED_PRECONDITION);
    });

    it('refuses an unknown organisation as endorser', async () => {
      expect((await refusal(endorse('read', ['k'], ['NobodyMSP']))).code).to.equal(rpc.UNAVAILABLE);
    });
  });

  describe('keeps state as Fabric does', () => {
    it('does not let a transaction read what it has just written', async () => {
      const transaction = await endorse('readOwnWrite', [key()]);
      expect(text(transaction.getResult())).to.equal('nothing');
    });

    it('deletes', async () => {
      const k = key();
      await commit('create', [k, 'one']);
      expect((await commit('delete', [k])).code).to.equal(StatusCode.VALID);
      expect(await read(k)).to.equal('');
      expect((await commit('create', [k, 'two'])).code).to.equal(StatusCode.VALID);
    });

    it('takes putting an empty value for deleting', async () => {
      const k = key();
      await commit('create', [k, 'one']);
      await commit('put', [k, '']);
      expect(await read(k)).to.equal('');
    });

    it('lets one of two transactions win that read the same version: the other is an MVCC conflict', async () => {
      const k = key();
      await commit('add', [k, '1']);
      const add = () => agreed(() => endorse('add', [k, '1']));
      const transactions = await Promise.all([add(), add()]);
      const statuses = await Promise.all(transactions.map(settle));
      const codes = statuses.map(({ code }) => code).toSorted((a, b) => a - b);
      expect(codes).to.deep.equal([StatusCode.VALID, StatusCode.MVCC_READ_CONFLICT]);
      expect(await read(k)).to.equal('2');
    });

    it('lets both of two transactions win that only write', async () => {
      const k = key();
      const transactions = await Promise.all([endorse('put', [k, 'a']), endorse('put', [k, 'b'])]);
      const statuses = await Promise.all(transactions.map(settle));
      expect(statuses.map(({ code }) => code)).to.deep.equal([StatusCode.VALID, StatusCode.VALID]);
      expect(await read(k)).to.be.oneOf(['a', 'b']);
    });
  });

  describe('counts a transaction once', () => {
    it('when it is submitted again', async () => {
      const k = key();
      const transaction = await endorse('add', [k, '1']);
      expect((await settle(transaction)).code).to.equal(StatusCode.VALID);
      const again = own.gateway.newTransaction(transaction.getBytes()).submit();
      // BFT orderers remember it and refuse; Raft's order it again, and peers then mark it 9.
      const refused = await again.then(
        () => undefined,
        (error: unknown) => error,
      );
      if (refused) expect(refused).to.have.property('code', rpc.UNAVAILABLE);
      expect(await read(k)).to.equal('1');
    });

    it('when it is submitted twice at once', async () => {
      const k = key();
      const transaction = await endorse('add', [k, '1']);
      const twice = [transaction, own.gateway.newTransaction(transaction.getBytes())];
      const submitted = await Promise.allSettled(twice.map((one) => one.submit()));
      const accepted = submitted.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
      expect(accepted).not.to.deep.equal([]);
      for (const one of accepted) expect((await one.getStatus()).code).to.equal(StatusCode.VALID);
      expect(await read(k)).to.equal('1');
    });

    it('when its proposal is made again', async () => {
      const proposal = own.contract.newProposal('add', { arguments: [key(), '1'] });
      await settle(await proposal.endorse());
      const again = await refusal(own.gateway.newProposal(proposal.getBytes()).endorse());
      expect([again.name, again.code]).to.deep.equal(['EndorseError', rpc.ABORTED]);
    });
  });

  describe('demands endorsements', () => {
    it('marks a transaction 10 that too few organisations endorsed', async () => {
      const k = key();
      const few = everyone().slice(0, profile.endorsements - 1);
      expect((await commit('add', [k, '1'], few)).code).to.equal(StatusCode.ENDORSEMENT_POLICY_FAILURE);
      expect(await read(k)).to.equal('');
    });

    it('asks enough organisations when none are named', async () => {
      const { endorsed } = openPrepared((await endorse('add', [key(), '1'])).getBytes());
      expect(endorsed.getEndorsementsList()).to.have.length(profile.endorsements);
    });

    it('counts an organisation once, however often it endorsed', async () => {
      const transaction = await endorse('add', [key(), '1'], [hospital.mspId]);
      const thrice = changePrepared(transaction.getBytes(), ({ endorsed }) => {
        const [only] = endorsed.getEndorsementsList();
        endorsed.setEndorsementsList([present(only), present(only), present(only)]);
      });
      const { code } = await settle(own.gateway.newTransaction(thrice));
      expect(code).to.equal(StatusCode.ENDORSEMENT_POLICY_FAILURE);
    });

    it('marks a transaction 10 whose result was changed after it was endorsed', async () => {
      const k = key();
      const transaction = await endorse('add', [k, '1']);
      const changed = changePrepared(transaction.getBytes(), ({ result }) => {
        result.getResponse()?.setPayload(Buffer.from('99'));
      });
      const { code } = await settle(own.gateway.newTransaction(changed));
      expect(code).to.equal(StatusCode.ENDORSEMENT_POLICY_FAILURE);
      expect(await read(k)).to.equal('');
    });

    it('refuses a contract that comes to different results', async () => {
      const refused = await refusal(endorse('clock', [key()], everyone()));
      expect([refused.name, refused.code]).to.deep.equal(['EndorseError', rpc.ABORTED]);
    });

    it('lets every organisation sign a view: a value and the version it was read at', async () => {
      const k = key();
      const { blockNumber } = await commit('create', [k, 'seen']);
      const view = await agreed(() => endorse('read', [k], everyone()));
      const { endorsed, response, result } = openPrepared(view.getBytes());
      expect(text(view.getResult())).to.equal('seen');

      const signed = endorsed.getEndorsementsList().map((endorsement) => {
        const endorser = endorsement.getEndorser_asU8();
        const { mspId, certificate } = readIdentity(endorser);
        const data = Buffer.concat([endorsed.getProposalResponsePayload_asU8(), endorser]);
        expect(verify('sha256', data, certificate.publicKey, endorsement.getSignature_asU8())).to.equal(true);
        expect(certificate.subject.split('\n')).to.include('OU=peer');
        expect(isIssuedBy(certificate, profile, mspId)).to.equal(true);
        return mspId;
      });
      expect(signed.toSorted()).to.deep.equal(everyone().toSorted());

      const { payload, action } = openPrepared(view.getBytes());
      const header = present(payload.getHeader());
      const hash = sha256(
        header.getChannelHeader_asU8(),
        header.getSignatureHeader_asU8(),
        action.getChaincodeProposalPayload_asU8(),
      );
      expect(hash.equals(response.getProposalHash_asU8())).to.equal(true);

      const set = readWriteSet(result, profile.chaincode);
      const [only, ...others] = set.getReadsList();
      expect([
        present(only).getKey(),
        BigInt(present(present(only).getVersion()).getBlockNum()),
      ]).to.deep.equal([k, blockNumber]);
      expect([others.length, set.getWritesList().length]).to.deep.equal([0, 0]);
    });

    it('reads no version where nothing was written', async () => {
      const view = await agreed(() => endorse('read', [key()], everyone()));
      const [only] = readWriteSet(openPrepared(view.getBytes()).result, profile.chaincode).getReadsList();
      expect(present(only).getVersion()).to.equal(undefined);
    });
  });

  describe('admits members only', () => {
    it('refuses a certificate of another organisation', async () => {
      const { mspId } = organisation(profile, 'courier');
      const stranger = {
        ...(await ledger.issue(mspId, { name: 'stranger', ou: 'client' })),
        mspId: hospital.mspId,
      };
      expect((await evaluateAs(stranger)).code).to.equal(rpc.FAILED_PRECONDITION);
      expect((await proposeAs(stranger)).code).to.equal(rpc.ABORTED);
    });

    it('refuses an organisation that it does not know', async () => {
      expect((await evaluateAs({ ...hospital, mspId: 'NobodyMSP' })).code).to.equal(rpc.FAILED_PRECONDITION);
    });

    it('refuses a signature by another key', async () => {
      const { key: otherKey } = await ledger.issue(hospital.mspId, { name: 'other', ou: 'client' });
      const impostor = { ...hospital, key: otherKey };
      expect((await evaluateAs(impostor)).code).to.equal(rpc.FAILED_PRECONDITION);
      expect((await proposeAs(impostor)).code).to.equal(rpc.ABORTED);
      const bytes = (await endorse('add', [key(), '1'])).getBytes();
      const submitted = await refusal(as(impostor, ({ gateway }) => gateway.newTransaction(bytes).submit()));
      expect([submitted.name, submitted.code]).to.deep.equal(['SubmitError', rpc.UNAVAILABLE]);
    });

    it('refuses an expired certificate', async () => {
      const now = Date.now();
      const expired = await ledger.issue(hospital.mspId, {
        name: 'expired',
        ou: 'client',
        notBefore: new Date(now - HOUR_MS),
        notAfter: new Date(now - 2 * SECOND_MS),
      });
      expect((await evaluateAs(expired)).code).to.equal(rpc.UNAVAILABLE);
      expect((await proposeAs(expired)).code).to.equal(rpc.ABORTED);
    });

    it("refuses a peer's certificate as a client", async () => {
      const station = await ledger.issue(hospital.mspId, { name: 'machine', ou: 'peer' });
      expect((await evaluateAs(station)).code).to.equal(rpc.FAILED_PRECONDITION);
      expect((await proposeAs(station)).code).to.equal(rpc.ABORTED);
    });

    it('tells a stranger neither the state of a transaction nor events', async () => {
      const submitted = await (await endorse('create', [key(), 'x'])).submit();
      const { key: otherKey } = await ledger.issue(hospital.mspId, { name: 'other', ou: 'client' });
      const impostor = { ...hospital, key: otherKey };
      const asked = await refusal(
        as(impostor, ({ gateway }) => gateway.newCommit(unsigned(submitted.getBytes())).getStatus()),
      );
      expect(asked.code).to.equal(rpc.PERMISSION_DENIED);
      const events = await refusal(
        as(impostor, async ({ network }) =>
          first(await network.getChaincodeEvents(profile.chaincode, { startBlock: 0n })),
        ),
      );
      expect(events.code).to.equal(rpc.PERMISSION_DENIED);
    });
  });

  describe('checks a proposal', () => {
    for (const [name, minutes] of [
      ['behind', -3],
      ['ahead', 3],
    ] as const) {
      it(`refuses a clock that is three minutes ${name}`, async () => {
        expect((await refusal(atTime(minutes * 60 * SECOND_MS).evaluate())).code).to.equal(rpc.UNAVAILABLE);
        expect((await refusal(atTime(minutes * 60 * SECOND_MS).endorse())).code).to.equal(rpc.ABORTED);
      });

      it(`bears a clock that is a minute and a half ${name}`, async () => {
        await atTime((minutes / 2) * 60 * SECOND_MS).evaluate();
      });
    }

    it('refuses a transaction id that is not the hash of nonce and creator', async () => {
      const refused = await refusal(
        changedProposal((channel) => channel.setTxId('ab'.repeat(32))).evaluate(),
      );
      expect(refused.code).to.equal(rpc.FAILED_PRECONDITION);
    });

    it('refuses a proposal without a nonce', async () => {
      const refused = await refusal(
        changedProposal((_channel, signature) => signature.setNonce('')).evaluate(),
      );
      expect(refused.code).to.equal(rpc.FAILED_PRECONDITION);
    });
  });

  describe("keeps blocks in Fabric's bytes", () => {
    it('chains each block to the one before and to its envelopes', async () => {
      const { blockNumber } = await commit('create', [key(), 'x']);
      const header = present((await blockAt(blockNumber)).getHeader());
      const before = present((await blockAt(blockNumber - 1n)).getHeader());
      const envelopes = present((await blockAt(blockNumber)).getData()).getDataList_asU8();
      expect(sha256(headerBytes(before)).equals(header.getPreviousHash_asU8())).to.equal(true);
      expect(sha256(...envelopes).equals(header.getDataHash_asU8())).to.equal(true);
    });

    it('lets a quorum of the orderers that block 0 names sign each block', async () => {
      const { blockNumber } = await commit('create', [key(), 'x']);
      const block = await blockAt(blockNumber);
      const consenters = readConsenters(await blockAt(0));
      expect(signersOf(block, consenters).size).to.be.at.least(quorumOf(consenters.size));
    });

    it('gives a transaction the hash of its nonce and creator as its id', async () => {
      const transaction = await endorse('create', [key(), 'x']);
      await settle(transaction);
      const processed = peer.ProcessedTransaction.deserializeBinary(
        await qscc('GetTransactionByID', transaction.getTransactionId()),
      );
      expect(processed.getValidationcode()).to.equal(StatusCode.VALID);
      const { payload, envelope } = openEnvelope(present(processed.getTransactionenvelope()));
      const signature = common.SignatureHeader.deserializeBinary(
        present(payload.getHeader()).getSignatureHeader_asU8(),
      );
      const id = sha256(signature.getNonce_asU8(), signature.getCreator_asU8()).toString('hex');
      expect(id).to.equal(transaction.getTransactionId());
      const { certificate } = readIdentity(signature.getCreator_asU8());
      expect(
        verify('sha256', envelope.getPayload_asU8(), certificate.publicKey, envelope.getSignature_asU8()),
      ).to.equal(true);
    });

    it('finds the block of a transaction, and the code of one that was refused', async () => {
      const refused = await endorse('add', [key(), '1'], [hospital.mspId]);
      const { blockNumber } = await settle(refused);
      const block = common.Block.deserializeBinary(await qscc('GetBlockByTxID', refused.getTransactionId()));
      expect(BigInt(present(block.getHeader()).getNumber())).to.equal(blockNumber);
      const processed = peer.ProcessedTransaction.deserializeBinary(
        await qscc('GetTransactionByID', refused.getTransactionId()),
      );
      expect(processed.getValidationcode()).to.equal(StatusCode.ENDORSEMENT_POLICY_FAILURE);
    });

    it('knows its height', async () => {
      const { blockNumber } = await commit('create', [key(), 'x']);
      const info = common.BlockchainInfo.deserializeBinary(await qscc('GetChainInfo'));
      expect(BigInt(info.getHeight())).to.equal(blockNumber + 1n);
      const last = present((await blockAt(blockNumber)).getHeader());
      expect(sha256(headerBytes(last)).equals(info.getCurrentblockhash_asU8())).to.equal(true);
    });

    it('answers at once that it does not know a transaction or a block', async () => {
      expect((await refusal(qscc('GetTransactionByID', 'ab'.repeat(32)))).code).to.equal(rpc.UNKNOWN);
      expect((await refusal(qscc('GetBlockByTxID', 'ab'.repeat(32)))).code).to.equal(rpc.UNKNOWN);
      expect((await refusal(qscc('GetBlockByNumber', '1000000'))).code).to.equal(rpc.UNKNOWN);
    });
  });

  describe('tells what happened', () => {
    it('from a cursor, without a gap or a repetition', async () => {
      const created = Array.from({ length: 6 }, key);
      const [firstKey = '', ...others] = created;
      const { blockNumber } = await commit('create', [firstKey, 'x']);
      await Promise.all(others.map((k) => commit('create', [k, 'x'])));
      const cursor = checkpointers.inMemory();
      const seen: string[] = [];
      const take = async (count: number): Promise<void> => {
        const events = await own.network.getChaincodeEvents(profile.chaincode, {
          startBlock: blockNumber,
          checkpoint: cursor,
        });
        try {
          for await (const event of events) {
            seen.push(text(event.payload));
            await cursor.checkpointChaincodeEvent(event);
            if (--count === 0) return;
          }
        } finally {
          events.close();
        }
      };
      await take(1);
      await take(2);
      await take(3);
      expect(seen[0]).to.equal(firstKey);
      expect(seen.toSorted()).to.deep.equal(created.toSorted());
    });

    it('as it happens', async () => {
      const k = key();
      const events = await own.network.getChaincodeEvents(profile.chaincode);
      try {
        const next = first(events);
        await commit('create', [k, 'x']);
        const event = present(await next);
        expect([event.eventName, text(event.payload), event.chaincodeName]).to.deep.equal([
          'created',
          k,
          profile.chaincode,
        ]);
      } finally {
        events.close();
      }
    });

    it('but not what a refused transaction would have done', async () => {
      const [k, marker] = [key(), key()];
      const transactions = await Promise.all([endorse('create', [k, 'x']), endorse('create', [k, 'y'])]);
      const statuses = await Promise.all(transactions.map(settle));
      await commit('create', [marker, 'x']);
      const [earlier] = statuses.map(({ blockNumber }) => blockNumber).toSorted((a, b) => Number(a - b));
      const events = await own.network.getChaincodeEvents(profile.chaincode, {
        startBlock: present(earlier),
      });
      const seen: string[] = [];
      try {
        for await (const event of events) {
          seen.push(text(event.payload));
          if (seen.at(-1) === marker) break;
        }
      } finally {
        events.close();
      }
      expect(seen.filter((payload) => payload === k)).to.have.length(1);
    });

    it('in whole blocks, from any number on', async () => {
      const { blockNumber } = await commit('create', [key(), 'x']);
      await commit('create', [key(), 'x']);
      const blocks = await own.network.getBlockEvents({ startBlock: blockNumber - 1n });
      const numbers: bigint[] = [];
      try {
        for await (const block of blocks) {
          numbers.push(BigInt(present(block.getHeader()).getNumber()));
          if (numbers.length === 3) break;
        }
      } finally {
        blocks.close();
      }
      expect(numbers).to.deep.equal([blockNumber - 1n, blockNumber, blockNumber + 1n]);
    });
  });

  describe('survives', () => {
    it('the end of the process that runs the contract', async () => {
      const k = key();
      await commit('create', [k, 'before']);
      await refusal(endorse('die', [], [hospital.mspId]));
      await eventually(async () => {
        expect(await read(k)).to.equal('before');
        expect((await commit('create', [key(), 'after'])).code).to.equal(StatusCode.VALID);
      });
    });

    it('a restart, with everything it had', async () => {
      const k = key();
      const { blockNumber } = await commit('create', [k, 'kept']);
      own.close();
      await ledger.restart();
      meet();
      expect(await read(k)).to.equal('kept');
      const next = await commit('create', [key(), 'x']);
      expect(next.blockNumber > blockNumber).to.equal(true);
      // What was used before the restart is still used after it.
      expect((await refusal(endorse('create', [k, 'again']))).says).to.include('EXISTS');
    });

    it('being killed under load, with every commit it acknowledged', async () => {
      const acknowledged: string[] = [];
      const isOver = new AbortController();
      const load = Array.from({ length: 10 }, async () => {
        while (!isOver.signal.aborted) {
          const k = key();
          const status = await commit('create', [k, k]).catch(() => undefined);
          if (status?.successful) acknowledged.push(k);
          if (!status) return;
        }
      });
      // As long as that takes on a busy machine.
      await eventually(() => {
        expect(acknowledged.length).to.be.greaterThan(10);
        return Promise.resolve();
      });
      await ledger.crash();
      isOver.abort();
      own.close();
      await Promise.all(load);
      meet();
      const lost: string[] = [];
      for (const k of acknowledged) if ((await read(k)) !== k) lost.push(k);
      expect(lost).to.deep.equal([]);
    });
  });
}

/** Submits, and waits for what becomes of it. */
async function settle(transaction: Transaction): Promise<Status> {
  return (await transaction.submit()).getStatus();
}

interface Refusal {
  readonly name: string;
  readonly code: number;
  /** Everything that was said, by whomever. */
  readonly says: string;
  /** How many peers said something. */
  readonly details: number;
}

/** What a call was refused with. Throws when it was not refused. */
async function refusal(call: Promise<unknown>): Promise<Refusal> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof GatewayError)) throw error ?? new Error('this should have been refused');
  const says = [error.message, ...error.details.map(({ message }) => message)].join('\n');
  return { name: error.name, code: error.code, says, details: error.details.length };
}

/** Endorses again while peers differ only because one of them is a block behind: nothing is submitted by that. */
async function agreed(endorse: () => Promise<Transaction>): Promise<Transaction> {
  for (const deadline = Date.now() + 5 * SECOND_MS; ;) {
    try {
      return await endorse();
    } catch (error) {
      const lagging =
        error instanceof GatewayError &&
        ABORTED === error.code &&
        !error.details.some(({ message }) => message.includes('chaincode response'));
      if (!lagging || Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Tries again for a while: a process that is coming back takes some seconds. */
async function eventually(attempt: () => Promise<void>): Promise<void> {
  for (const deadline = Date.now() + 30 * SECOND_MS; ;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, SECOND_MS / 2));
    }
  }
}

async function first<T>(events: AsyncIterable<T>): Promise<T | undefined> {
  for await (const event of events) return event;
  return undefined;
}

/** A request for a transaction's status as its bytes, for somebody else to sign. */
function unsigned(bytes: Uint8Array): Uint8Array {
  const signed = messages.SignedCommitStatusRequest.deserializeBinary(bytes);
  signed.setSignature('');
  return signed.serializeBinary();
}

function readIdentity(bytes: Uint8Array): { mspId: string; certificate: X509Certificate } {
  const identity = msp.SerializedIdentity.deserializeBinary(bytes);
  return { mspId: identity.getMspid(), certificate: new X509Certificate(identity.getIdBytes_asU8()) };
}

function isIssuedBy(certificate: X509Certificate, { organisations }: NetworkProfile, mspId: string): boolean {
  const issuer = new X509Certificate(present(organisations.find((one) => one.mspId === mspId)).ca);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString();
}
