import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { common } from '@hyperledger/fabric-protos';
import { control, controlPath } from '@yaoji/network/fabric/control';
import { checkEnough } from '@yaoji/network/fabric/dismiss';
import { ORDERINGS, placesIn, readLayout } from '@yaoji/network/fabric/layout';
import { askOperations, metricIn } from '@yaoji/network/fabric/operations';
import { isRunning, readProcesses, type ProcessRecord } from '@yaoji/network/fabric/processes';
import { mustRestart } from '@yaoji/network/fabric/restart';
import { readStatus, type NodeStatus } from '@yaoji/network/fabric/status';
import { openMember } from '@yaoji/network/identities/member';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';
import { needsFabric, REAL_FABRIC } from '../../support/fabric.ts';
import { needsTime } from '../../support/left-out.ts';
import {
  connectAs,
  launchFabric,
  servicePerson,
  type LaunchedLedger,
  type LedgerClient,
} from '../../support/ledger-under-test.ts';

describe('A change of the members', () => {
  it('leaves as many as ordering needs', () => {
    checkEnough('bft', 4);
    checkEnough('raft', 3);
    expect(() => checkEnough('bft', 3)).to.throw('fewer than four members cannot order by BFT');
    expect(() => checkEnough('raft', 2)).to.throw('fewer than three members');
  });

  it('has orderers started again where those from before sign too few of the blocks to come', () => {
    // Of 4 BFT orderers 3 sign, of 5 and 6 4, of 7 5.
    expect(mustRestart('bft', 5, 4)).to.equal(true);
    expect(mustRestart('bft', 4, 5)).to.equal(false);
    expect(mustRestart('bft', 5, 6)).to.equal(true);
    expect(mustRestart('bft', 6, 5)).to.equal(false);
    expect(mustRestart('raft', 4, 3)).to.equal(false);
  });
});

const NEWCOMER = 'SecondDecoctionMSP';

for (const ordering of ORDERINGS) {
  describe(`${REAL_FABRIC}: a network that orders by ${ordering} and whose members change`, function () {
    this.timeout(240_000);

    const folder = mkdtempSync(join(tmpdir(), 'yaoji-members-'));
    let running: LaunchedLedger;
    const clients: LedgerClient[] = [];
    const acknowledged: string[] = [];

    const start = async (): Promise<void> => {
      running = await launchFabric(folder, '--ordering', ordering);
    };
    const end = async (): Promise<void> => {
      for (const client of clients.splice(0)) client.close();
      const exited = once(running.child, 'exit');
      running.child.kill('SIGTERM');
      await exited;
    };
    const profile = (): NetworkProfile => readProfile(running.profile);
    const tell = (command: { add: string } | { remove: string }): Promise<string> =>
      control(controlPath(folder), command).then(
        () => 'done',
        (error: Error) => error.message,
      );
    const clientOf = (mspId: string, through = mspId, known = profile()): LedgerClient => {
      const own = known.organisations.find((one) => one.mspId === mspId)!;
      const client = connectAs(servicePerson(own), profile(), through);
      clients.push(client);
      return client;
    };
    const processes = (): ProcessRecord[] => readProcesses(placesIn(folder).run).filter(isRunning);
    const orderers = async (): Promise<NodeStatus[]> =>
      (await readStatus(folder)).filter(({ name }) => name.startsWith('orderer-'));
    const haveAllBlocks = (): Promise<void> =>
      eventually(async () => {
        const nodes = (await readStatus(folder)).filter(({ name }) => !name.startsWith('chaincode-'));
        const heights = new Set(nodes.map(({ blocks }) => blocks));
        if (heights.size > 1 || heights.has(undefined)) {
          throw new Error(nodes.map(({ name, blocks }) => `${name} ${blocks}`).join(', '));
        }
      });
    /** Writes while something happens; every write that was acknowledged is looked for at the end. */
    const whileWriting = async (mspId: string, what: () => Promise<string>): Promise<void> => {
      const { contract } = clientOf(mspId);
      const over = new AbortController();
      let longest = 0;
      const writing = (async () => {
        while (!over.signal.aborted) {
          const key = `traffic-${acknowledged.length}`;
          const asked = Date.now();
          await eventually(() => contract.submitTransaction('put', key, 'x'));
          longest = Math.max(longest, Date.now() - asked);
          acknowledged.push(key);
        }
      })();
      const before = acknowledged.length;
      const said = await what();
      await sleep(1000);
      over.abort();
      await writing;
      process.stdout.write(`    ${acknowledged.length - before} writes, the longest ${longest} ms\n`);
      expect(said).to.equal('done');
    };
    /** How many orderers have their part in ordering: by BFT those that signed this many new blocks, by Raft whom the leader hears. */
    const partakers = async (): Promise<number> => {
      if (ordering === 'raft') {
        const leader = (await orderers()).find(({ isLeader }) => isLeader);
        const at = readLayout(placesIn(folder))!.members.find(({ mspId }) => mspId === leader?.mspId);
        if (!at) throw new Error('none leads');
        const identities = await openMember(placesIn(folder).member(at.mspId), at.mspId, []);
        const { body } = await askOperations(identities, at.orderer.operations, '/metrics');
        return metricIn(body, 'consensus_etcdraft_active_nodes') ?? 0;
      }
      const client = clientOf(NEWCOMER);
      const signers = new Set<number>();
      for (let i = 0; i < 10; i++) {
        await eventually(() => client.contract.submitTransaction('put', 'signed', String(i)));
        const bytes = await client.network
          .getContract('qscc')
          .evaluateTransaction('GetChainInfo', profile().channel);
        const height = common.BlockchainInfo.deserializeBinary(bytes).getHeight();
        const block = await client.network
          .getContract('qscc')
          .evaluateTransaction('GetBlockByNumber', profile().channel, String(height - 1));
        for (const id of signersOf(block)) signers.add(id);
      }
      return signers.size;
    };

    before(async function () {
      await needsFabric(this);
      if (ordering === 'raft')
        needsTime(this, 'members that join and leave a network that orders by Raft', 2);
      await start();
    });
    after(async () => {
      if (running?.child.exitCode === null) await end();
      rmSync(folder, { recursive: true, force: true });
    });

    it('takes in a member while it settles, with an orderer, a peer and a contract like those of the others', async () => {
      await whileWriting('RegulatorMSP', () => tell({ add: `${NEWCOMER}:decoction` }));
      await haveAllBlocks();
      const names = (await readStatus(folder)).map(({ name }) => name);
      expect(names).to.include.members(['orderer-seconddecoction', 'peer-seconddecoction']);
      expect([profile().organisations.length, profile().endorsements]).to.deep.equal([5, 3]);
    });

    it('orders with the newcomer too', async () => {
      await eventually(async () => expect(await partakers()).to.equal(5));
    });

    it('lets a member go while it settles, the one whose orderer leads: nothing of it runs or counts any more', async () => {
      const known = profile();
      const leader = (await orderers()).find(({ isLeader }) => isLeader)!;
      const stays = known.organisations.find(({ mspId }) => mspId !== leader.mspId)!.mspId;
      await whileWriting(stays, () => tell({ remove: leader.mspId }));
      expect([profile().organisations.length, profile().endorsements]).to.deep.equal([4, 3]);
      const [, name = ''] = leader.name.split('-');
      expect(processes().filter((one) => one.name.split('-')[1] === name)).to.deep.equal([]);
      expect(existsSync(placesIn(folder).member(leader.mspId)), 'its keys').to.equal(true);

      const gone = clientOf(leader.mspId, stays, known).contract.submitTransaction('put', 'gone', 'x');
      expect(await gone.catch((error: Error) => error.name)).to.equal('EndorseError');
      const { contract } = clientOf(stays);
      const endorsingOrganizations = [stays, leader.mspId];
      const asked = contract.newProposal('put', { arguments: ['asked', 'x'], endorsingOrganizations });
      expect(await asked.endorse().then(String, (error: Error) => error.name)).to.equal('EndorseError');
      await haveAllBlocks();
    });

    it('orders without it, also after all has ended and started', async () => {
      await end();
      await start();
      await eventually(async () => expect(await partakers()).to.equal(4));
      await haveAllBlocks();
    });

    it('lets nobody go whom it needs, and nobody who is no member', async () => {
      expect(await tell({ remove: 'NobodyMSP' })).to.equal('NobodyMSP is no member');
      if (ordering === 'raft') expect(await tell({ remove: NEWCOMER })).to.equal('done');
      const before = processes();
      const [one] = profile().organisations;
      expect(await tell({ remove: one!.mspId })).to.match(/fewer than (four|three) members/);
      expect(processes()).to.deep.equal(before);
    });

    it('has all that was acknowledged', async () => {
      const { contract } = clientOf(profile().organisations[0]!.mspId);
      for (const key of acknowledged) {
        expect(Buffer.from(await contract.evaluateTransaction('read', key)).toString(), key).to.equal('x');
      }
    });
  });
}

/** The numbers of the orderers that have signed a block of a network that orders by BFT. */
function signersOf(block: Uint8Array): number[] {
  const [signatures] = common.Block.deserializeBinary(block).getMetadata()!.getMetadataList_asU8();
  return common.Metadata.deserializeBinary(signatures!)
    .getSignaturesList()
    .map((one) => common.IdentifierHeader.deserializeBinary(one.getIdentifierHeader_asU8()).getIdentifier());
}

/** Tries again for a minute. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 60_000; ; await sleep(100)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
