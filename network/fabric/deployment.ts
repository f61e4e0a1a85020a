import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { accepts, chaincodeCommand } from '../chaincode-server.ts';
import { checkSameBuild, keepBuild, keptBuild, readBuild } from './build.ts';
import { approve, commit, install, packagesOf, readDefinition } from './lifecycle.ts';
import {
  chaincodeNode,
  readLayout,
  writeLayout,
  type BuildLayout,
  type MemberLayout,
  type NetworkLayout,
  type Places,
} from './layout.ts';
import type { Member } from './members.ts';
import type { Node } from './nodes.ts';
import { choosePorts, HOST } from './ports.ts';
import type { Supervisor } from './supervisor.ts';
import type { Tools } from './tools.ts';
import { insist } from './wait.ts';

/** Calls that are under way may take as long as the API waits for an endorsement. */
export const LAST_CALLS_MS = 5000;
const CATCH_UP_MS = 60_000;

interface Place {
  readonly tools: Tools;
  readonly places: Places;
  readonly members: readonly Member[];
}

/** The contract's processes, one for each member, and what the channel has agreed upon about them. */
export class Deployment {
  private readonly place: Place;
  private readonly supervisor: Supervisor;
  private readonly log: (line: string) => void;
  /** One deployment at a time. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(place: Place, supervisor: Supervisor, log: (line: string) => void) {
    this.place = place;
    this.supervisor = supervisor;
    this.log = log;
  }

  /** See RunningNetwork.deploy. */
  deploy(chaincode: string): Promise<number> {
    const next = this.last.then(() => this.replace(chaincode));
    this.last = next.catch(() => undefined);
    return next;
  }

  /** Gives a member that has just joined the contract that the others have agreed upon. */
  admit(member: Member): Promise<void> {
    const next = this.last.then(() => this.extend(member));
    this.last = next.catch(() => undefined);
    return next;
  }

  /** Ends the contract's processes of a member that has left. */
  dismiss(member: MemberLayout): Promise<void> {
    const next = this.last.then(() => this.shorten(member));
    this.last = next.catch(() => undefined);
    return next;
  }

  private get layout(): NetworkLayout {
    const layout = readLayout(this.place.places);
    if (!layout) throw new Error(`${this.place.places.layout} is gone`);
    return layout;
  }

  private async replace(chaincode: string): Promise<number> {
    const { tools, places, members } = this.place;
    const [first] = members;
    if (!first) throw new Error('the network has no members');
    // On one machine all members have their contract from one folder; each reads it for itself all the same.
    const builds = members.map(({ layout }) => [layout.mspId, readBuild(chaincode)] as const);
    checkSameBuild(new Map(builds.map(([mspId, { hash }]) => [mspId, hash])));
    const [, build] = builds[0]!;
    const deployed = await readDefinition(tools, first);
    const place = await this.placeOf(build.hash);
    keepBuild(places.builds, build);
    this.start(place);
    // Only what all had installed and approved was ever committed.
    if (deployed?.version === build.hash) return deployed.sequence;

    const definition = { version: build.hash, sequence: (deployed?.sequence ?? 0) + 1 };
    const deploying = { tools, places, layout: this.layout, members, own: members };
    const packages = packagesOf(members, place);
    await Promise.all(
      members.map((member) => install(deploying, member, packages.get(member.layout.mspId)!)),
    );
    this.log('the contract is installed');
    await Promise.all(
      members.map((member) => approve(deploying, member, definition, packages.get(member.layout.mspId)!)),
    );
    // From that moment on peers call the new processes only.
    await Promise.all(members.map((member) => listens(member, place)));
    await commit(deploying, definition);
    this.log(
      `all members have agreed upon build ${build.hash.slice(0, 12)}, definition ${definition.sequence}`,
    );
    await this.forgetOthers(build.hash);
    return definition.sequence;
  }

  private async extend(member: Member): Promise<void> {
    const { tools, places, members } = this.place;
    const { mspId } = member.layout;
    const [first] = members;
    const definition = first && (await readDefinition(tools, first));
    if (!definition) throw new Error('the members have no contract');
    const place = await this.placeOf(definition.version, member.layout);
    const own = packagesOf([member], place).get(mspId)!;
    const name = chaincodeNode(member.layout, place.hash);
    if (!this.supervisor.has(name)) this.supervisor.run(this.newNode(member, place, name, own.id));
    const deploying = { tools, places, layout: this.layout, members, own: members };
    await install(deploying, member, own);
    await insist(`${mspId} knows the contract`, CATCH_UP_MS, async () => {
      if (!(await readDefinition(tools, member))) throw new Error('it does not yet');
    });
    await approve(deploying, member, definition, own);
  }

  private async shorten(member: MemberLayout): Promise<void> {
    const { layout } = this;
    await Promise.all(layout.builds.map(({ hash }) => this.supervisor.end(chaincodeNode(member, hash))));
    const builds = layout.builds.map(({ hash, ports: { [member.mspId]: _, ...ports } }) => ({ hash, ports }));
    writeLayout(this.place.places, { ...layout, builds });
  }

  /** Where a build's processes serve; chosen now if it is new. */
  private async placeOf(hash: string, ...more: readonly MemberLayout[]): Promise<BuildLayout> {
    const { layout } = this;
    const found = layout.builds.find((build) => build.hash === hash);
    const without = [...layout.members, ...more].filter(({ mspId }) => found?.ports[mspId] === undefined);
    if (found && without.length === 0) return found;
    const ports = await choosePorts(without.length);
    const added = without.map(({ mspId }, i) => [mspId, ports[i]!] as const);
    const build = { hash, ports: { ...found?.ports, ...Object.fromEntries(added) } };
    const others = layout.builds.filter((one) => one.hash !== hash);
    writeLayout(this.place.places, { ...layout, builds: [...others, build] });
    return build;
  }

  private start(build: BuildLayout): void {
    const packages = packagesOf(this.place.members, build);
    for (const member of this.place.members) {
      const { mspId } = member.layout;
      const name = chaincodeNode(member.layout, build.hash);
      if (this.supervisor.has(name)) continue;
      this.supervisor.run(this.newNode(member, build, name, packages.get(mspId)!.id));
    }
  }

  private newNode({ layout, identities }: Member, build: BuildLayout, name: string, id: string): Node {
    const { chaincodeTls, tlsCa } = identities;
    const program = {
      folder: keptBuild(this.place.places.builds, build.hash),
      id,
      mspId: layout.mspId,
      tls: { ...chaincodeTls, clientCa: tlsCa.certificate },
    };
    return { name, ...chaincodeCommand(program, `${HOST}:${build.ports[layout.mspId]}`) };
  }

  private runs({ hash }: BuildLayout): boolean {
    return this.layout.members.every((member) => this.supervisor.has(chaincodeNode(member, hash)));
  }

  /** Ends the processes of all builds but one and forgets them. */
  private async forgetOthers(hash: string): Promise<void> {
    const { layout } = this;
    const others = layout.builds.filter((build) => build.hash !== hash);
    if (others.length === 0) return;
    if (others.some((build) => this.runs(build))) await sleep(LAST_CALLS_MS);
    for (const build of others) {
      await Promise.all(
        layout.members.map((member) => this.supervisor.end(chaincodeNode(member, build.hash))),
      );
      rmSync(keptBuild(this.place.places.builds, build.hash), { recursive: true, force: true });
    }
    writeLayout(this.place.places, { ...layout, builds: layout.builds.filter((one) => one.hash === hash) });
  }
}

function listens({ layout: { mspId } }: Member, { ports }: BuildLayout): Promise<void> {
  return insist(`the contract of ${mspId} runs`, CATCH_UP_MS, async () => {
    if (!(await accepts(ports[mspId]!))) throw new Error('nobody listens at its port');
  });
}
