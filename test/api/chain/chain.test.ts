import { expect } from 'chai';
import { keccak256, Wallet } from 'ethers';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectChain, type Chain, type SignedAnchor } from '@yaoji/api/chain/chain';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { endpointSigner, fileSigner } from '@yaoji/api/chain/signers';
import { ChainTrouble, type TroubleCode } from '@yaoji/api/chain/trouble';
import { startAnchorChain, type AnchorChain } from '../../support/chain.ts';
import { until } from '../../support/service.ts';
import { walletSigner } from '../../support/wallet.ts';
import { startLyingNode, type Lie, type LyingNode } from '../../support/lying-node.ts';

const ROOT = `0x${'ab'.repeat(32)}`;
const OTHER = `0x${'cd'.repeat(32)}`;

/** The code and sentence with which it fails. */
async function trouble(attempt: Promise<unknown>): Promise<ChainTrouble> {
  const error: unknown = await attempt.then(
    (value) => `it answered ${JSON.stringify(value)}`,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ChainTrouble)) throw new Error(`no trouble: ${String(error)}`, { cause: error });
  return error;
}

async function send(chain: Chain, seq: number, root = ROOT): Promise<SignedAnchor> {
  const signed = await chain.sign(seq, root, await chain.nonce());
  await chain.send(signed!);
  return signed!;
}

async function publish(chain: Chain, seq: number, root = ROOT): Promise<SignedAnchor> {
  const signed = await send(chain, seq, root);
  // The node answers before the block is made.
  await until('the transaction is in a block', async () => (await chain.nonce()) > signed.nonce);
  return signed;
}

describe('the chain through an honest node', function () {
  this.timeout(60_000);

  // What each fork has added to a header: nothing, the base fee, withdrawals, blobs and the beacon's root, requests.
  for (const hardfork of ['berlin', 'london', 'shanghai', 'cancun', 'prague'])
    it(`publishes a root and reads its evidence on a chain of ${hardfork}`, async () => {
      const { anvil, operator, contract } = await startAnchorChain({ args: ['--hardfork', hardfork] });
      try {
        const chain = connectChain(connectRpc(anvil.url), walletSigner(operator), { id: 31_337, contract });
        await chain.inspect();
        expect(await chain.rootOf(1)).to.equal(undefined);
        expect(await chain.find(1, ROOT, [])).to.equal(undefined);
        const { hash } = await publish(chain, 1);
        expect(await chain.rootOf(1)).to.equal(ROOT);
        const evidence = await chain.find(1, ROOT, [hash]);
        expect(keccak256(evidence!.header)).to.equal(evidence!.hash);
        expect(evidence!.hash).to.equal(await chain.hashOf(evidence!.block));
        expect(Math.abs(evidence!.time - Date.now())).to.be.below(60_000);
        // Whoever has lost the transaction's hash finds the event.
        expect(await chain.find(1, ROOT, [])).to.deep.equal(evidence);
      } finally {
        await anvil.stop();
      }
    });

  describe('of today', () => {
    let started: AnchorChain;
    let chain: Chain;
    before(async () => {
      started = await startAnchorChain();
      const { anvil, operator, contract } = started;
      chain = connectChain(connectRpc(anvil.url), walletSigner(operator), { id: 31_337, contract });
    });
    after(() => started?.anvil.stop());

    it('signs nothing for a number that is anchored', async () => {
      await publish(chain, 1);
      expect(await chain.sign(1, OTHER, await chain.nonce())).to.equal(undefined);
      expect(await chain.rootOf(1)).to.equal(ROOT);
    });

    it('sends again what was sent already', async () => {
      const signed = await publish(chain, 2);
      await chain.send(signed);
      expect(await chain.rootOf(2)).to.equal(ROOT);
    });

    it('proves one receipt among the hundreds of a block', async function () {
      await started.anvil.rpc('evm_setAutomine', false);
      const [from] = (await started.anvil.rpc('eth_accounts')) as string[];
      const pay = (): Promise<unknown> =>
        started.anvil.rpc('eth_sendTransaction', { from, to: from, value: '0x1' });
      try {
        for (let i = 0; i < 150; i++) await pay();
        const { hash } = await send(chain, 3);
        for (let i = 0; i < 150; i++) await pay();
        await started.anvil.rpc('evm_mine');
        const evidence = await chain.find(3, ROOT, [hash]);
        // The trie of so many is three levels deep and more.
        expect(evidence!.proof.length).to.be.greaterThan(2);
      } finally {
        await started.anvil.rpc('evm_setAutomine', true);
      }
    });

    it('reads receipts one by one from a node that has no other way', async () => {
      const node = await startLyingNode(started.anvil.url);
      try {
        node.lie('eth_getBlockReceipts', { error: { code: -32_601, message: 'method not found' } });
        const { operator, contract } = started;
        const other = connectChain(connectRpc(node.url), walletSigner(operator), { id: 31_337, contract });
        expect(await other.find(3, ROOT, [])).to.deep.equal(await chain.find(3, ROOT, []));
      } finally {
        await node.stop();
      }
    });

    it('counts confirmations where it is told how many', async () => {
      const { anvil, operator, contract } = started;
      const rpc = connectRpc(anvil.url);
      const latest = Number(await anvil.rpc('eth_blockNumber'));
      const confirmed = connectChain(rpc, walletSigner(operator), { id: 31_337, contract, confirmations: 3 });
      expect(await confirmed.finalBlock()).to.equal(latest - 3);
      expect(await chain.finalBlock()).to.be.at.most(latest);
    });
  });

  it('replaces a transaction that no block takes, with one for a tenth more', async () => {
    const { anvil, operator, contract } = await startAnchorChain({ args: ['--no-mining'] });
    try {
      const chain = connectChain(connectRpc(anvil.url), walletSigner(operator), { id: 31_337, contract });
      const first = await send(chain, 1);
      const second = await chain.sign(1, ROOT, first.nonce, first);
      expect(second!.nonce).to.equal(first.nonce);
      await chain.send(second!);
      await anvil.rpc('evm_mine');
      expect(await chain.rootOf(1)).to.equal(ROOT);
      expect(await anvil.rpc('eth_getTransactionReceipt', first.hash)).to.equal(null);
      expect((await chain.find(1, ROOT, [first.hash, second!.hash]))?.index).to.equal(0);
    } finally {
      await anvil.stop();
    }
  });
});

describe('the chain through a node that lies, or is slow, or is gone', function () {
  this.timeout(60_000);
  let started: AnchorChain;
  let node: LyingNode;
  let chain: Chain;
  let hash: string;

  before(async () => {
    started = await startAnchorChain();
    node = await startLyingNode(started.anvil.url);
    const rpc = connectRpc(node.url, { timeout: 500 });
    chain = connectChain(rpc, walletSigner(started.operator), { id: 31_337, contract: started.contract });
    ({ hash } = await publish(chain, 1));
  });
  after(async () => {
    await node?.stop();
    await started?.anvil.stop();
  });
  beforeEach(() => node.honest());

  /** What inspecting the node comes to when it lies like this. */
  const inspected = async (method: string, lie: Parameters<LyingNode['lie']>[1]): Promise<TroubleCode> => {
    node.lie(method, lie);
    return (await trouble(chain.inspect())).code;
  };
  /** What reading the evidence comes to. */
  const found = async (method: string, lie: Parameters<LyingNode['lie']>[1]): Promise<TroubleCode> => {
    node.lie(method, lie);
    return (await trouble(chain.find(1, ROOT, [hash]))).code;
  };
  const changed =
    (change: (truth: Record<string, unknown>) => void) =>
    (_: unknown, truth: unknown): Lie => {
      change(truth as Record<string, unknown>);
      return { result: truth };
    };

  it('names a node of another chain', async () => {
    expect(await inspected('eth_chainId', { result: '0x1' })).to.equal('CHAIN_OTHER');
  });

  it("names other code at the contract's address, and none", async () => {
    expect(await inspected('eth_getCode', { result: '0x6000' })).to.equal('CONTRACT_OTHER');
    expect(
      await inspected('eth_getCode', (_, code) => ({ result: (code as string).replace('5b', '5c') })),
    ).to.equal('CONTRACT_OTHER');
    expect(await inspected('eth_getCode', { result: '0x' })).to.equal('CONTRACT_MISSING');
  });

  it("names a contract that takes roots from somebody else's key", async () => {
    const { contract } = started;
    const stranger = walletSigner(new Wallet(Wallet.createRandom().privateKey));
    const strange = connectChain(connectRpc(node.url), stranger, { id: 31_337, contract });
    expect((await trouble(strange.inspect())).code).to.equal('OPERATOR_OTHER');
    expect((await trouble(strange.sign(2, ROOT, 0))).code).to.equal('OPERATOR_OTHER');
  });

  it('names a node that does not answer in time, breaks off, or is not there', async () => {
    expect(await inspected('*', 'silence')).to.equal('NODE_SLOW');
    expect(await inspected('*', { after: 2_000 })).to.equal('NODE_SLOW');
    expect(await inspected('*', 'break')).to.equal('NODE_UNREACHABLE');
    const nobody = await startLyingNode(started.anvil.url);
    await nobody.stop();
    const gone = connectChain(connectRpc(nobody.url), walletSigner(started.operator), chain);
    const { code, message } = await trouble(gone.inspect());
    expect(code).to.equal('NODE_UNREACHABLE');
    expect(message).to.include('ECONNREFUSED').and.not.to.include('127.0.0.1');
  });

  it('names what is no answer', async () => {
    const bodies = [
      '',
      'null',
      '[]',
      '{}',
      '<html>',
      '{"id":2,"result":"0x7a69"}',
      '{"id":1}',
      '{"id":1,"result":',
    ];
    for (const body of bodies)
      expect(await inspected('eth_chainId', { body }), body).to.equal('NODE_GARBAGE');
    expect(await inspected('eth_chainId', { body: 'no', status: 502 })).to.equal('NODE_GARBAGE');
    for (const result of [
      null,
      31_337,
      '31337',
      '0x',
      '0xzz',
      `0x${'f'.repeat(65)}`,
      `0x${'f'.repeat(64)}`,
      {},
      [],
    ])
      expect(await inspected('eth_chainId', { result }), JSON.stringify(result)).to.equal('NODE_GARBAGE');
    expect(await inspected('eth_getCode', { result: `0x${'00'.repeat(70_000)}` })).to.equal('NODE_GARBAGE');
    expect(await found('eth_getBlockReceipts', { result: { length: 1 } })).to.equal('NODE_GARBAGE');
  });

  it('goes to no other address, whatever the node says', async () => {
    const elsewhere = createServer((_, response) => response.writeHead(307, { location: node.url }).end());
    elsewhere.listen(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const url = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    const redirected = connectChain(connectRpc(url), walletSigner(started.operator), chain);
    expect((await trouble(redirected.inspect())).code).to.equal('NODE_UNREACHABLE');
    elsewhere.close();
  });

  it("quotes of the node's own words what a log line can hold", async () => {
    node.lie('eth_chainId', { error: { code: -1, message: `no\n{"level":"fatal"}${'x'.repeat(9_999)}` } });
    const { code, message } = await trouble(chain.inspect());
    expect(code).to.equal('NODE_REFUSED');
    expect(message).to.match(/^[\x20-\x7e]{1,220}$/);
  });

  it('takes no header whose fields do not hash to the block', async () => {
    for (const [field, value] of Object.entries({
      receiptsRoot: OTHER,
      timestamp: '0x1',
      gasUsed: '0x0',
      extraData: '0x00',
      hash: OTHER,
      baseFeePerGas: undefined,
      withdrawalsRoot: undefined,
    }))
      expect(
        await found(
          'eth_getBlockByNumber',
          changed((block) => (block[field] = value)),
        ),
        field,
      ).to.equal('EVIDENCE_WRONG');
  });

  it("takes no receipts that do not lead to the header's root", async () => {
    const receipts = (change: (receipt: Record<string, unknown>) => void) =>
      found('eth_getBlockReceipts', (_, truth) => {
        change((truth as Record<string, unknown>[])[0]!);
        return { result: truth };
      });
    expect(await receipts((receipt) => (receipt['status'] = '0x0'))).to.equal('EVIDENCE_WRONG');
    expect(await receipts((receipt) => (receipt['cumulativeGasUsed'] = '0x1'))).to.equal('EVIDENCE_WRONG');
    expect(await receipts((receipt) => (receipt['logs'] = []))).to.equal('EVIDENCE_WRONG');
    expect(await receipts((receipt) => (receipt['type'] = '0x1'))).to.equal('EVIDENCE_WRONG');
    expect(await found('eth_getBlockReceipts', { result: [] })).to.equal('EVIDENCE_WRONG');
  });

  it('takes no transaction for an anchor that is none, or another', async () => {
    const other = await publish(chain, 2, OTHER);
    const code = async (seq: number, root: string, hashes: string[]): Promise<TroubleCode> =>
      (await trouble(chain.find(seq, root, hashes))).code;
    expect(await code(1, ROOT, [other.hash])).to.equal('EVIDENCE_WRONG');
    expect(await code(2, ROOT, [other.hash])).to.equal('EVIDENCE_WRONG');
    expect(await chain.find(2, ROOT, [])).to.equal(undefined);
    // A block that the node names, and that does not hold the transaction.
    node.lie(
      'eth_getTransactionReceipt',
      changed((receipt) => (receipt['blockNumber'] = '0x0')),
    );
    expect(await chain.find(1, ROOT, [hash])).to.equal(undefined);
  });

  it('pays no fee without bounds', async () => {
    node.lie('eth_maxPriorityFeePerGas', { result: '0xffffffffffffffff' });
    expect((await trouble(chain.sign(9, ROOT, 9))).code).to.equal('FEE_TOO_HIGH');
    node.honest();
    node.lie('eth_estimateGas', { result: '0xffffffff' });
    expect((await trouble(chain.sign(9, ROOT, 9))).code).to.equal('FEE_TOO_HIGH');
  });

  it('names an empty wallet, whose address it is, and how much is needed', async () => {
    await started.anvil.rpc('anvil_setBalance', started.operator.address, '0x1');
    const { code, message } = await trouble(chain.sign(9, ROOT, 9));
    expect(code).to.equal('WALLET_EMPTY');
    expect(message).to.include(started.operator.address.toLowerCase()).and.include('holds 1 wei');
    await started.anvil.rpc('anvil_setBalance', started.operator.address, '0xde0b6b3a7640000');
  });

  it('says that a transaction was refused when the node does not have it', async () => {
    const signed = await chain.sign(9, ROOT, 0); // this nonce is used
    expect((await trouble(chain.send(signed!))).code).to.equal('NODE_REFUSED');
  });
});

describe("the operator's key", () => {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-key-'));
  const path = join(folder, 'operator.key');
  const wallet = new Wallet(Wallet.createRandom().privateKey);
  const transaction = {
    type: 2,
    chainId: 1,
    nonce: 0,
    to: wallet.address,
    gasLimit: 21_000,
    maxFeePerGas: 1,
  };
  after(() => rmSync(folder, { recursive: true }));

  it('comes from a file that only its owner can read', async () => {
    for (const text of [wallet.privateKey, `${wallet.privateKey.slice(2)}\n`]) {
      writeFileSync(path, text, { mode: 0o600 });
      expect(await fileSigner(path).address()).to.equal(wallet.address.toLowerCase());
      expect(await fileSigner(path).sign(transaction)).to.equal(await wallet.signTransaction(transaction));
    }
    chmodSync(path, 0o400);
    expect(await fileSigner(path).address()).to.equal(wallet.address.toLowerCase());
  });

  it('is refused by the name of its file where others can read it, until they cannot', async () => {
    const signer = fileSigner(path);
    for (const mode of [0o644, 0o640, 0o604, 0o602, 0o660]) {
      chmodSync(path, mode);
      const { code, message } = await trouble(signer.address());
      expect(code).to.equal('KEY_FILE_OPEN');
      expect(message).to.include(path).and.include(mode.toString(8));
    }
    chmodSync(path, 0o600);
    expect(await signer.address()).to.equal(wallet.address.toLowerCase());
  });

  it('is missed in a file that is not there or holds something else, which is not quoted', async () => {
    expect((await trouble(fileSigner(join(folder, 'none')).address())).message).to.include('ENOENT');
    for (const text of ['', 'secret', `0x${'00'.repeat(31)}`, 'ab'.repeat(300)]) {
      writeFileSync(path, text);
      const { code, message } = await trouble(fileSigner(path).address());
      expect(code, text).to.equal('KEY_FILE_BAD');
      if (text) expect(message).not.to.include(text);
    }
    // A number that is no key of this curve.
    for (const text of ['00'.repeat(32), 'ff'.repeat(32)]) {
      writeFileSync(path, text);
      const { code, message } = await trouble(fileSigner(path).address());
      expect(code, text).to.equal('KEY_FILE_BAD');
      expect(message).not.to.include(text);
    }
  });

  it('may be held by a signer, which is believed only what it signs', async () => {
    const answers: Record<string, unknown> = {
      eth_accounts: [wallet.address],
      eth_signTransaction: await wallet.signTransaction(transaction),
    };
    const server = createServer((request, response) => {
      request.setEncoding('utf8').on('data', (body: string) => {
        const { method } = JSON.parse(body) as { method: string };
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result: answers[method] }));
      });
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const signer = endpointSigner(connectRpc(url, { who: 'signer' }));
    expect(await signer.address()).to.equal(wallet.address.toLowerCase());
    expect(await signer.sign(transaction)).to.equal(answers['eth_signTransaction']);
    // Clef says more than the bytes.
    answers['eth_signTransaction'] = { raw: answers['eth_signTransaction'], tx: {} };
    expect(await signer.sign(transaction)).to.be.a('string');
    for (const bad of [
      await wallet.signTransaction({ ...transaction, value: 1 }),
      await new Wallet(Wallet.createRandom().privateKey).signTransaction(transaction),
      '0x02',
      'no',
      undefined,
    ]) {
      answers['eth_signTransaction'] = bad;
      expect((await trouble(signer.sign(transaction))).code, String(bad)).to.equal('SIGNER_TROUBLE');
    }
    for (const bad of [[], [wallet.address, wallet.address], 'x']) {
      answers['eth_accounts'] = bad;
      expect((await trouble(signer.address())).code).to.equal('SIGNER_TROUBLE');
    }
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    expect((await trouble(signer.address())).code).to.equal('SIGNER_TROUBLE');
  });
});
