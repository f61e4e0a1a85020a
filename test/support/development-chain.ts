import { readdirSync, readFileSync } from 'node:fs';
import { leaveOut } from './left-out.ts';

/** The process of the anvil that serves this URL, as /proc tells it; undefined when there is none at the moment. */
export function anvilPid(rpc: string): number | undefined {
  const port = `--port=${new URL(rpc).port}`;
  const found = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const [program = '', ...args] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      // Its keeper has the same arguments, and more.
      return program.endsWith('anvil') && args.includes(port);
    } catch {
      // It ended while we looked.
      return false;
    }
  });
  return found === undefined ? undefined : Number(found);
}

/** Ends the anvil behind this URL as a crash would. Throws when there is none. */
export function killAnvil(rpc: string): void {
  const pid = anvilPid(rpc);
  if (pid === undefined) throw new Error(`no anvil serves ${rpc}`);
  process.kill(pid, 'SIGKILL');
}

/** Leaves out the running suite, and says so, where there is no anvil from npm. */
export function needsAnvil(test: Mocha.Context): void {
  if (process.platform === 'linux' && process.arch === 'x64') return;
  leaveOut(test, 'tests on a development chain', "npm's anvil is for Linux on x64 only");
}
