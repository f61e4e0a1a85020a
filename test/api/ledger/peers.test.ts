import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { status } from '@grpc/grpc-js';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { register } from '@yaoji/api/ledger/register';
import { readState } from '@yaoji/api/ledger/view';
import { LedgerUnavailable, RegistrationRefused } from '@yaoji/api/service';
import { at, DEFAULT_RULE_SET } from '@yaoji/chaincode/core';
import { certify } from '@yaoji/network/identities/certify';
import { CertificateExpired } from '@yaoji/network/identities/expiry';
import { caFiles } from '@yaoji/network/identities/files';
import { startLocalLedger, type RunningLedger } from '@yaoji/network/local/start';
import { readProfile } from '@yaoji/network/profile';
import { expect } from 'chai';
import { gatewayError, startGateways, type TestGateway } from '../../support/gateways.ts';

const ORG = 'HospitalMSP';

describe('A ledger with a gateway peer of each organisation', function () {
  this.timeout(60_000);

  let folder: string;
  let running: RunningLedger;
  let gateways: ReadonlyMap<string, TestGateway>;
  let closeGateways: () => void;
  let ledger: Ledger;
  let passedOver: string[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-peers-'));
    running = await startLocalLedger({
      folder,
      chaincode: dirname(fileURLToPath(import.meta.resolve('@yaoji/chaincode/package.json'))),
    });
    const started = await startGateways(readProfile(running.profile));
    ({ gateways, close: closeGateways } = started);
    ledger = connectLedger(started.profile, { log: ({ of }) => passedOver.push(String(of)) });
    passedOver = [];
    await register(
      ledger,
      ORG,
      'Found',
      ledger.profile.organisations.map(({ mspId, kind }) => ({ org: mspId, kind, zh: mspId, en: mspId })),
    );
  });
  beforeEach(async () => {
    running.faults.clear();
    for (const one of gateways.values()) await one.heal();
    // Whoever rested is asked first again.
    await sleep(1_100);
    await Promise.all(ledger.profile.organisations.map(({ mspId }) => read(mspId)));
    for (const one of gateways.values()) await one.heal();
    passedOver = [];
  });
  after(async () => {
    ledger.close();
    closeGateways();
    await running.stop();
    rmSync(folder, { recursive: true });
  });

  const own = (): TestGateway => gateways.get(ORG)!;
  const others = (): TestGateway[] => [...gateways.values()].filter((one) => one !== own());
  const calls = (all: TestGateway[], method: keyof TestGateway['calls']): number =>
    all.reduce((sum, one) => sum + one.calls[method], 0);
  const read = (org = ORG) => readState(ledger, org, [at.member(org)]);
  let sites = 0;
  const newSite = (): string => `site-${++sites}`;
  const putSite = (site = newSite()): Promise<void> =>
    register(ledger, ORG, 'PutSite', { site, zh: site, en: site, rules: DEFAULT_RULE_SET });
  const isThere = async (site: string): Promise<boolean> =>
    (await readState(ledger, 'RegulatorMSP', [at.site(ORG, site)])).size === 1;
  const failureOf = (working: Promise<unknown>): Promise<unknown> =>
    working.then(
      () => undefined,
      (error: unknown) => error,
    );

  it('is not connected to with a certificate that has expired, and says which', async () => {
    const [first, ...rest] = ledger.profile.organisations;
    const ca = caFiles(join(folder, 'organisations', first!.mspId));
    const issuer = { certificate: readFileSync(ca.certificate, 'utf8'), key: readFileSync(ca.key, 'utf8') };
    const connected = async (days: number): Promise<string[]> => {
      const notAfter = new Date(Date.now() + days * 86_400_000);
      const issued = await certify(issuer, { name: 'service', ou: 'client', notAfter });
      const certificate = join(folder, 'short.pem');
      writeFileSync(certificate, issued.certificate);
      const service = { ...first!.identities.service, certificate };
      const organisations = [{ ...first!, identities: { ...first!.identities, service } }, ...rest];
      const told: string[] = [];
      connectLedger(
        { ...ledger.profile, organisations },
        { log: ({ why }) => told.push(String(why)) },
      ).close();
      return told;
    };
    expect(await connected(60)).to.deep.equal([]);
    expect((await connected(10)).join()).to.match(/service of HospitalMSP expires at/);
    const refused = await failureOf(connected(-0.5));
    expect(refused).to.be.instanceOf(CertificateExpired);
    expect((refused as Error).message).to.match(/service of HospitalMSP expired at/);
  });

  it("goes to the organisation's own peer while that is well", async () => {
    await read();
    await putSite();
    expect(calls(others(), 'Evaluate') + calls(others(), 'Endorse') + calls(others(), 'Submit')).to.equal(0);
    expect(own().calls).to.include({ Evaluate: 1, Endorse: 1, Submit: 1, CommitStatus: 1 });
  });

  it('goes to another one when that is dead, in every phase, and back to it when it is well again', async () => {
    own().kill();
    const site = newSite();
    await putSite(site);
    await read();
    expect(await isThere(site)).to.equal(true);
    expect(passedOver).to.deep.equal([ORG]);
    await own().heal();
    // It rests for a second, and its connection is made anew within another.
    await sleep(2_200);
    await read();
    for (const one of others()) await one.heal();
    await read();
    expect(own().calls.Evaluate).to.be.greaterThan(0);
    expect(calls(others(), 'Evaluate')).to.equal(0);
  });

  it('waits for one that does not answer once, and not with every call', async () => {
    own().before = () => 'deaf';
    expect(await failureOf(read())).to.be.instanceOf(LedgerUnavailable);
    const begun = performance.now();
    for (let i = 0; i < 5; i++) await read();
    expect(performance.now() - begun).to.be.lessThan(2_000);
    expect(own().calls.Evaluate).to.equal(1);
  });

  for (const [what, error] of [
    [
      "cannot endorse: its organisation's chaincode is down",
      gatewayError(
        status.ABORTED,
        'failed to endorse transaction, see attached details for more info',
        ORG,
        'chaincode response 500, error in simulation: failed to execute transaction: connection refused',
      ),
    ],
    [
      'knows too few peers of others',
      gatewayError(
        status.FAILED_PRECONDITION,
        'no combination of peers can be derived which satisfy the endorsement policy',
      ),
    ],
    [
      'is over its limit',
      gatewayError(status.RESOURCE_EXHAUSTED, 'the gateway is at its concurrency limit of 500'),
    ],
  ] as const)
    it(`goes to another one when its own ${what}`, async () => {
      own().before = (method) => (method === 'Endorse' ? error : undefined);
      const site = newSite();
      await putSite(site);
      expect(await isThere(site)).to.equal(true);
      expect(calls(others(), 'Endorse')).to.equal(1);
    });

  it('says that it is unavailable when no peer finds enough others, which is no fault of ours', async () => {
    const error = gatewayError(
      status.FAILED_PRECONDITION,
      'no combination of peers can be derived which satisfy the endorsement policy',
    );
    for (const one of gateways.values()) one.before = (method) => (method === 'Endorse' ? error : undefined);
    expect(await failureOf(putSite())).to.be.instanceOf(LedgerUnavailable);
  });

  it('asks nobody else when the contract refuses', async () => {
    const error = await failureOf(register(ledger, ORG, 'RevokeStation', 'nobody-1'));
    expect(error).to.be.instanceOf(RegistrationRefused);
    expect(calls(others(), 'Endorse')).to.equal(0);
  });

  it("says the contract's refusal too when only another organisation's peer can tell it", async () => {
    own().kill();
    const error = await failureOf(register(ledger, ORG, 'RevokeStation', 'nobody-1'));
    expect(error).to.be.instanceOf(RegistrationRefused);
    expect((error as RegistrationRefused).code).to.equal('STATION_UNKNOWN');
  });

  it('learns from another what became of a transaction when its own dies after the submit', async () => {
    own().after = (method) => {
      if (method === 'Submit') own().kill();
      return undefined;
    };
    const site = newSite();
    await putSite(site);
    expect(own().calls).to.include({ Endorse: 1, Submit: 1 });
    // The same transaction goes to another, which has it already; it is not endorsed again.
    expect(calls(others(), 'Endorse')).to.equal(0);
    expect(calls(others(), 'CommitStatus')).to.equal(1);
    expect(await isThere(site)).to.equal(true);
  });

  it('learns it too when its own dies while the transaction is being ordered', async () => {
    own().before = (method) => {
      if (method === 'CommitStatus') own().kill();
      return undefined;
    };
    const site = newSite();
    await putSite(site);
    expect(calls([...gateways.values()], 'Endorse')).to.equal(1);
    expect(await isThere(site)).to.equal(true);
  });

  it('takes "request already processed" for what it is: the orderers have it', async () => {
    running.faults.set({ claimProcessed: 1 });
    const site = newSite();
    await putSite(site);
    expect(own().calls).to.include({ Endorse: 1, Submit: 1, CommitStatus: 1 });
    expect(calls(others(), 'Submit')).to.equal(0);
    expect(passedOver).to.deep.equal([]);
    expect(await isThere(site)).to.equal(true);
  });

  it('fails when the orderers are out, without asking everybody', async () => {
    running.faults.set({ refuseOrdering: ['HospitalMSP', 'DecoctionMSP', 'CourierMSP'] });
    expect(await failureOf(putSite())).to.be.instanceOf(LedgerUnavailable);
    expect(calls(others(), 'Submit')).to.equal(0);
  });

  it('sends a peer no more than 64 calls at once, and all of them in the end', async () => {
    const answers = await Promise.all(Array.from({ length: 200 }, () => read()));
    expect(answers.every((answer) => answer.size === 1)).to.equal(true);
    expect(own().most).to.be.within(2, 64);
    expect(calls(others(), 'Evaluate')).to.equal(0);
  });
});
