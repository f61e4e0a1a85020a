import { expect } from 'chai';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startAnchorChain, type AnchorChain } from '../support/chain.ts';
import { realParts, serveService, settled, Telling, until, type ServedService } from '../support/service.ts';

describe('a service with a chain', function () {
  this.timeout(120_000);
  const parts = realParts();
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-anchored-'));
  let chain: AnchorChain;
  let served: ServedService;
  before(async () => {
    await settled(parts().pipeline(), parts(), [new Telling(parts()).say('RX_ISSUED')]);
    chain = await startAnchorChain();
    const key = { file: join(folder, 'key') };
    chain.writeKey(key.file);
    const { contract, anvil } = chain;
    served = await serveService(parts(), {
      chain: { rpc: anvil.url, id: 31_337, contract, key, every: 3_600_000 },
    });
  });
  after(async () => {
    await served?.stop();
    await chain?.anvil.stop();
    rmSync(folder, { recursive: true });
  });

  const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(served.access.url + path, {
      headers: path.startsWith('/v1')
        ? { authorization: `Bearer ${served.of('RegulatorMSP').recorder}` }
        : {},
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('says in its trust file where it anchors, and that one operator runs that chain', async () => {
    expect((await get('/trust.json')).body['anchor']).to.deep.equal({
      chain: 'eip155:31337',
      contract: chain.contract,
      development: true,
      blocks: [],
    });
  });

  it('tells how its anchors are, and is ready without a chain as well', async () => {
    await until('it is anchored', async () => (await get('/v1/anchors/1')).body['state'] !== undefined);
    await until('it is in a block', async () => (await get('/v1/anchors/1')).body['block'] !== undefined);
    const { body } = await get('/readyz');
    expect(body['anchor']).to.deep.include({ chain: 'eip155:31337', contract: chain.contract, seq: 1 });
    await chain.anvil.kill();
    await until('the trouble shows', async () => {
      const { anchor } = (await get('/readyz')).body as { anchor: { trouble?: string } };
      return anchor.trouble === 'NODE_UNREACHABLE';
    });
    expect(await get('/readyz')).to.deep.include({ status: 200 });
    const demanded = await fetch(`${served.access.url}/v1/anchors`, {
      method: 'POST',
      headers: { authorization: `Bearer ${served.of('RegulatorMSP').recorder}` },
    });
    expect(demanded.status).to.equal(202);
    expect(await demanded.json()).to.deep.equal({ reason: 'NODE_UNREACHABLE' });
  });
});
