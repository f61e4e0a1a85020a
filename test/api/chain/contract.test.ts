import { expect } from 'chai';
import { Contract, JsonRpcProvider, NonceManager, Wallet, ZeroHash, isError } from 'ethers';
import { ANCHOR } from '@yaoji/api/chain/artifact';
import { deployAnchor } from '@yaoji/api/chain/deploy';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { compileAnchor } from '@yaoji/scripts/compile-anchor';
import { startAnvil, type Anvil } from '../../support/anvil.ts';
import { walletSigner } from '../../support/wallet.ts';

const ROOT = `0x${'ab'.repeat(32)}`;

describe('the anchor contract', () => {
  let anvil: Anvil;
  let provider: JsonRpcProvider;
  let operator: Wallet;
  let deployed: { address: string; gasUsed: number };
  let contract: Contract;

  before(async function () {
    this.timeout(60_000);
    anvil = await startAnvil();
    provider = new JsonRpcProvider(anvil.url, 31_337, { staticNetwork: true, cacheTimeout: -1 });
    operator = new Wallet(Wallet.createRandom().privateKey, provider);
    await anvil.rpc('anvil_setBalance', operator.address, '0xde0b6b3a7640000');
    deployed = await deployAnchor(connectRpc(anvil.url), walletSigner(operator));
    contract = new Contract(deployed.address, ANCHOR.abi, new NonceManager(operator));
  });
  after(async () => {
    provider?.destroy();
    await anvil?.stop();
  });

  const anchor = async (seq: number, root: string) =>
    (await contract.getFunction('anchor').send(seq, root)).wait();
  /** The name of the error with which a call of this would fail. */
  const refusal = async (seq: number, root: string, by = contract): Promise<string | undefined> => {
    const error: unknown = await by
      .getFunction('anchor')
      .staticCall(seq, root)
      .catch((thrown: unknown) => thrown);
    return isError(error, 'CALL_EXCEPTION') ? error.revert?.name : String(error);
  };

  it('is what the pinned compiler makes of its source', function () {
    this.timeout(60_000);
    expect(ANCHOR).to.deep.equal(compileAnchor());
  });

  it('writes a root once, under its number, and says so in an event that can be searched for', async () => {
    const receipt = await anchor(1, ROOT);
    expect(await contract.getFunction('rootOf').staticCall(1)).to.equal(ROOT);
    const [log] = receipt!.logs;
    expect(contract.interface.parseLog(log!)?.args.toObject()).to.deep.equal({ seq: 1n, root: ROOT });
    expect(log!.topics).to.have.length(3);
    expect(log!.data).to.equal('0x');
    // What the README says an anchor costs.
    expect(Number(receipt!.gasUsed)).to.be.within(45_700, 46_000);
  });

  it('refuses a second root for a number, also the same one', async () => {
    await anchor(2, ROOT);
    expect(await refusal(2, `0x${'cd'.repeat(32)}`)).to.equal('AlreadyAnchored');
    expect(await refusal(2, ROOT)).to.equal('AlreadyAnchored');
    expect(await contract.getFunction('rootOf').staticCall(2)).to.equal(ROOT);
  });

  it('refuses zero, which would not look anchored', async () => {
    expect(await refusal(3, ZeroHash)).to.equal('RootMissing');
  });

  it('takes roots from its operator only', async () => {
    const stranger = new Wallet(Wallet.createRandom().privateKey, provider);
    const strange = new Contract(deployed.address, ANCHOR.abi, stranger);
    expect(await refusal(4, ROOT, strange)).to.equal('NotOperator');
    expect(await contract.getFunction('operator').staticCall()).to.equal(operator.address);
  });

  it('gets the same address again on a chain that has forgotten everything', async function () {
    this.timeout(30_000);
    const forgetful = await startAnvil();
    try {
      await forgetful.rpc('anvil_setBalance', operator.address, '0xde0b6b3a7640000');
      const again = await deployAnchor(connectRpc(forgetful.url), walletSigner(operator));
      expect(again).to.deep.equal(deployed);
      expect(again.gasUsed).to.be.below(200_000);
    } finally {
      await forgetful.stop();
    }
  });
});
