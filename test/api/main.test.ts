import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { supervise, type Supervised } from '@yaoji/scripts/supervise';
import { realParts } from '../support/service.ts';
import { StoreProxy } from '../support/store-proxy.ts';

describe("the API's process", function () {
  this.timeout(60_000);
  const parts = realParts();
  let folder: string;
  let way: StoreProxy;
  let api: Supervised;
  const start = (more: NodeJS.ProcessEnv = {}): Supervised =>
    supervise({
      name: 'api',
      script: fileURLToPath(import.meta.resolve('@yaoji/api/main')),
      env: {
        ...process.env,
        DATABASE_URL: way.url,
        LEDGER_PROFILE: parts().profilePath,
        STATION_KEYS: parts().stationKeys,
        PORT: '0',
        ...more,
      },
      logFile: join(folder, 'api.log'),
      // Longer than it takes by itself.
      stopWithin: 30_000,
    });
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-api-'));
    way = await StoreProxy.to(parts().databaseUrl);
    api = start();
    await api.ready;
  });
  afterEach(async () => {
    await api.stop();
    way.close();
    rmSync(folder, { recursive: true });
  });

  it('ends in order when it is told to', async () => {
    await api.stop();
    expect(await api.exited).to.deep.equal({ code: 0, signal: null });
  });

  it('does not start with fewer viewers than verifiers ask for, or more than there are, and names them', async () => {
    const { endorsements, organisations } = parts().profile;
    for (const viewers of [endorsements - 1, organisations.length + 1]) {
      const refused = start({ VIEWERS: String(viewers) });
      const error = await refused.ready.catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(Error);
      expect((error as Error).message).to.contain(
        `VIEWERS must be from ${endorsements}, which verifiers ask for, to ${organisations.length}: ${viewers}`,
      );
      expect(await refused.exited).to.deep.equal({ code: 1, signal: null });
    }
  });

  it('ends by itself, and says so, when the store has become deaf and the order cannot be kept', async () => {
    way.deafen();
    // A health question that nobody will answer, and workers that look into their queues.
    const { url } = (await api.ready) as { url: string };
    void fetch(`${url}/readyz`).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const begun = Date.now();
    await api.stop();
    expect(await api.exited).to.deep.equal({ code: 1, signal: null });
    expect(Date.now() - begun).to.be.lessThan(12_000);
  });
});
