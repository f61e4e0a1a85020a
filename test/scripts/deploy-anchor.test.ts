import { expect } from 'chai';
import { Transaction, Wallet } from 'ethers';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startAnvil, type Anvil } from '../support/anvil.ts';

const YAOJI = fileURLToPath(new URL('../../../scripts/yaoji.mjs', import.meta.url));

async function deploy(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [YAOJI, 'deploy-anchor', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

describe('yaoji deploy-anchor', function () {
  this.timeout(60_000);
  let anvil: Anvil;
  let folder: string;
  let key: string;
  let wallet: Wallet;
  before(async () => {
    anvil = await startAnvil({ args: ['--chain-id', '777'] });
    folder = mkdtempSync(join(tmpdir(), 'yaoji-deploy-'));
  });
  beforeEach(async () => {
    wallet = new Wallet(Wallet.createRandom().privateKey);
    key = join(folder, 'operator.key');
    writeFileSync(key, `${wallet.privateKey}\n`);
    chmodSync(key, 0o600);
    await anvil.rpc('anvil_setBalance', wallet.address, '0xde0b6b3a7640000');
  });
  after(async () => {
    await anvil?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The settings that it printed, by their names. */
  const settings = (out: string): Record<string, string> =>
    Object.fromEntries([...out.matchAll(/^(CHAIN_\w+)=(.+)$/gm)].map(([, name, value]) => [name, value]));

  async function isContractOf(
    operator: string,
    { CHAIN_CONTRACT: to }: Record<string, string>,
  ): Promise<void> {
    // operator()
    const answer = await anvil.rpc('eth_call', { to, data: '0x570ca735' }, 'latest');
    expect(answer).to.equal(`0x${operator.slice(2).toLowerCase().padStart(64, '0')}`);
  }

  it('deploys with a key from a file and prints the settings of the API', async () => {
    const { code, out, err } = await deploy('--rpc', anvil.url, '--key', key);
    expect(err).to.equal('');
    expect(code).to.equal(0);
    const printed = settings(out);
    expect(printed).to.include({ CHAIN_RPC: anvil.url, CHAIN_ID: '777', CHAIN_KEY: key });
    expect(printed['CHAIN_CONTRACT']).to.match(/^0x[0-9a-f]{40}$/);
    expect(out).to.match(/ \d{6} gas/);
    expect(out).not.to.contain(wallet.privateKey.slice(2));
    await isContractOf(wallet.address, printed);
  });

  it('deploys with a signer, and never sees its key', async () => {
    const signer = await serveSigner(wallet);
    try {
      const url = `http://127.0.0.1:${(signer.address() as AddressInfo).port}`;
      const { code, out, err } = await deploy('--rpc', anvil.url, '--signer', url);
      expect(err).to.equal('');
      expect(code).to.equal(0);
      const printed = settings(out);
      expect(printed['CHAIN_SIGNER']).to.equal(url);
      expect(printed).not.to.have.property('CHAIN_KEY');
      await isContractOf(wallet.address, printed);
    } finally {
      signer.close();
    }
  });

  it('refuses a key that others can read, and sends nothing', async () => {
    chmodSync(key, 0o640);
    const { code, out, err } = await deploy('--rpc', anvil.url, '--key', key);
    expect({ code, out }).to.deep.equal({ code: 1, out: '' });
    expect(err).to.match(/^KEY_FILE_OPEN: .*operator\.key/);
    expect(await anvil.rpc('eth_getTransactionCount', wallet.address, 'latest')).to.equal('0x0');
  });

  for (const [what, args, said] of [
    ['none', [], /either --key/],
    ['two', ['--key', 'a', '--signer', 'http://b'], /either --key/],
  ] as const)
    it(`wants one operator: not ${what}`, async () => {
      const { code, err } = await deploy('--rpc', anvil.url, ...args);
      expect(code).to.equal(2);
      expect(err).to.match(said);
    });

  it('names a node that is not there', async () => {
    const { code, err } = await deploy('--rpc', 'http://127.0.0.1:9', '--key', key);
    expect(code).to.equal(1);
    expect(err).to.match(/^NODE_UNREACHABLE: /);
  });

  it('says that a wallet cannot pay', async () => {
    await anvil.rpc('anvil_setBalance', wallet.address, '0x1');
    const { code, err } = await deploy('--rpc', anvil.url, '--key', key);
    expect(code).to.equal(1);
    expect(err).to.match(/^(NODE_REFUSED|WALLET_EMPTY): .*funds/i);
  });
});

/** A signer's endpoint with one account, as Web3Signer answers. */
async function serveSigner(wallet: Wallet): Promise<Server> {
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (text: Buffer) => (body += text.toString()));
    request.on('end', () => {
      const { method, params } = JSON.parse(body) as { method: string; params: [Record<string, string>] };
      const answer = (result: unknown): void => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
      };
      if (method === 'eth_accounts') return answer([wallet.address]);
      const { data, nonce, gas, chainId, maxFeePerGas, maxPriorityFeePerGas } = params[0];
      const transaction = Transaction.from({
        type: 2,
        data: data!,
        nonce: Number(nonce),
        gasLimit: gas!,
        chainId: chainId!,
        maxFeePerGas: maxFeePerGas!,
        maxPriorityFeePerGas: maxPriorityFeePerGas!,
      });
      void wallet.signTransaction(transaction).then(answer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
