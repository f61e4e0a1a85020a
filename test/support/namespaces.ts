import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';

// Hosts on one machine: Linux network namespaces with a loopback of their own, joined by a bridge that this machine is at too.

/** A host among hosts. */
export interface TestHost {
  readonly address: string;
  /** A process on the host with this environment and no other; what it prints is appended to the file. */
  start(command: readonly string[], env: NodeJS.ProcessEnv, log: string): ChildProcess;
  /** Runs a command on the host to its end and answers with what it printed. Throws, with that, when it fails. */
  run(command: readonly string[]): Promise<string>;
  /** Pulls the host's cable. */
  cut(): void;
  /** Plugs it in again. */
  mend(): void;
}

export interface TestHosts {
  readonly hosts: readonly TestHost[];
  /** Ends every process on the hosts and takes away all that was made. Done at this process's exit at the latest. */
  remove(): void;
}

// All that is made is called by it, so that nothing of anybody else's is ever taken away.
const PREFIX = `yj${process.pid}`;

/** Why this machine cannot have such hosts, in a sentence; undefined where it can. */
export function namespacesMissing(): string | undefined {
  try {
    newTestHosts(1).remove();
    return undefined;
  } catch (error) {
    const [reason] = String(error instanceof Error ? error.message : error)
      .split('\n')
      .slice(-2);
    return `no network namespaces can be made here (ip netns, as root): ${reason}`;
  }
}

/** So many hosts. Takes away what it has made when it fails. */
export function newTestHosts(count: number): TestHosts {
  const bridge = `${PREFIX}br`;
  const names = Array.from({ length: count }, (_, i) => `${PREFIX}h${i}`);
  const network = freeNetwork();
  const remove = (): void => {
    for (const pid of names.flatMap(processesIn)) kill(pid);
    for (const name of names) quietly('netns', 'del', name);
    quietly('link', 'del', bridge);
    process.removeListener('exit', remove);
  };
  process.once('exit', remove);
  try {
    ip('link', 'add', bridge, 'type', 'bridge');
    ip('addr', 'add', `${network}.1/24`, 'dev', bridge);
    ip('link', 'set', bridge, 'up');
    const hosts = names.map((name, i) => newHost(name, bridge, `${network}.${11 + i}`));
    return { hosts, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

function newHost(name: string, bridge: string, address: string): TestHost {
  const cable = `${name}c`;
  ip('netns', 'add', name);
  ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('link', 'set', cable, 'master', bridge, 'up');
  ip('-n', name, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  const inside = (command: readonly string[]): string[] => ['netns', 'exec', name, ...command];
  return {
    address,
    start(command, env, log) {
      const output = openSync(log, 'a');
      const child = spawn('ip', inside(command), { env, stdio: ['ignore', output, output] });
      closeSync(output);
      return child;
    },
    async run(command) {
      const child = spawn('ip', inside(command), { stdio: ['ignore', 'pipe', 'pipe'] });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) {
        stream.on('data', (text: Buffer) => (said += text.toString()));
      }
      const [code] = (await once(child, 'close')) as [number | null];
      if (code !== 0) throw new Error(`${command.join(' ')} on ${name}: ${said}`);
      return said;
    },
    cut: () => ip('link', 'set', cable, 'down'),
    mend: () => ip('link', 'set', cable, 'up'),
  };
}

/** The first three numbers of a network that this machine knows nothing of. */
function freeNetwork(): string {
  const known = execFileSync('ip', ['-4', 'route'], { encoding: 'utf8' });
  for (let i = 0; i < 250; i++) {
    const network = `10.213.${(process.pid + i) % 250}`;
    if (!known.includes(`${network}.`)) return network;
  }
  throw new Error('no network is free');
}

function ip(...args: readonly string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function quietly(...args: readonly string[]): void {
  try {
    ip(...args);
  } catch {
    // It was never made, or is gone.
  }
}

function processesIn(name: string): number[] {
  try {
    const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' });
    return pids.split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}
