import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';
import { needsFabric, REAL_FABRIC } from '../../support/fabric.ts';
import {
  connectAs,
  probeChaincode,
  servicePerson,
  type LedgerClient,
} from '../../support/ledger-under-test.ts';
import { leaveOut } from '../../support/left-out.ts';
import { namespacesMissing, newTestHosts, type TestHost, type TestHosts } from '../../support/namespaces.ts';
import { readUnit } from '../../support/unit-file.ts';

const FABRIC = fileURLToPath(import.meta.resolve('@yaoji/scripts/fabric'));
const MEMBERS = ['hospital', 'decoction', 'courier', 'regulator'] as const;
type Name = (typeof MEMBERS)[number];
const mspOf = (name: Name): string => `${name[0]!.toUpperCase()}${name.slice(1)}MSP`;

/** A member's part of the network: its folder, and the host that nothing but what is in the folder is started on. */
interface Part {
  readonly name: Name;
  readonly folder: string;
  readonly host: TestHost;
}

describe(`${REAL_FABRIC}: a network whose members each have a host`, function () {
  this.timeout(180_000);

  const data = mkdtempSync(join(tmpdir(), 'yaoji-hosts-'));
  const description = join(data, 'consortium.json');
  const consortium = join(data, 'consortium');
  let network: TestHosts | undefined;
  let parts: Part[];
  let profile: NetworkProfile;
  const clients: LedgerClient[] = [];

  const part = (name: Name): Part => parts.find((one) => one.name === name)!;
  const hosts = ({ host, folder }: Part, name: string, ...args: string[]): Promise<string> =>
    host.run([process.execPath, FABRIC, 'hosts', name, ...args, '--folder', folder]);
  const everywhere = (name: string, ...args: string[]): Promise<string[]> =>
    Promise.all(parts.map((one) => hosts(one, name, ...args)));
  const startUnits = ({ host, folder }: Part, kind: string): void => {
    const units = join(folder, 'units');
    for (const file of readdirSync(units).filter((unit) => unit.startsWith(`yaoji-${kind}`))) {
      const { command, environment } = readUnit(join(units, file));
      mkdirSync(join(folder, 'log'), { recursive: true });
      host.start(command, environment, join(folder, 'log', `${file}.log`));
    }
  };
  const clientOf = (name: Name): LedgerClient => {
    const organisation = profile.organisations.find(({ mspId }) => mspId === mspOf(name))!;
    const client = connectAs(servicePerson(organisation), profile, organisation.mspId);
    clients.push(client);
    return client;
  };
  /** The heights of a member's orderer and peer. */
  const heights = async (name: Name): Promise<number[]> =>
    [...(await hosts(part(name), 'status')).matchAll(/(\d+) blocks/g)].map(([, blocks]) => Number(blocks));

  before(async function () {
    await needsFabric(this);
    const missing = namespacesMissing();
    if (missing !== undefined) leaveOut(this, 'a Fabric network over several hosts', missing);
    network = newTestHosts(MEMBERS.length);
    parts = MEMBERS.map((name, i) => ({ name, folder: join(data, name), host: network!.hosts[i]! }));
    const organisations = parts.map(({ name, host }) => ({
      mspId: mspOf(name),
      kind: name,
      host: host.address,
    }));
    writeFileSync(description, JSON.stringify({ organisations }));
  });
  after(() => {
    for (const client of clients) client.close();
    network?.remove();
    rmSync(data, { recursive: true, force: true });
  });

  it('is made by each member for itself, from what the others hand over', async () => {
    await Promise.all(parts.map((one) => hosts(one, 'init', description, '--member', mspOf(one.name))));
    const handOvers = parts.map(({ folder }) => join(folder, 'hand-over.json'));
    const [{ host }] = parts as [Part];
    await host.run([
      process.execPath,
      FABRIC,
      'hosts',
      'assemble',
      description,
      ...handOvers,
      '--out',
      consortium,
    ]);
    const said = await everywhere('accept', consortium);
    expect(new Set(said.map((text) => /[0-9a-f]{64}/.exec(text)?.[0])).size, 'one block 0').to.equal(1);
  });

  it('starts from the units in its folders, and joins', async () => {
    for (const one of parts) for (const kind of ['orderer', 'peer']) startUnits(one, kind);
    await everywhere('join');
  });

  it('agrees upon a contract that each member approves, and one commits', async () => {
    await everywhere('approve', '--chaincode', probeChaincode());
    for (const one of parts) startUnits(one, 'chaincode');
    expect(await hosts(part('hospital'), 'commit')).to.include('definition 1: all members endorse');
  });

  it('takes transactions of the API, by identities that cannot govern the channel', async () => {
    const accesses = parts.map(({ name }) => join(data, `access-${name}`));
    await Promise.all(parts.map((one, i) => hosts(one, 'access', accesses[i]!)));
    const [{ host }] = parts as [Part];
    const out = join(data, 'api');
    await host.run([process.execPath, FABRIC, 'hosts', 'profile', ...accesses, '--out', out]);
    profile = readProfile(join(out, 'network.json'));
    expect(profile.endorsements).to.equal(3);
    await clientOf('hospital').contract.submitTransaction('create', 'first', 'kept');
    const who = await clientOf('courier').contract.evaluateTransaction('whoAmI');
    expect(Buffer.from(who).toString()).to.equal('CourierMSP service');
  });

  it('goes on settling while a member is cut off, which catches up when it is back and endorses again', async () => {
    const { contract } = clientOf('hospital');
    const { host } = part('courier');
    const before = await heights('courier');
    const times: Record<string, string> = {};
    const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
      const began = Date.now();
      const answer = await work();
      times[what] = `${((Date.now() - began) / 1000).toFixed(1)} s`;
      return answer;
    };
    host.cut();
    await timed('first after the cut', () => eventually(() => contract.submitTransaction('put', 'cut', '0')));
    await timed('nine more', async () => {
      for (let i = 1; i < 10; i++)
        await eventually(() => contract.submitTransaction('put', 'cut', String(i)));
    });
    const [, others] = await heights('hospital');
    expect(others! - before[1]!).to.be.at.least(10);
    expect(await heights('courier'), 'the one that is cut off').to.deep.equal(before);

    host.mend();
    await timed('caught up', () =>
      eventually(async () => {
        const all = await Promise.all(MEMBERS.map((name) => heights(name)));
        const [first] = all[0]!;
        if (!all.flat().every((height) => height === first && height >= others!))
          throw new Error(String(all));
      }),
    );
    const courier = clientOf('courier').contract;
    await timed('endorsed again by all', () =>
      eventually(async () => {
        const proposal = courier.newProposal('put', {
          arguments: ['back', 'again'],
          endorsingOrganizations: MEMBERS.map(mspOf),
        });
        const transaction = await proposal.endorse();
        const commit = await transaction.submit();
        if (!(await commit.getStatus()).successful) throw new Error('not valid');
      }),
    );
    const read = await clientOf('hospital').contract.evaluateTransaction('read', 'cut');
    expect(Buffer.from(read).toString()).to.equal('9');
    if (process.env['YAOJI_TIMES']) process.stdout.write(`${JSON.stringify(times)}\n`);
  });
});

/** Tries again for a minute. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 60_000; ; await sleep(200)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      if (process.env['YAOJI_TIMES']) process.stdout.write(`  ${String(error)}\n`);
    }
  }
}
