import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { isUnavailable } from '@yaoji/api/ledger/errors';
import { register } from '@yaoji/api/ledger/register';
import { readState, takeView } from '@yaoji/api/ledger/view';
import { LedgerUnavailable, RegistrationRefused } from '@yaoji/api/service';
import { at, DEFAULT_RULE_SET } from '@yaoji/chaincode/core';
import { startLocalLedger, type RunningLedger } from '@yaoji/network/local/start';
import { readProfile } from '@yaoji/network/profile';
import { expect } from 'chai';

// Found by the soak: a registration that went in was answered with an internal error when what stands on the ledger could
// not be read back. Found with the lag switch: a registration was refused for good because other peers were behind.

const ORG = 'HospitalMSP';

describe('A ledger that is out, or whose peers lag', function () {
  this.timeout(120_000);

  let folder: string;
  let running: RunningLedger;
  let ledger: Ledger;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-out-'));
    running = await startLocalLedger({
      folder,
      chaincode: dirname(fileURLToPath(import.meta.resolve('@yaoji/chaincode/package.json'))),
    });
    ledger = connectLedger(readProfile(running.profile));
    const members = ledger.profile.organisations.map(({ mspId, kind }) => ({
      org: mspId,
      kind,
      zh: mspId,
      en: mspId,
    }));
    await register(ledger, ORG, 'Found', members);
  });
  afterEach(() => running.faults.clear());
  after(async () => {
    ledger.close();
    await running.stop();
    rmSync(folder, { recursive: true });
  });

  const others = (): string[] =>
    ledger.profile.organisations.map(({ mspId }) => mspId).filter((mspId) => mspId !== ORG);
  const putSite = (site: string): Promise<void> =>
    register(ledger, ORG, 'PutSite', { site, zh: site, en: site, rules: DEFAULT_RULE_SET });
  const read = () => readState(ledger, ORG, [at.member(ORG)]);
  const failureOf = (reading: Promise<unknown>): Promise<unknown> =>
    reading.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('takes a registration as soon as the peers of others have what it builds on', async () => {
    running.faults.set({ lag: others().slice(0, 2) });
    const registering = failureOf(putSite('hospital-1'));
    await sleep(500);
    running.faults.clear();
    expect(await registering).to.equal(undefined);
  });

  it("refuses a registration that the organisation's own peer refuses", async () => {
    const error = await failureOf(register(ledger, ORG, 'RevokeStation', 'nobody-1'));
    expect(error).to.be.instanceOf(RegistrationRefused);
  });

  it("says that it is unavailable when the organisation's peer is away", async () => {
    running.faults.set({ refuseEndorsing: [ORG] });
    const error = await failureOf(read());
    expect(error).to.be.instanceOf(LedgerUnavailable);
    expect(isUnavailable(error)).to.equal(true);
  });

  it('says so when the organisations do not come to the same answer', async () => {
    running.faults.set({ lag: others() });
    await putSite('hospital-2');
    const site = at.site(ORG, 'hospital-2');
    expect(await failureOf(takeView(ledger, ORG, [site]))).to.be.instanceOf(LedgerUnavailable);
    running.faults.clear();
    expect((await takeView(ledger, ORG, [site])).values.has(site)).to.equal(true);
  });

  it('says so too when the contract dies meanwhile, and reads again when it is back', async () => {
    const failures: unknown[] = [];
    while (failures.length === 0) {
      const reading = Array.from({ length: 50 }, () => failureOf(read()));
      await reading[0];
      kill(running.chaincodePid());
      failures.push(...(await Promise.all(reading)).filter((error) => error !== undefined));
    }
    for (const error of failures) expect(error).to.be.instanceOf(LedgerUnavailable);
    for (let values; values === undefined;) values = await read().catch(() => undefined);
    expect((await read()).has(at.member(ORG))).to.equal(true);
  });
});

function kill(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It may be gone already, by the kill before.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
