import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { status as rpc } from '@grpc/grpc-js';
import { CommitError, GatewayError, StatusCode } from '@hyperledger/fabric-gateway';
import { findBinaries } from '@yaoji/network/fabric/binaries';
import { control, controlPath } from '@yaoji/network/fabric/control';
import { placesIn, readLayout } from '@yaoji/network/fabric/layout';
import { isRunning, readProcesses, type ProcessRecord } from '@yaoji/network/fabric/processes';
import { readStatus } from '@yaoji/network/fabric/status';
import { certify } from '@yaoji/network/identities/certify';
import { caFiles, readIssued } from '@yaoji/network/identities/files';
import { readProfile } from '@yaoji/network/profile';
import { expect } from 'chai';
import { needsFabric, REAL_FABRIC } from '../../support/fabric.ts';
import {
  connectAs,
  launchFabric,
  launchFabricOf,
  organisation,
  servicePerson,
  type LaunchedLedger,
  type LedgerClient,
} from '../../support/ledger-under-test.ts';

const PROBE = fileURLToPath(new URL('../../support/probe-chaincode/', import.meta.url));
const ABORTED: number = rpc.ABORTED;
const LIBRARIES = dirname(dirname(fileURLToPath(import.meta.resolve('chai/package.json'))));

describe(`${REAL_FABRIC}: a network on this machine`, function () {
  this.timeout(240_000);

  const folder = mkdtempSync(join(tmpdir(), 'yaoji-fabric-'));
  const data = join(folder, 'network');
  const contract = join(folder, 'contract');
  const places = placesIn(data);
  let running: LaunchedLedger;
  let client: LedgerClient;
  let deadly: DeadlyPeer;

  const start = async (): Promise<void> => {
    running = await launchFabricOf(deadly.home, data, '--chaincode', contract);
    meet();
  };
  const meet = (): void => {
    const profile = readProfile(running.profile);
    client = connectAs(servicePerson(organisation(profile, 'hospital')), profile);
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    client.close();
    const exited = once(running.child, 'exit');
    running.child.kill(signal);
    await exited;
  };
  /** Writes a contract that answers this to `readOwnWrite`. */
  const compile = (answer: string): void => {
    const code = readFileSync(join(PROBE, 'index.js'), 'utf8');
    writeFileSync(join(contract, 'index.js'), code.replace("'nothing'", JSON.stringify(answer)));
  };
  const answer = async (): Promise<string> =>
    Buffer.from(await client.contract.evaluateTransaction('readOwnWrite', 'k')).toString();
  const processes = (): ProcessRecord[] =>
    readProcesses(places.run).filter((record) => isRunning(record) && record.name !== 'supervisor');
  const processOf = (name: string): ProcessRecord | undefined =>
    processes().find((record) => record.name.startsWith(name));
  const put = (key: string, value: string) => client.contract.submitTransaction('put', key, value);

  before(async function () {
    await needsFabric(this);
    cpSync(PROBE, contract, { recursive: true });
    symlinkSync(LIBRARIES, join(contract, 'node_modules'));
    writeFileSync(
      join(contract, 'package.json'),
      JSON.stringify({ name: 'contract', type: 'module', main: 'index.js' }),
    );
    compile('one');
    deadly = await DeadlyPeer.in(join(folder, 'fabric'));
    // Its very first deployment comes to no end.
    deadly.killAt('commit');
    await comesToNothing(launchFabricOf(deadly.home, data, '--chaincode', contract));
    deadly.spare();
    await start();
  });
  after(async () => {
    if (running?.child.exitCode === null && running.child.signalCode === null) await end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  });

  it('consists of an orderer, a peer and a contract process of each member, which agree', async () => {
    await put('first', 'kept');
    const nodes = await readStatus(data);
    expect(nodes.map(({ name }) => name.replace(/-[0-9a-f]{8}$/, ''))).to.deep.equal(
      ['hospital', 'decoction', 'courier', 'regulator'].flatMap((member) =>
        ['orderer', 'peer', 'chaincode'].map((kind) => `${kind}-${member}`),
      ),
    );
    for (const { name, pid } of nodes) expect(pid, name).to.be.a('number');
    expect(nodes.filter(({ isLeader }) => isLeader)).to.have.length(1);
    expect(await answer()).to.equal('one');
  });

  it('takes nobody at its operations and admin endpoints who shows no certificate', async () => {
    const [hospital] = readLayout(places)!.members;
    const tlsCa = readFileSync(join(places.member('HospitalMSP'), 'tls-ca.pem'));
    const refused = (port: number): Promise<boolean> =>
      new Promise((resolve) => {
        const options = { host: '127.0.0.1', port, path: '/metrics', ca: tlsCa, servername: 'localhost' };
        const asked = request(options, (response) => resolve(response.statusCode === 401));
        asked.on('error', () => resolve(true)).end();
      });
    expect(await refused(hospital!.orderer.admin)).to.equal(true);
    expect(await refused(hospital!.orderer.operations)).to.equal(true);
    expect(await refused(hospital!.peer.operations)).to.equal(true);
  });

  it('lets a second network have its folder only when the first is gone', async () => {
    const second = await launchFabric(data, '--chaincode', contract).catch((error: Error) => error.message);
    expect(second).to.match(/a network is already running from .*: process \d+/);
    expect(processOf('peer-hospital')).not.to.equal(undefined);
  });

  for (const kind of ['chaincode', 'peer', 'orderer']) {
    it(`starts a killed ${kind} again, and goes on meanwhile`, async () => {
      const killed = processOf(`${kind}-courier`)!;
      process.kill(killed.pid, 'SIGKILL');
      await eventually(async () => put(`after-${kind}`, 'written'));
      await eventually(() => {
        const again = processOf(`${kind}-courier`);
        if (!again || again.pid === killed.pid) throw new Error(`${killed.name} is not back`);
        return Promise.resolve();
      });
    });
  }

  it('replaces the contract while it answers', async () => {
    const over = new AbortController();
    const seen = new Set<string>();
    let writes = 0;
    let longest = 0;
    const readers = (async () => {
      while (!over.signal.aborted) {
        const asked = Date.now();
        seen.add(await eventually(answer, isUnanswered));
        longest = Math.max(longest, Date.now() - asked);
        await sleep(20);
      }
    })();
    const writers = (async () => {
      while (!over.signal.aborted) {
        // While peers commit the new definition one after another, their answers differ; and what was endorsed before it is
        // overtaken by it. In both cases a client asks again.
        await eventually(() => put(`traffic-${writes}`, 'x'), isOvertaken);
        writes++;
      }
    })();
    await sleep(500);
    compile('two');
    const { sequence } = await control(controlPath(data), { deploy: contract });
    await sleep(500);
    over.abort();
    await Promise.all([readers, writers]);
    process.stdout.write(`    longest time without an answer ${longest} ms\n`);
    expect(longest).to.be.lessThan(5000);
    expect([...seen]).to.deep.equal(['one', 'two']);
    expect([sequence, await answer()]).to.deep.equal([2, 'two']);
    expect(writes).to.be.greaterThan(5);
    const contracts = processes().filter(({ name }) => name.startsWith('chaincode-'));
    expect(contracts, 'the old processes are gone').to.have.length(4);
    expect((await control(controlPath(data), { deploy: contract })).sequence, 'nothing new').to.equal(2);
  });

  it('leaves nothing running when it is killed, and goes on where it was', async () => {
    const before = processes();
    expect(before).to.have.length(13);
    await end('SIGKILL');
    await eventually(() => {
      const left = before.filter(isRunning);
      if (left.length > 0) throw new Error(`still there: ${left.map(({ name }) => name).join(' ')}`);
      return Promise.resolve();
    });
    await start();
    expect(Buffer.from(await client.contract.evaluateTransaction('read', 'first')).toString()).to.equal(
      'kept',
    );
    expect(await answer()).to.equal('two');
  });

  it('ends what a killed supervisor and a killed keeper have left, before it starts again', async () => {
    const before = processes();
    process.kill(processOf('keeper')!.pid, 'SIGSTOP');
    await end('SIGKILL');
    process.kill(processOf('keeper')!.pid, 'SIGKILL');
    await eventually(() => {
      // Processes of the contract follow the keeper by themselves; the nodes cannot.
      expect(processes().map(({ name }) => name)).to.include.members(['orderer-hospital', 'peer-hospital']);
      return Promise.resolve();
    });
    await start();
    expect(before.filter(isRunning)).to.deep.equal([]);
    expect(await answer()).to.equal('two');
  });

  it('brings a contract that was compiled while it was down', async () => {
    await end('SIGTERM');
    compile('three');
    await start();
    expect(await answer()).to.equal('three');
  });

  for (const [moment, when] of [
    ['install', 'when one member has the package'],
    ['approve', 'when one member has approved'],
    ['commit', 'when all have approved and nothing is committed'],
    ['committed', 'when it is committed and the old processes still run'],
  ] as const)
    it(`killed in a deployment ${when}, completes it at the next start`, async () => {
      const { sequence } = await control(controlPath(data), { deploy: contract });
      compile(moment);
      deadly.killAt(moment);
      const exited = once(running.child, 'exit');
      await comesToNothing(control(controlPath(data), { deploy: contract }));
      client.close();
      expect(await exited).to.deep.equal([null, 'SIGKILL']);
      deadly.spare();
      await start();
      expect(await answer()).to.equal(moment);
      const again = await control(controlPath(data), { deploy: contract });
      expect(again.sequence, 'one definition more').to.equal(sequence! + 1);
      expect(processes().filter(({ name }) => name.startsWith('chaincode-'))).to.have.length(4);
      await eventually(() => put(`after-${moment}`, 'written'), isOvertaken);
    });

  it('takes in another member while it runs, whose part in it then stays', async () => {
    const first = await control(controlPath(data), { add: 'not written so' }).catch(
      (error: Error) => error.message,
    );
    expect(first).to.match(/an organisation is written NAME:KIND/);
    await control(controlPath(data), { add: 'SecondDecoctionMSP:decoction' });
    const joined = async (): Promise<void> => {
      const profile = readProfile(running.profile);
      expect([profile.organisations.length, profile.endorsements]).to.deep.equal([5, 3]);
      const theirs = connectAs(servicePerson(profile.organisations[4]!), profile);
      const endorsingOrganizations = profile.organisations.map(({ mspId }) => mspId);
      const key = `fifth-${Date.now()}`;
      await eventually(
        () => theirs.contract.submit('create', { arguments: [key, 'v'], endorsingOrganizations }),
        isOvertaken,
      );
      theirs.close();
    };
    await joined();
    const again = await control(controlPath(data), { add: 'SecondDecoctionMSP:decoction' }).catch(
      (error: Error) => error.message,
    );
    expect(again).to.equal('SecondDecoctionMSP is a member already');
    await end('SIGTERM');
    compile('four');
    await start();
    await joined();
    expect(await answer()).to.equal('four');
  });

  it('refuses to be another network than its folder holds', async () => {
    await end('SIGTERM');
    expect(processes()).to.deep.equal([]);
    const refused = (...more: string[]): Promise<unknown> =>
      launchFabric(data, '--chaincode', contract, ...more).catch((error: Error) => error.message);
    expect(await refused('--ordering', 'raft')).to.match(/holds a network with bft ordering/);
    expect(await refused('--organisations', 'OneMSP:hospital')).to.match(/holds a network of HospitalMSP/);
  });

  it('refuses to start with a certificate that has expired, by its name', async () => {
    const member = places.member('CourierMSP');
    const expired = await certify(readIssued(caFiles(member)), {
      name: 'service',
      ou: 'client',
      notBefore: new Date(Date.now() - 3_600_000),
      notAfter: new Date(Date.now() - 1000),
    });
    writeFileSync(join(member, 'service.pem'), expired.certificate);
    const refused = await launchFabric(data, '--chaincode', contract).catch((error: Error) => error.message);
    expect(refused).to.match(/the certificate service of CourierMSP expired at/);
    expect(processes()).to.deep.equal([]);
  });
});

describe(`${REAL_FABRIC}: a network of five members that orders by Raft`, function () {
  this.timeout(120_000);

  it('is a line of configuration', async function () {
    await needsFabric(this);
    const folder = mkdtempSync(join(tmpdir(), 'yaoji-fabric-'));
    const members =
      'HospitalMSP:hospital,DecoctionMSP:decoction,SecondDecoctionMSP:decoction,CourierMSP:courier,RegulatorMSP:regulator';
    const running = await launchFabric(folder, '--ordering', 'raft', '--organisations', members);
    try {
      const profile = readProfile(running.profile);
      expect(profile.organisations.map(({ mspId, kind }) => `${mspId}:${kind}`).join(',')).to.equal(members);
      expect(profile.endorsements).to.equal(3);
      const client = connectAs(servicePerson(profile.organisations[2]!), profile);
      await client.contract.submitTransaction('create', 'k', 'v');
      client.close();
      expect((await readStatus(folder)).filter(({ isLeader }) => isLeader)).to.have.length(1);
    } finally {
      const exited = once(running.child, 'exit');
      running.child.kill('SIGTERM');
      await exited;
      expect(existsSync(folder)).to.equal(true);
      rmSync(folder, { recursive: true });
    }
  });
});

/** Where a deployment can be killed: each command of `peer lifecycle chaincode` ends somewhere. */
type DeploymentMoment = 'install' | 'approve' | 'commit' | 'committed';

/** Fabric's programs, of which `peer` can kill whoever calls it, at a moment of a deployment. */
class DeadlyPeer {
  readonly home: string;

  private constructor(home: string) {
    this.home = home;
  }

  static async in(home: string): Promise<DeadlyPeer> {
    const binaries = await findBinaries();
    mkdirSync(join(home, 'bin'), { recursive: true });
    symlinkSync(binaries.config, join(home, 'config'));
    for (const program of ['orderer', 'configtxgen', 'configtxlator', 'osnadmin'] as const)
      symlinkSync(binaries.path(program), join(home, 'bin', program));
    // The others wait for the first: then exactly one has done it. None does anything after the death.
    const script = `#!/bin/sh
real='${binaries.path('peer')}'
armed=$(cat '${home}/armed' 2>/dev/null)
die() { kill -9 $PPID; exit 1; }
first() {
  if mkdir '${home}/first' 2>/dev/null; then "$real" "$@" && touch '${home}/done'; exit; fi
  until [ -e '${home}/done' ]; do kill -0 $PPID 2>/dev/null || exit 1; sleep 0.05; done
  die
}
case "$armed $*" in
  'install lifecycle chaincode install '*) first "$@" ;;
  'approve lifecycle chaincode approveformyorg '*) first "$@" ;;
  'commit lifecycle chaincode commit '*) die ;;
  'committed lifecycle chaincode commit '*) "$real" "$@"; die ;;
esac
exec "$real" "$@"
`;
    writeFileSync(join(home, 'bin', 'peer'), script, { mode: 0o755 });
    return new DeadlyPeer(home);
  }

  killAt(moment: DeploymentMoment): void {
    this.spare();
    writeFileSync(join(this.home, 'armed'), moment);
  }

  /** It kills nobody from here on. */
  spare(): void {
    for (const name of ['armed', 'first', 'done'])
      rmSync(join(this.home, name), { recursive: true, force: true });
  }
}

/** Resolves when what would have come of a process that is killed comes to nothing. */
async function comesToNothing(work: Promise<unknown>): Promise<void> {
  const outcome = await work.then(
    () => 'it was not killed',
    () => undefined,
  );
  expect(outcome).to.equal(undefined);
}

/** Endorsers stood at different heights, or what they read has changed since. */
function isOvertaken(error: unknown): boolean {
  if (error instanceof CommitError) return error.code === StatusCode.MVCC_READ_CONFLICT;
  return error instanceof GatewayError && error.code === ABORTED;
}

/**
 * The peer itself, not the contract, gave no answer. While it commits a block with a definition it knows the new one already
 * and still holds the state of the old: callers are to ask again (Fabric's core/chaincode/lifecycle/cache.go,
 * StateCommitDone). A slow disk makes that moment a long one.
 */
function isUnanswered(error: unknown): boolean {
  return error instanceof GatewayError && error.code === ABORTED;
}

/** Tries again for half a minute, for reasons that pass. */
async function eventually<T>(
  attempt: () => Promise<T>,
  passes: (error: unknown) => boolean = () => true,
): Promise<T> {
  for (const deadline = Date.now() + 30_000; ; await sleep(100)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline || !passes(error)) throw error;
    }
  }
}
