import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ORDERINGS } from '@yaoji/network/fabric/layout';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';
import { needsFabric, REAL_FABRIC } from '../../support/fabric.ts';
import {
  connectAs,
  probeChaincode,
  servicePerson,
  type LedgerClient,
} from '../../support/ledger-under-test.ts';
import { leaveOut, needsTime } from '../../support/left-out.ts';
import { namespacesMissing, newTestHosts, type TestHost, type TestHosts } from '../../support/namespaces.ts';
import { readUnit } from '../../support/unit-file.ts';

const FABRIC = fileURLToPath(import.meta.resolve('@yaoji/scripts/fabric'));
const MEMBERS = ['hospital', 'decoction', 'courier', 'regulator'] as const;
/** Who joins later. */
const NEWCOMER = 'clinic';
type Name = (typeof MEMBERS)[number] | typeof NEWCOMER;
const mspOf = (name: Name): string => `${name[0]!.toUpperCase()}${name.slice(1)}MSP`;

/** A member's part of the network: its folder, and the host that nothing but what is in the folder is started on. */
interface Part {
  readonly name: Name;
  readonly folder: string;
  readonly host: TestHost;
}

for (const ordering of ORDERINGS) {
  describe(`${REAL_FABRIC}: a network whose members each have a host and that orders by ${ordering}`, function () {
    this.timeout(300_000);

    const data = mkdtempSync(join(tmpdir(), 'yaoji-hosts-'));
    const description = join(data, 'consortium.json');
    const consortium = join(data, 'consortium');
    let network: TestHosts | undefined;
    let parts: Part[];
    let profile: NetworkProfile;
    const clients: LedgerClient[] = [];
    const nodes = new Map<string, ChildProcess>();

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
        const node = host.start(command, environment, join(folder, 'log', `${file}.log`));
        nodes.set(file.slice('yaoji-'.length, -'.service'.length), node);
      }
    };
    const stopUnits = async ({ name }: Part, ...kinds: readonly string[]): Promise<void> => {
      for (const node of kinds.map((kind) => nodes.get(`${kind}-${name}`)!)) {
        const ended = once(node, 'exit');
        node.kill('SIGTERM');
        await ended;
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
      if (ordering === 'raft') needsTime(this, 'a Fabric network over several hosts that orders by Raft', 2);
      const missing = namespacesMissing();
      if (missing !== undefined) leaveOut(this, 'a Fabric network over several hosts', missing);
      network = newTestHosts(MEMBERS.length + 1);
      parts = MEMBERS.map((name, i) => ({ name, folder: join(data, name), host: network!.hosts[i]! }));
      const organisations = parts.map(({ name, host }) => ({
        mspId: mspOf(name),
        kind: name,
        host: host.address,
      }));
      writeFileSync(description, JSON.stringify({ ordering, organisations }));
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
      host.cut();
      for (let i = 0; i < 10; i++)
        await eventually(() => contract.submitTransaction('put', 'cut', String(i)));
      const [, others] = await heights('hospital');
      expect(others! - before[1]!).to.be.at.least(10);
      expect(await heights('courier'), 'the one that is cut off').to.deep.equal(before);

      host.mend();
      await eventually(async () => {
        const all = (await Promise.all(MEMBERS.map((name) => heights(name)))).flat();
        if (new Set(all).size > 1 || all[0]! < others!) throw new Error(`heights ${all.join(' ')}`);
      });
      await eventually(async () => {
        const transaction = await clientOf('courier')
          .contract.newProposal('put', {
            arguments: ['back', 'again'],
            endorsingOrganizations: MEMBERS.map(mspOf),
          })
          .endorse();
        const commit = await transaction.submit();
        expect((await commit.getStatus()).successful).to.equal(true);
      });
      const read = await clientOf('hospital').contract.evaluateTransaction('read', 'cut');
      expect(Buffer.from(read).toString()).to.equal('9');
    });

    // What follows has little to do with how it orders.
    if (ordering === 'raft') return;

    it('accepts only a block 0 that says what all have handed over', async () => {
      const one = part('hospital');
      const other = join(data, 'other');
      const handOvers = parts.map(({ folder }) => join(folder, 'hand-over.json'));
      // Whoever assembles puts other certificates in the place of a member's.
      const impostor = { ...part('courier'), folder: join(data, 'impostor') };
      await hosts(impostor, 'init', description, '--member', mspOf('courier'));
      const forged = [
        ...handOvers.slice(0, 2),
        join(impostor.folder, 'hand-over.json'),
        ...handOvers.slice(3),
      ];
      await one.host.run([
        process.execPath,
        FABRIC,
        'hosts',
        'assemble',
        description,
        ...forged,
        '--out',
        other,
      ]);
      const refused = (by: Part, from: string): Promise<string> =>
        hosts(by, 'accept', from).then(
          () => 'accepted',
          (error: Error) => error.message,
        );
      expect(await refused(part('courier'), other)).to.include('other certificates of CourierMSP');
      cpSync(join(other, 'genesis.block'), join(data, 'mixed', 'genesis.block'));
      for (const name of ['consortium.json', 'members']) {
        cpSync(join(consortium, name), join(data, 'mixed', name), { recursive: true });
      }
      expect(await refused(one, join(data, 'mixed'))).to.include('says something else');
    });

    it('goes on with renewed certificates: a peer with new keys, an orderer with the keys that the channel knows', async () => {
      const one = part('decoction');
      const own = join(one.folder, 'organisations', mspOf('decoction'));
      const renewed = ['peer.pem', 'peer-tls.pem', 'orderer.pem', 'orderer-tls.pem'];
      const read = (): string[] => renewed.map((file) => readFileSync(join(own, file), 'utf8'));
      const before = read();
      for (const file of [...renewed, 'peer.key', 'peer-tls.key']) rmSync(join(own, file));
      await hosts(one, 'init', description, '--member', mspOf('decoction'));
      expect(read().filter((text, i) => text === before[i])).to.deep.equal([]);
      for (const kind of ['peer', 'orderer']) {
        await stopUnits(one, kind);
        startUnits(one, kind);
      }
      await hosts(one, 'commit');
      // With one of the others away, the three that are left must be a quorum: it has its part in it.
      part('regulator').host.cut();
      const { contract } = clientOf('hospital');
      await eventually(() => contract.submitTransaction('put', 'renewed', 'yes'));
      part('regulator').host.mend();
    });

    it('comes back from a backup of its peer, and an orderer from nothing', async () => {
      const one = part('courier');
      const { contract } = clientOf('hospital');
      const dataOf = (kind: string): string => join(one.folder, 'data', `${kind}-courier`);
      const backup = join(data, 'backup');
      await stopUnits(one, 'peer', 'orderer');
      cpSync(dataOf('peer'), backup, { recursive: true });
      await eventually(() => contract.submitTransaction('put', 'since', 'the backup'));
      for (const kind of ['peer', 'orderer']) {
        rmSync(dataOf(kind), { recursive: true });
        mkdirSync(dataOf(kind));
      }
      cpSync(backup, dataOf('peer'), { recursive: true });
      for (const kind of ['peer', 'orderer']) startUnits(one, kind);
      await hosts(one, 'join');
      await eventually(async () => {
        expect(await heights('courier')).to.deep.equal(await heights('hospital'));
      });
      await hosts(one, 'commit');
    });

    const newDescription = join(data, 'consortium-new.json');
    const describeMembers = (names: readonly Part[]): void => {
      const organisations = names.map(({ name, host }) => ({
        mspId: mspOf(name),
        kind: name === NEWCOMER ? 'hospital' : name,
        host: host.address,
      }));
      writeFileSync(newDescription, JSON.stringify({ ordering, organisations }));
    };
    /** One round: one member proposes, three sign, the first sends. */
    const agree = async (change: string, ...handOvers: readonly string[]): Promise<string> => {
      const [first, ...others] = parts as [Part, ...Part[]];
      await hosts(first, 'propose', newDescription, ...handOvers, '--out', change);
      const signers = [first, ...others.slice(0, 2)];
      const signed = signers.map(({ name }) => `${change}-${name}.tx`);
      await Promise.all(signers.map((one, i) => hosts(one, 'sign', change, '--out', signed[i]!)));
      return hosts(first, 'send', change, ...signed);
    };

    it('takes in another member by files that the members exchange and sign', async () => {
      const newcomer: Part = {
        name: NEWCOMER,
        folder: join(data, NEWCOMER),
        host: network!.hosts[MEMBERS.length]!,
      };
      describeMembers([...parts, newcomer]);
      await hosts(newcomer, 'init', newDescription, '--member', mspOf(NEWCOMER));
      const handOver = join(newcomer.folder, 'hand-over.json');
      expect(await agree(join(data, 'round-1'), handOver)).to.include('takes ClinicMSP into the channel');

      const second = join(data, 'round-2');
      await hosts(part('hospital'), 'propose', newDescription, handOver, '--out', second);
      await hosts(newcomer, 'accept', second);
      for (const kind of ['orderer', 'peer']) startUnits(newcomer, kind);
      await hosts(newcomer, 'join');
      await eventually(async () => {
        const [own] = [...(await hosts(newcomer, 'status')).matchAll(/(\d+) blocks/g)];
        const [others] = await heights('hospital');
        if (Number(own?.[1]) !== others) throw new Error(`${own?.[1]} of ${others} blocks`);
      });
      rmSync(second, { recursive: true });
      expect(await agree(second, handOver)).to.include('lets the orderer of ClinicMSP order');
      await everywhere('take', second);
      parts.push(newcomer);
      await eventually(() => hosts(newcomer, 'approve', '--chaincode', probeChaincode()));
      startUnits(newcomer, 'chaincode');
      expect(await hosts(newcomer, 'commit')).to.include('definition 1: all members endorse');
      // Of five orderers four are a quorum: with one of the others away the newcomer has its part in it.
      part('regulator').host.cut();
      await eventually(() => clientOf('hospital').contract.submitTransaction('put', 'five', 'yes'));
      part('regulator').host.mend();
    });

    it('signs only what description and hand-over say', async () => {
      const change = join(data, 'forged');
      describeMembers(parts.filter(({ name }) => name !== 'courier'));
      await hosts(part('hospital'), 'propose', newDescription, '--out', change);
      // Whoever proposes says that the courier leaves, and has the regulator taken out.
      describeMembers(parts.filter(({ name }) => name !== 'regulator'));
      writeFileSync(join(change, 'consortium.json'), readFileSync(newDescription));
      const refused = hosts(part('decoction'), 'sign', change, '--out', join(data, 'forged.tx'));
      expect(await refused.catch((error: Error) => error.message)).to.include(
        'does something else than this',
      );
    });

    it('lets a member go by files that those who stay exchange and sign', async () => {
      const leaving = part('courier');
      const staying = parts.filter((one) => one !== leaving);
      describeMembers(staying);
      parts = staying;
      await stopUnits(leaving, 'peer');
      const change = join(data, 'leaves');
      expect(await agree(change)).to.include('takes CourierMSP out of the channel');
      await stopUnits(leaving, 'orderer');
      const said = await everywhere('take', change);
      expect(said[0]).to.include('starts its orderer again');
      for (const one of staying) {
        await stopUnits(one, 'orderer');
        startUnits(one, 'orderer');
        await sleep(5000);
      }
      await eventually(() => clientOf('hospital').contract.submitTransaction('put', 'four', 'yes'));
      await hosts(part('hospital'), 'commit');
      await eventually(async () => {
        const all = (await Promise.all(staying.map(({ name }) => heights(name)))).flat();
        if (new Set(all).size > 1) throw new Error(`heights ${all.join(' ')}`);
      });
    });
  });
}

/** Tries again for a minute. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + 60_000; ; await sleep(200)) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}
