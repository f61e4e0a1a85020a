import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { status as rpc } from '@grpc/grpc-js';
import {
  GatewayError,
  StatusCode,
  type SubmittedTransaction,
  type Transaction,
} from '@hyperledger/fabric-gateway';
import { msp } from '@hyperledger/fabric-protos';
import { control, controlPath, type Command } from '@yaoji/network/local/control';
import { parseSettings, type Faults, type FaultSettings } from '@yaoji/network/local/faults';
import { startLocalLedger, type RunningLedger } from '@yaoji/network/local/start';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';

import { openPrepared } from '../support/fabric-messages.ts';
import {
  connectAs,
  launchLocalLedger,
  organisation,
  probeChaincode,
  servicePerson,
  type LedgerClient,
} from '../support/ledger-under-test.ts';

const SECOND_MS = 1000;
const HOSPITAL = 'HospitalMSP';
const DECOCTION = 'DecoctionMSP';
const COURIER = 'CourierMSP';
const REGULATOR = 'RegulatorMSP';

describe("The local ledger's fault switches", function () {
  this.timeout(120 * SECOND_MS);

  let folder: string;
  let ledger: RunningLedger;
  let faults: Faults;
  let profile: NetworkProfile;
  let hospital: LedgerClient;
  let courier: LedgerClient;
  let keys = 0;
  const key = (): string => `key-${++keys}`;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-faults-'));
    ledger = await startLocalLedger({ folder, chaincode: probeChaincode() });
    ({ faults } = ledger);
    profile = readProfile(ledger.profile);
    hospital = clientOf(profile, 'hospital');
    courier = clientOf(profile, 'courier');
  });
  afterEach(() => faults.clear());
  after(async () => {
    hospital.close();
    courier.close();
    await ledger.stop();
    rmSync(folder, { recursive: true });
  });

  const endorse = (name: string, args: string[], endorsingOrganizations?: string[]): Promise<Transaction> =>
    hospital.contract
      .newProposal(name, { arguments: args, ...(endorsingOrganizations && { endorsingOrganizations }) })
      .endorse();
  const commit = async (name: string, ...args: string[]): Promise<number> =>
    codeOf(await (await endorse(name, args)).submit());
  const readAs = async ({ contract }: LedgerClient, at: string): Promise<string> =>
    Buffer.from(await contract.evaluateTransaction('read', at)).toString();
  const isKnown = async (txId: string): Promise<boolean> => {
    const known = hospital.network
      .getContract('qscc')
      .evaluateTransaction('GetTransactionByID', profile.channel, txId);
    return known.then(
      () => true,
      () => false,
    );
  };

  describe('refuse', () => {
    it("makes an organisation's peer unavailable to its own clients, for proposals and for queries", async () => {
      faults.set({ refuseEndorsing: [HOSPITAL] });
      const endorsed = await refusal(endorse('put', [key(), 'x']));
      expect([endorsed.name, endorsed.code]).to.deep.equal(['EndorseError', rpc.UNAVAILABLE]);
      expect((await refusal(readAs(hospital, 'k'))).code).to.equal(rpc.UNAVAILABLE);
      expect(await readAs(courier, 'k')).to.equal('');
    });

    it('is planned around when another organisation endorses by default', async () => {
      const before = await endorse('put', [key(), 'x']);
      expect(endorsersOf(before)).to.deep.equal([HOSPITAL, DECOCTION, COURIER]);
      faults.set({ refuseEndorsing: [DECOCTION] });
      const after = await endorse('put', [key(), 'x']);
      expect(endorsersOf(after)).to.deep.equal([HOSPITAL, COURIER, REGULATOR]);
      expect(await codeOf(await after.submit())).to.equal(StatusCode.VALID);
    });

    it('is not planned around when too few are left, and the answer names who failed', async () => {
      faults.set({ refuseEndorsing: [DECOCTION, COURIER] });
      const { name, code, whose } = await refusal(endorse('put', [key(), 'x']));
      expect([name, code]).to.deep.equal(['EndorseError', rpc.ABORTED]);
      expect(whose).to.have.members([DECOCTION, COURIER]);
    });

    it('is not planned around when the client has named its endorsers', async () => {
      faults.set({ refuseEndorsing: [DECOCTION] });
      const everyone = profile.organisations.map(({ mspId }) => mspId);
      const { name, code } = await refusal(endorse('put', [key(), 'x'], everyone));
      expect([name, code]).to.deep.equal(['EndorseError', rpc.UNAVAILABLE]);
    });

    it('orders without one orderer, and not without two', async () => {
      const at = key();
      faults.set({ refuseOrdering: [HOSPITAL] });
      expect(await commit('add', at, '1')).to.equal(StatusCode.VALID);
      faults.set({ refuseOrdering: [HOSPITAL, REGULATOR] });
      const transaction = await endorse('add', [at, '1']);
      const { name, code } = await refusal(transaction.submit());
      expect([name, code]).to.deep.equal(['SubmitError', rpc.UNAVAILABLE]);
      faults.clear();
      expect(await commit('put', key(), 'later')).to.equal(StatusCode.VALID);
      expect([await isKnown(transaction.getTransactionId()), await readAs(hospital, at)]).to.deep.equal([
        false,
        '1',
      ]);
    });
  });

  describe('delay', () => {
    it('makes endorsing take its time', async () => {
      faults.set({ delayEndorsing: 300 });
      const begun = performance.now();
      await endorse('put', [key(), 'x']);
      expect(performance.now() - begun).to.be.at.least(290);
    });

    it('makes a client that does not wait so long give up', async () => {
      faults.set({ delayEndorsing: 2000 });
      const proposal = hospital.contract.newProposal('put', { arguments: [key(), 'x'] });
      const { name, code } = await refusal(proposal.endorse({ deadline: Date.now() + 200 }));
      expect([name, code]).to.deep.equal(['EndorseError', rpc.DEADLINE_EXCEEDED]);
    });

    it('keeps an accepted transaction from being ordered for a while: meanwhile nobody knows it', async () => {
      faults.set({ delayOrdering: 500 });
      const submitted = await (await endorse('put', [key(), 'x'])).submit();
      expect(await isKnown(submitted.getTransactionId())).to.equal(false);
      expect(await codeOf(submitted)).to.equal(StatusCode.VALID);
      expect(await isKnown(submitted.getTransactionId())).to.equal(true);
    });
  });

  describe('drop the answer after ordering', () => {
    const failsButCommits = async (
      settings: Partial<FaultSettings>,
      deadline?: () => number,
    ): Promise<Awaited<ReturnType<typeof refusal>>> => {
      const at = key();
      const transaction = await endorse('add', [at, '1']);
      faults.set(settings);
      const refused = await refusal(transaction.submit(deadline && { deadline: deadline() }));
      await until(() => isKnown(transaction.getTransactionId()));
      expect(await readAs(hospital, at)).to.equal('1');
      // It is counted: the next one is answered.
      expect(await commit('add', at, '1')).to.equal(StatusCode.VALID);
      return refused;
    };

    it('drops the connection, although the transaction commits', async () => {
      const { name, code } = await failsButCommits({ loseAnswers: 1 });
      expect([name, code]).to.deep.equal(['SubmitError', rpc.UNAVAILABLE]);
    });

    it('leaves the client without an answer until its deadline, although the transaction commits', async () => {
      const { name, code } = await failsButCommits({ withholdAnswers: 1 }, () => Date.now() + 300);
      expect([name, code]).to.deep.equal(['SubmitError', rpc.DEADLINE_EXCEEDED]);
    });

    it('reports "request already processed" for a first submit, although the transaction commits', async () => {
      const { name, code, says } = await failsButCommits({ claimProcessed: 1 });
      expect([name, code]).to.deep.equal(['SubmitError', rpc.UNAVAILABLE]);
      expect(says).to.include('request already processed');
    });
  });

  it('marks a transaction 11, which then has written nothing', async () => {
    const at = key();
    faults.set({ conflicts: 1 });
    expect(await commit('add', at, '1')).to.equal(StatusCode.MVCC_READ_CONFLICT);
    expect(await readAs(hospital, at)).to.equal('');
    expect(await commit('add', at, '1')).to.equal(StatusCode.VALID);
    expect(await readAs(hospital, at)).to.equal('1');
  });

  describe('cut streams', () => {
    it('breaks a wait for the outcome, which can be asked for again', async () => {
      faults.set({ delayOrdering: 600 });
      const submitted = await (await endorse('put', [key(), 'x'])).submit();
      const waiting = refusal(submitted.getStatus());
      await sleep(200);
      faults.cutStreams();
      const { name, code } = await waiting;
      expect([name, code]).to.deep.equal(['CommitStatusError', rpc.UNAVAILABLE]);
      expect(await codeOf(submitted)).to.equal(StatusCode.VALID);
    });

    it('ends event and block streams with an error, and new ones work', async () => {
      const seen = { events: 0, blocks: 0 };
      const events = await hospital.network.getChaincodeEvents(profile.chaincode);
      const blocks = await hospital.network.getBlockEvents();
      const broken = Promise.all([
        refusal(readAll(events, () => seen.events++)),
        refusal(readAll(blocks, () => seen.blocks++)),
      ]);
      await until(async () => {
        await commit('create', key(), 'x');
        return seen.events > 0 && seen.blocks > 0;
      });
      faults.cutStreams();
      for (const { name, code } of await broken)
        expect([name, code]).to.deep.equal(['GatewayError', rpc.UNAVAILABLE]);
      const again = await hospital.network.getBlockEvents({ startBlock: 0n });
      for await (const block of again) {
        expect(block.getHeader()?.getNumber()).to.equal(0);
        break;
      }
      again.close();
    });
  });

  describe('lag', () => {
    it('makes a read at a lagging organisation stale until the next block', async () => {
      const at = key();
      await commit('add', at, '1');
      faults.set({ lag: [COURIER] });
      await commit('add', at, '1');
      expect([await readAs(hospital, at), await readAs(courier, at)]).to.deep.equal(['2', '1']);
      await commit('put', key(), 'another block');
      expect(await readAs(courier, at)).to.equal('2');
    });

    it('never takes a peer back behind what it has shown', async () => {
      const at = key();
      await commit('add', at, '1');
      expect(await readAs(courier, at)).to.equal('1');
      faults.set({ lag: [COURIER] });
      expect(await readAs(courier, at)).to.equal('1');
    });

    it('is planned around when one organisation lags, and is a mismatch when two do', async () => {
      const at = key();
      faults.set({ lag: [DECOCTION] });
      await commit('add', at, '1');
      expect(endorsersOf(await endorse('add', [at, '1']))).to.deep.equal([HOSPITAL, COURIER, REGULATOR]);
      faults.set({ lag: [DECOCTION, COURIER] });
      await commit('add', at, '1');
      const { name, code, says, whose } = await refusal(endorse('add', [at, '1']));
      expect([name, code]).to.deep.equal(['EndorseError', rpc.ABORTED]);
      expect(says).to.include('ProposalResponsePayloads do not match');
      expect(whose).to.have.members([DECOCTION, COURIER]);
    });

    it('lets a client see what its own, lagging peer has told it is committed', async () => {
      const at = key();
      faults.set({ lag: [HOSPITAL] });
      await commit('add', at, '1');
      expect(await readAs(hospital, at)).to.equal('1');
    });

    it('hides the newest transaction from who asks a lagging peer for it by its id', async () => {
      faults.set({ lag: [HOSPITAL] });
      const { contract } = courier;
      const transaction = await contract.newProposal('put', { arguments: [key(), 'x'] }).endorse();
      expect(await codeOf(await transaction.submit())).to.equal(StatusCode.VALID);
      expect(await isKnown(transaction.getTransactionId())).to.equal(false);
      await commit('put', key(), 'another block');
      expect(await isKnown(transaction.getTransactionId())).to.equal(true);
    });
  });

  it('says what is wrong with a setting', () => {
    expect(() => parseSettings({ refuse: [] })).to.throw('there is no fault "refuse"');
    expect(() => parseSettings({ toString: 1 })).to.throw('there is no fault "toString"');
    expect(() => parseSettings({ conflicts: -1 })).to.throw('-1 is nothing for conflicts');
    expect(() => parseSettings({ lag: HOSPITAL })).to.throw('is nothing for lag');
    expect(() => parseSettings({ die: 'now' })).to.throw('"now" is nothing for die');
    expect(parseSettings({ die: 'before-block', lag: [HOSPITAL] })).to.have.keys('die', 'lag');
  });
});

describe('A local ledger in a process of its own', function () {
  this.timeout(120 * SECOND_MS);

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-faults-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const tell = (command: Command) => control(controlPath(folder), command);

  it('takes switches over its control socket and tells the pid of its contract', async () => {
    const { child, profile: path } = await launchLocalLedger(folder, '--control');
    const client = clientOf(readProfile(path), 'hospital');
    const { chaincode } = await tell({ set: { refuseEndorsing: [HOSPITAL] } });
    expect((await refusal(client.contract.evaluateTransaction('read', 'k'))).code).to.equal(rpc.UNAVAILABLE);
    await tell({ clear: true });
    const told = await client.contract.evaluateTransaction('processId');
    expect(Number(Buffer.from(told).toString())).to.equal(chaincode);
    const wrong: [object, string][] = [
      [{ set: { lag: 1 } }, 'is nothing for lag'],
      [{ kill: true }, 'there is no command "kill"'],
    ];
    for (const [command, why] of wrong) expect((await refusal(tell(command))).says).to.include(why);
    client.close();
    await end(child);
  });

  it('has no control socket unless it is asked for', async () => {
    const { child } = await launchLocalLedger(folder);
    expect(existsSync(controlPath(folder))).to.equal(false);
    await end(child);
  });

  for (const { die, isThere } of [
    { die: 'before-block', isThere: false },
    { die: 'after-block', isThere: true },
  ] as const)
    it(`dies ${die === 'before-block' ? 'before' : 'after'} a block is written: it is ${isThere ? '' : 'not '}there afterwards`, async () => {
      const first = await launchLocalLedger(folder, '--control');
      const client = clientOf(readProfile(first.profile), 'hospital');
      await client.contract.submitTransaction('add', 'key', '1');
      await tell({ set: { die } });
      const exited = once(first.child, 'exit');
      const { name, code } = await refusal(client.contract.submitTransaction('add', 'key', '1'));
      expect([name, code]).to.deep.equal(['CommitStatusError', rpc.UNAVAILABLE]);
      expect(await exited).to.deep.equal([null, 'SIGKILL']);
      client.close();

      const again = await launchLocalLedger(folder, '--control');
      const survivor = clientOf(readProfile(again.profile), 'hospital');
      const value = await survivor.contract.evaluateTransaction('read', 'key');
      expect(Buffer.from(value).toString()).to.equal(isThere ? '2' : '1');
      survivor.close();
      await end(again.child);
    });
});

function clientOf(profile: NetworkProfile, kind: Parameters<typeof organisation>[1]): LedgerClient {
  return connectAs(servicePerson(organisation(profile, kind)), profile);
}

async function codeOf(submitted: SubmittedTransaction): Promise<number> {
  return (await submitted.getStatus()).code;
}

function endorsersOf(transaction: Transaction): string[] {
  return openPrepared(transaction.getBytes())
    .endorsed.getEndorsementsList()
    .map((endorsement) =>
      msp.SerializedIdentity.deserializeBinary(endorsement.getEndorser_asU8()).getMspid(),
    );
}

async function readAll(stream: AsyncIterable<unknown>, each: () => void): Promise<void> {
  for await (const _ of stream) each();
}

async function end(child: Awaited<ReturnType<typeof launchLocalLedger>>['child']): Promise<void> {
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + 30 * SECOND_MS; !(await isSo());) {
    if (Date.now() > deadline) throw new Error('it did not come to that');
    await sleep(20);
  }
}

/** How something failed: the error, its code, all of its words, and whose peers' words are among them. */
async function refusal(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof GatewayError))
    return {
      name: 'Error',
      code: -1,
      says: error instanceof Error ? error.message : String(error),
      whose: [],
    };
  const { name, code, details, message } = error;
  return {
    name,
    code,
    says: [message, ...details.map((detail) => detail.message)].join('\n'),
    whose: details.map(({ mspId }) => mspId),
  };
}
