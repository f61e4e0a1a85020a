import { expect } from 'chai';
import { keccak256 } from 'ethers';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectChain } from '@yaoji/api/chain/chain';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { anchorRoot, checkpointsOf, fromUtf8, parseCanonical, readView } from '@yaoji/chaincode/core';
import { startAnvil } from '../../support/anvil.ts';
import {
  deployOn,
  startAnchorChain,
  startAnchoring,
  type AnchorChain,
  type Anchoring,
} from '../../support/chain.ts';
import { startLyingNode, type Lie, type LyingNode } from '../../support/lying-node.ts';
import { realParts, settled, Telling, until } from '../../support/service.ts';
import { walletSigner } from '../../support/wallet.ts';

type DropFirst<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;

describe('anchoring', function () {
  this.timeout(120_000);
  const parts = realParts();
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-anchor-'));
  const open: { stop(): Promise<unknown> }[] = [];
  after(() => rmSync(folder, { recursive: true }));
  afterEach(async () => {
    for (const one of open.splice(0).toReversed()) await one.stop();
  });

  async function onChain(args: string[] = []): Promise<AnchorChain & { key: string }> {
    const chain = await startAnchorChain({ args });
    open.push(chain.anvil);
    const key = join(folder, `${chain.contract}.key`);
    chain.writeKey(key);
    return { ...chain, key };
  }

  function anchoring(...[chain, url, options]: DropFirst<Parameters<typeof startAnchoring>>): Anchoring {
    const anchorer = startAnchoring(parts(), chain, url, options);
    open.push(anchorer);
    return anchorer;
  }

  /** Records something new, and settles it: nothing of it needs the chain. */
  async function record(): Promise<void> {
    const [receipt] = await settled(parts().pipeline(), parts(), [new Telling(parts()).say('RX_ISSUED')]);
    expect(receipt?.outcome).to.equal('settled');
  }

  /** How many transactions of the operator the chain has: the first is the deployment. */
  const transactions = async ({ anvil, operator }: AnchorChain): Promise<number> =>
    Number(await anvil.rpc('eth_getTransactionCount', operator.address, 'latest'));
  const rootOn = async (chain: AnchorChain, seq: number): Promise<string | undefined> =>
    connectChain(connectRpc(chain.anvil.url), walletSigner(chain.operator), {
      id: 31_337,
      contract: chain.contract,
    }).rootOf(seq);

  describe('on a chain that works', () => {
    it('keeps a view of all logs, publishes the root of its checkpoints, and says when its block is final', async () => {
      const chain = await onChain();
      await record();
      const running = anchoring(chain, chain.anvil.url, { confirmations: 3 });
      // The first look finds something new without being told.
      await running.reaches('included');
      const { rows } = await parts().pool.query<{ view: Buffer; root: Buffer }>(
        'select view, root from anchor where contract = $1',
        [chain.contract],
      );
      const view = readView(rows[0]!.view);
      const values = parseCanonical(fromUtf8(view.payload)) as Record<string, unknown>;
      const checkpoints = checkpointsOf(new Map(Object.entries(values)), view.channel);
      expect(checkpoints.map(({ origin }) => origin)).to.include(`${view.channel}/HospitalMSP`);
      const root = `0x${Buffer.from(anchorRoot(checkpoints, nodeSuite.sha256)).toString('hex')}`;
      const state = await running.state(1);
      expect(state?.root).to.equal(root);
      expect(await rootOn(chain, 1)).to.equal(root);
      await chain.anvil.rpc('anvil_mine', '0x2');
      await chain.anvil.rpc('anvil_mine', '0x1');
      await running.reaches('final');
      expect(running.trouble()).to.equal(undefined);
      expect(running.told.map(({ what }) => what)).to.deep.equal(['anchored', 'anchor final']);
    });

    it('makes no anchor while nothing is new, and says so to whoever demands one', async () => {
      const chain = await onChain();
      await record();
      const running = anchoring(chain, chain.anvil.url, { pace: { every: 0 } });
      await running.reaches('included');
      expect(await running.demand()).to.deep.include({ seq: 1, reason: 'NOTHING_NEW' });
      await record();
      await running.reaches('included', 2);
      expect(await transactions(chain)).to.equal(3);
    });

    it('anchors sooner on demand, and answers with the number', async () => {
      const chain = await onChain();
      await record();
      const running = anchoring(chain, chain.anvil.url);
      await running.reaches('included');
      await record();
      expect(await running.demand()).to.deep.equal({ seq: 2, state: 'pending' });
      await running.reaches('included', 2);
    });

    it('anchors no sooner than it may, also on demand', async () => {
      const chain = await onChain();
      await record();
      const running = anchoring(chain, chain.anvil.url, { pace: { least: 3_600_000 } });
      await running.reaches('included');
      await record();
      expect(await running.demand()).to.deep.equal({ reason: 'TOO_SOON' });
    });

    it('makes one anchor where two processes share a store', async () => {
      const chain = await onChain();
      await record();
      const both = [anchoring(chain, chain.anvil.url), anchoring(chain, chain.anvil.url)];
      await both[0]!.reaches('included');
      for (let seq = 2; seq <= 4; seq++) {
        await record();
        await Promise.all(both.map((one) => one.demand()));
        await both[0]!.reaches('included', seq);
      }
      expect((await both[0]!.state())?.seq).to.equal(4);
      expect(await transactions(chain)).to.equal(5);
      for (const { told } of both) expect(told.filter(({ level }) => level !== 'info')).to.deep.equal([]);
    });
  });

  describe('after an answer was lost', () => {
    it('makes no second anchor, whichever answer it was', async () => {
      const chain = await onChain();
      const node = await startLyingNode(chain.anvil.url);
      open.push(node);
      await record();
      const running = anchoring(chain, node.url);
      await running.reaches('included');
      let seq = 1;
      const once = (): ((_: unknown, truth: unknown) => Lie | undefined) => {
        let lied = false;
        // The truth is asked for first: what was to be done is done, and the answer is lost.
        return () => (lied ? undefined : ((lied = true), 'break'));
      };
      for (const method of [
        'eth_sendRawTransaction',
        'eth_call',
        'eth_getTransactionReceipt',
        'eth_getBlockReceipts',
      ]) {
        node.honest();
        node.lie(method, once());
        await record();
        await running.demand();
        await running.reaches('included', ++seq);
        expect(await transactions(chain), method).to.equal(seq + 1);
      }
    });

    it('finds the event of an anchor whose transaction it does not know', async () => {
      const chain = await onChain(['--no-mining']);
      await record();
      const running = anchoring(chain, chain.anvil.url);
      await until('the transaction is sent', async () => {
        const { pending } = (await chain.anvil.rpc('txpool_status')) as { pending: string };
        return Number(pending) > 0;
      });
      // Somebody with the same key was faster, as a copy of this store would be.
      const copy = connectChain(connectRpc(chain.anvil.url), walletSigner(chain.operator), {
        id: 31_337,
        contract: chain.contract,
      });
      const { root } = (await running.state(1))!;
      const first = await copy.sign(1, root, 1);
      const faster = await copy.sign(1, root, 1, first);
      await copy.send(faster!);
      await chain.anvil.rpc('evm_mine');
      await running.reaches('included');
      expect((await running.state(1))?.transaction).to.equal(faster!.hash);
    });
  });

  describe('a transaction that no block takes', () => {
    it('is replaced by one that pays more, and one anchor comes of all of them', async () => {
      const chain = await onChain(['--no-mining']);
      await record();
      const running = anchoring(chain, chain.anvil.url, { pace: { replaceAfter: 100 } });
      const attempts = async (): Promise<{ nonce: string; tx_hash: string }[]> =>
        (
          await parts().pool.query<{ nonce: string; tx_hash: string }>(
            'select nonce, tx_hash from anchor_attempt t join anchor a on a.id = t.anchor where contract = $1 order by begun_at',
            [chain.contract],
          )
        ).rows;
      await until('it is replaced twice', async () => (await attempts()).length >= 3);
      await record();
      // It gives up paying more at some time, and says so; what was sent last may still be taken.
      await until('it is stuck', () => running.trouble() === 'TRANSACTION_STUCK');
      const all = await attempts();
      expect(new Set(all.map(({ nonce }) => nonce)).size).to.equal(1);
      expect(all.length).to.be.at.most(12);
      await chain.anvil.rpc('evm_mine');
      await running.reaches('included');
      expect(all.map(({ tx_hash }) => tx_hash)).to.include((await running.state(1))!.transaction!);
      expect(await transactions(chain)).to.equal(2);
      await until('all is well', () => running.trouble() === undefined);
    });

    it('is sent again to a node that has forgotten it', async () => {
      const chain = await onChain(['--no-mining']);
      await record();
      const running = anchoring(chain, chain.anvil.url);
      const waiting = async (): Promise<boolean> =>
        Number(((await chain.anvil.rpc('txpool_status')) as { pending: string }).pending) > 0;
      await until('it waits', waiting);
      await chain.anvil.rpc('anvil_dropAllTransactions');
      await until('it waits again', waiting);
      await chain.anvil.rpc('evm_mine');
      await running.reaches('included');
      expect(await transactions(chain)).to.equal(2);
    });
  });

  describe('a chain that changes its mind', () => {
    it('is noticed, and the same root is published again under the same number', async () => {
      const chain = await onChain();
      await record();
      const running = anchoring(chain, chain.anvil.url, { confirmations: 10 });
      await running.reaches('included');
      const before = (await running.state(1))!;
      await chain.anvil.rpc('anvil_reorg', 1, []);
      expect(await rootOn(chain, 1)).to.equal(undefined);
      await until('it is in another block', async () => {
        const now = await running.state(1);
        return now?.state === 'included' && now.block!.hash !== before.block!.hash;
      });
      expect((await running.state(1))!.root).to.equal(before.root);
      expect(await rootOn(chain, 1)).to.equal(before.root);
      await record();
      await running.demand();
      await running.reaches('included', 2);
      expect(running.told.map(({ what }) => what)).to.include(
        'the chain has lost an anchor: it is published again',
      );
      const { rows } = await parts().pool.query(
        'select from anchor_lost l join anchor_inclusion i on i.id = l.inclusion join anchor a on a.id = i.anchor where contract = $1',
        [chain.contract],
      );
      expect(rows).to.have.length(1);
    });

    it('that has forgotten everything gets all anchors again, final ones too, once the contract is back', async () => {
      const chain = await onChain();
      await record();
      const running = anchoring(chain, chain.anvil.url, { confirmations: 1 });
      await running.reaches('included');
      await chain.anvil.rpc('evm_mine');
      await running.reaches('final');
      await record();
      await running.demand();
      await running.reaches('included', 2);
      const before = [(await running.state(1))!, (await running.state(2))!];

      await chain.anvil.kill();
      await until('nobody is there', () => running.trouble() === 'NODE_UNREACHABLE');
      await record();
      const again = await startAnvil({ port: chain.anvil.port });
      open.push(again);
      await until('nothing is there', () => running.trouble() === 'CONTRACT_MISSING');
      await record();
      expect(await deployOn(again, chain.operator)).to.equal(chain.contract);
      for (const { seq, root, block } of before) {
        await until(`anchor ${seq} is there again`, async () => {
          const now = await running.state(seq);
          return now?.block !== undefined && now.block.hash !== block!.hash;
        });
        expect(await rootOn({ ...chain, anvil: again }, seq)).to.equal(root);
      }
      await running.demand();
      await running.reaches('included', 3);
    });
  });

  describe('trouble with the chain', () => {
    let chain: AnchorChain & { key: string };
    let node: LyingNode;
    let running: Anchoring;

    /** A chain, a node before it that may lie, and one anchor that is in a block. */
    async function anchoredOnce(): Promise<void> {
      chain = await onChain();
      node = await startLyingNode(chain.anvil.url);
      open.push(node);
      await record();
      running = anchoring(chain, node.url);
      await running.reaches('included');
    }

    /** Names the trouble, once, while events settle; goes on by itself when it is over. */
    async function waits(code: string, begin: () => unknown, end: () => unknown): Promise<void> {
      await begin();
      await record();
      const demanded = running.demand();
      await until(code, () => running.trouble() === code);
      await record();
      expect(await demanded).to.satisfy(({ reason, state }: { reason?: string; state?: string }) =>
        [reason, state].some((one) => one === code || one === 'pending'),
      );
      // Some more turns.
      for (let i = 0; i < 3; i++) await running.demand();
      const told = running.told.filter((line) => line['code'] === code);
      expect(told, JSON.stringify(running.told)).to.have.length(1);
      expect(told[0]!['why']).to.be.a('string').and.not.include(node.url);
      const last = (await running.state())!.seq;
      await end();
      await until('it goes on', () => running.trouble() === undefined);
      await record();
      await running.demand();
      await running.reaches('included', last);
    }

    const lies: [code: string, method: string, lie: Parameters<LyingNode['lie']>[1]][] = [
      ['CHAIN_OTHER', 'eth_chainId', { result: '0x1' }],
      ['CONTRACT_OTHER', 'eth_getCode', { result: '0x6001' }],
      ['CONTRACT_MISSING', 'eth_getCode', { result: '0x' }],
      ['NODE_SLOW', 'eth_chainId', 'silence'],
      ['NODE_SLOW', '*', { after: 5_000 }],
      ['NODE_UNREACHABLE', '*', 'break'],
      ['NODE_GARBAGE', '*', { body: '<html>busy</html>', status: 503 }],
      ['NODE_GARBAGE', 'eth_getTransactionCount', { result: 'many' }],
      ['NODE_REFUSED', 'eth_estimateGas', { error: { code: -32_000, message: 'no' } }],
      ['FEE_TOO_HIGH', 'eth_maxPriorityFeePerGas', { result: '0xffffffffffffffff' }],
      ['EVIDENCE_WRONG', 'eth_getBlockReceipts', { result: [] }],
      ['SEQ_TAKEN', 'eth_call', { result: `0x${'ee'.repeat(32)}` }],
    ];
    for (const [code, method, lie] of lies)
      it(`is named ${code} where a node answers ${method} with ${JSON.stringify(lie).slice(0, 40)}`, async () => {
        await anchoredOnce();
        await waits(
          code,
          () => node.lie(method, lie),
          () => node.honest(),
        );
      });

    it('is named WALLET_EMPTY, with the address that needs money', async () => {
      await anchoredOnce();
      const { address } = chain.operator;
      await waits(
        'WALLET_EMPTY',
        () => chain.anvil.rpc('anvil_setBalance', address, '0x0'),
        () => chain.anvil.rpc('anvil_setBalance', address, '0xde0b6b3a7640000'),
      );
      expect(running.told.find(({ code }) => code === 'WALLET_EMPTY')!['why']).to.include(
        address.toLowerCase(),
      );
    });

    it('is named KEY_FILE_OPEN, with the file that others can read', async () => {
      await anchoredOnce();
      await waits(
        'KEY_FILE_OPEN',
        () => chmodSync(chain.key, 0o644),
        () => chmodSync(chain.key, 0o600),
      );
      expect(running.told.find(({ code }) => code === 'KEY_FILE_OPEN')).to.include({ level: 'error' });
    });

    it('that is only a node behind the others loses no anchor', async () => {
      const own = await onChain();
      const behind = await startLyingNode(own.anvil.url);
      open.push(behind);
      await record();
      running = anchoring(own, behind.url, { pace: { behind: 3_600_000 } });
      await running.reaches('included');
      const { block } = (await running.state(1))!;
      behind.lie('eth_getBlockByNumber', ([tag]) =>
        tag === `0x${block!.number.toString(16)}` ? { result: null } : undefined,
      );
      await until('it is behind', () => running.trouble() === 'NODE_BEHIND');
      behind.honest();
      await until('it is not', () => running.trouble() === undefined);
      expect((await running.state(1))!.block).to.deep.equal(block);
      expect(await transactions(own)).to.equal(2);
    });

    it('does not keep it from stopping at once', async () => {
      await anchoredOnce();
      node.lie('*', 'silence');
      await record();
      const demanded = running.demand();
      await until('it waits for the node', () => node.asked.length > 0);
      const begun = performance.now();
      await running.stop();
      expect(performance.now() - begun).to.be.below(1_500);
      expect((await demanded).reason).to.be.a('string');
    });
  });

  it('has a header in its evidence that is the block', async () => {
    const chain = await onChain();
    await record();
    const running = anchoring(chain, chain.anvil.url);
    await running.reaches('included');
    const { rows } = await parts().pool.query<{ header: Buffer; block_hash: string }>(
      'select header, block_hash from anchor_inclusion i join anchor a on a.id = i.anchor where contract = $1',
      [chain.contract],
    );
    expect(keccak256(rows[0]!.header)).to.equal(rows[0]!.block_hash);
    const block = (await chain.anvil.rpc('eth_getBlockByHash', rows[0]!.block_hash, false)) as object;
    expect(block).not.to.equal(null);
  });
});
