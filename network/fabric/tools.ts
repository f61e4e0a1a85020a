import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { flags } from '../flags.ts';
import type { Binaries, Program } from './binaries.ts';
import { CHANNEL, hostOf, type NetworkLayout, type Places } from './layout.ts';
import type { Member, PublicMember } from './members.ts';
import { administrator } from './nodes.ts';
import { HOST } from './ports.ts';

const run = promisify(execFile);
const LIMIT_MS = 60_000;
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Fabric's commands, as this network's administrators use them. Each throws, with what the command said, when it fails. */
export class Tools {
  private readonly binaries: Binaries;
  private readonly places: Places;
  /** The channel that all of it is about. */
  readonly channel: string;

  constructor(binaries: Binaries, places: Places, channel = CHANNEL) {
    this.binaries = binaries;
    this.places = places;
    this.channel = channel;
  }

  /** With the folder that configtx.yaml is in. */
  configtxgen(folder: string, ...args: readonly string[]): Promise<string> {
    return this.call('configtxgen', args, { ...process.env, FABRIC_CFG_PATH: folder });
  }

  configtxlator(...args: readonly string[]): Promise<string> {
    return this.call('configtxlator', args, process.env);
  }

  /** `peer`, as a member's administrator at the member's own peer. */
  peer(member: Member, ...args: readonly string[]): Promise<string> {
    return this.call('peer', args, administrator(this.places, member));
  }

  /** `peer`, as the administrator of a member's orderer organisation. */
  peerAsOrderer(member: Member, ...args: readonly string[]): Promise<string> {
    return this.call('peer', args, {
      ...administrator(this.places, member),
      CORE_PEER_LOCALMSPID: member.identities.ordererMspId,
      CORE_PEER_MSPCONFIGPATH: member.msp.ordererAdmin,
    });
  }

  /** `osnadmin channel`, at a member's own orderer. */
  osnadmin({ layout, identities }: Member, ...args: readonly string[]): Promise<string> {
    const { clientTls, tlsCa } = identities;
    const more = flags({
      '-o': `${HOST}:${layout.orderer.admin}`,
      '--ca-file': tlsCa.certificate,
      '--client-cert': clientTls.certificate,
      '--client-key': clientTls.key,
    });
    return this.call('osnadmin', ['channel', ...args, ...more], process.env);
  }

  private async call(program: Program, args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
    try {
      const options = { env, timeout: LIMIT_MS, maxBuffer: MOST_OUTPUT_BYTES };
      const { stdout } = await run(this.binaries.path(program), args, options);
      return stdout;
    } catch (cause) {
      const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
      const said = `${stderr}\n${stdout}`.trim().split('\n').slice(-LAST_LINES).join('\n');
      throw new Error(`${program} ${args.slice(0, 3).join(' ')} failed: ${said}`, { cause });
    }
  }
}

const LAST_LINES = 12;

/** The options by which a member's administrator reaches an orderer with `peer`. */
export function ordererOptions(
  layout: NetworkLayout,
  members: readonly PublicMember[],
  { layout: own, identities: { clientTls } }: Member,
): string[] {
  // Whoever has a host of its own depends on nobody else's.
  const at = own.host ? own : layout.members[0];
  const owner = members.find((member) => member.layout.mspId === at?.mspId);
  if (!at || !owner) throw new Error('the network has no members');
  const where = flags({
    '-o': `${hostOf(at)}:${at.orderer.listen}`,
    '--cafile': owner.identities.tlsCa.certificate,
    '--certfile': clientTls.certificate,
    '--keyfile': clientTls.key,
  });
  return ['--tls', '--clientauth', ...where];
}
