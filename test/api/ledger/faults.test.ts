import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { isUnavailable } from '@yaoji/api/ledger/errors';
import { register } from '@yaoji/api/ledger/register';
import { readState, takeView, type TakenView } from '@yaoji/api/ledger/view';
import { LedgerUnavailable, RegistrationRefused } from '@yaoji/api/service';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { at, checkView, DEFAULT_RULE_SET, readView } from '@yaoji/chaincode/core';
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

  const others = (than = ORG): string[] =>
    ledger.profile.organisations.map(({ mspId }) => mspId).filter((mspId) => mspId !== than);
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

  describe('has a view signed', () => {
    const KEYS = [at.member(ORG)];
    const organisations = (): string[] => ledger.profile.organisations.map(({ mspId }) => mspId);
    /** Who signed, as core reads it, every signature checked. */
    async function signers({ payload }: TakenView): Promise<string[]> {
      const cas = new Map(ledger.profile.organisations.map(({ mspId, ca }) => [mspId, ca]));
      const { organisations: signed } = await checkView(readView(payload), cas, nodeSuite);
      return [...signed].sort();
    }

    it('by all organisations while all answer', async () => {
      const view = await takeView(ledger, ORG, KEYS);
      expect(view.without).to.deep.equal([]);
      expect(await signers(view)).to.deep.equal(organisations().sort());
      expect(view.values.get(KEYS[0]!)).to.include({ kind: 'hospital' });
    });

    it('by those that answer, when they are as many as it takes, and says who is missing', async () => {
      for (const missing of organisations()) {
        running.faults.set({ refuseEndorsing: [missing] });
        const view = await takeView(ledger, ORG, KEYS);
        expect(view.without).to.deep.equal([missing]);
        expect(await signers(view)).to.deep.equal(others(missing).sort());
      }
    });

    it('by no fewer: then it is unavailable', async () => {
      running.faults.set({ refuseEndorsing: others().slice(0, 2) });
      expect(await failureOf(takeView(ledger, ORG, KEYS))).to.be.instanceOf(LedgerUnavailable);
    });

    it('by as many as it is told', async () => {
      const strict = connectLedger(ledger.profile, { viewers: 4 });
      const lax = connectLedger(ledger.profile, { viewers: 2 });
      try {
        expect(await signers(await takeView(strict, ORG, KEYS))).to.have.length(4);
        running.faults.set({ refuseEndorsing: others().slice(0, 1) });
        expect(await failureOf(takeView(strict, ORG, KEYS))).to.be.instanceOf(LedgerUnavailable);
        running.faults.set({ refuseEndorsing: others().slice(0, 2) });
        expect(await signers(await takeView(lax, ORG, KEYS))).to.have.length(2);
      } finally {
        strict.close();
        lax.close();
      }
    });

    it('by all of them as soon as one that is behind has caught up', async () => {
      running.faults.set({ lag: others().slice(0, 1) });
      await putSite('hospital-3');
      const viewing = takeView(ledger, ORG, [at.site(ORG, 'hospital-3')]);
      await sleep(200);
      running.faults.clear();
      expect((await viewing).without).to.deep.equal([]);
    });

    it('without one that stays behind', async () => {
      const [behind] = others();
      running.faults.set({ lag: [behind!] });
      await putSite('hospital-4');
      const view = await takeView(ledger, ORG, [at.site(ORG, 'hospital-4')]);
      expect(view.without).to.deep.equal([behind]);
      expect(view.values.has(at.site(ORG, 'hospital-4'))).to.equal(true);
    });

    it("not by others who agree on less than the organisation's own peer knows", async () => {
      running.faults.set({ lag: others() });
      await putSite('hospital-2');
      const site = at.site(ORG, 'hospital-2');
      expect(await failureOf(takeView(ledger, ORG, [site]))).to.be.instanceOf(LedgerUnavailable);
      running.faults.clear();
      expect((await takeView(ledger, ORG, [site])).values.has(site)).to.equal(true);
    });
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
