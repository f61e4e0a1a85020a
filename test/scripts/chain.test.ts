import { expect } from 'chai';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEVELOPMENT_CHAIN } from '@yaoji/api/config';
import { fileSigner } from '@yaoji/api/chain/signers';
import { ask, startChain, type DevelopmentChain } from '@yaoji/scripts/chain';
import { anvilPid, killAnvil, needsAnvil } from '../support/development-chain.ts';
import { until } from '../support/service.ts';

describe('the development chain', function () {
  this.timeout(60_000);
  before(function () {
    needsAnvil(this);
  });

  let folder: string;
  let lines: string[];
  let chain: DevelopmentChain | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-chain-'));
    lines = [];
  });
  afterEach(async () => {
    await chain?.stop();
    chain = undefined;
    rmSync(folder, { recursive: true });
  });

  async function start(): Promise<DevelopmentChain> {
    chain = await startChain({
      folder,
      logFile: join(folder, 'log', 'chain.log'),
      log: (line) => lines.push(line),
    });
    if (!chain) throw new Error(lines.join());
    return chain;
  }
  const state = (): string => join(folder, 'state.json');
  const codeOf = (running: DevelopmentChain): Promise<unknown> =>
    ask(running.rpc, 'eth_getCode', running.contract, 'latest');
  const firstBlock = async ({ rpc }: DevelopmentChain): Promise<string> =>
    ((await ask(rpc, 'eth_getBlockByNumber', '0x1', false)) as { hash: string }).hash;
  /** The contract is there again after the node was not. */
  const back = (running: DevelopmentChain): Promise<void> =>
    until('the contract is there again', async () => {
      const code = await codeOf(running).catch(() => '0x');
      return code !== '0x';
    });

  it('has the contract, and an operator who can pay, with a key that only we can read', async () => {
    const running = await start();
    expect(await ask(running.rpc, 'eth_chainId')).to.equal(`0x${DEVELOPMENT_CHAIN.toString(16)}`);
    expect(await codeOf(running)).to.have.length.greaterThan(100);
    expect(statSync(running.keyFile).mode & 0o777).to.equal(0o600);
    const operator = await fileSigner(running.keyFile).address();
    const balance = (await ask(running.rpc, 'eth_getBalance', operator, 'latest')) as string;
    expect(Number(balance)).to.be.greaterThan(1e20);
    expect(await ask(running.rpc, 'eth_accounts'), 'keys that everybody knows').to.deep.equal([]);
    expect(lines).to.deep.equal([]);
  });

  it('makes blocks of transactions only, and they are final at once', async () => {
    const { rpc } = await start();
    for (const tag of ['latest', 'finalized'])
      expect(await ask(rpc, 'eth_getBlockByNumber', tag, false)).to.include({ number: '0x1' });
  });

  it('goes on with its blocks, its contract and its key when it is started again', async () => {
    const before = await start();
    const block = await firstBlock(before);
    await before.stop();
    const after = await start();
    expect(after.contract).to.equal(before.contract);
    expect(await firstBlock(after)).to.equal(block);
    expect(await ask(after.rpc, 'eth_blockNumber')).to.equal('0x1');
  });

  it('is started again at the same address when it is killed', async () => {
    const running = await start();
    killAnvil(running.rpc);
    await until('it has ended', () => lines.length > 0);
    await back(running);
    expect(lines.join()).to.contain('ended by itself');
  });

  it('has the contract at the same address again when its state is lost', async () => {
    const running = await start();
    await running.stop();
    rmSync(state());
    const again = await start();
    expect(again.contract).to.equal(running.contract);
    expect(await codeOf(again)).to.have.length.greaterThan(100);
  });

  it('begins anew, and says so, when its state cannot be read', async () => {
    const before = await start();
    await before.stop();
    writeFileSync(state(), readFileSync(state()).subarray(0, 1_000));
    const after = await start();
    expect(after.contract).to.equal(before.contract);
    expect(await codeOf(after)).to.have.length.greaterThan(100);
    expect(lines).to.deep.equal(['The development chain cannot read its state, and begins anew.']);
    expect(existsSync(`${state()}.unreadable`)).to.equal(true);
  });

  it('is ended by a stop while it is down, and stays down', async () => {
    const running = await start();
    killAnvil(running.rpc);
    await until('it has ended', () => lines.length > 0);
    await running.stop();
    chain = undefined;
    expect(anvilPid(running.rpc)).to.equal(undefined);
  });

  it('is left out with one line where there is no anvil', async () => {
    const none = await startChain({
      folder: join(folder, 'none'),
      logFile: join(folder, 'chain.log'),
      log: (line) => lines.push(line),
      anvil: '/nowhere/anvil',
    });
    expect(none).to.equal(undefined);
    expect(lines).to.have.length(1);
    expect(lines[0]).to.contain('nothing is anchored');
    expect(existsSync(join(folder, 'none'))).to.equal(false);
  });
});
