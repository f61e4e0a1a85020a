// The process between us and a program that would outlive us (postgres, anvil, orderers, peers). Its stdin is the life
// line: the kernel closes it when the process that started us ends, however that ends, and then the program is stopped.
//
//   node keeper.js [--interrupt] [--deadline 30000] [--uid n --gid n] [--remove folder]… -- command [argument]…

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { constants } from 'node:os';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    interrupt: { type: 'boolean', default: false },
    deadline: { type: 'string', default: '10000' },
    uid: { type: 'string' },
    gid: { type: 'string' },
    remove: { type: 'string', multiple: true, default: [] },
  },
});
const [command, ...args] = positionals;
if (command === undefined) throw new Error('keeper: no command given');

const child = spawn(command, args, {
  stdio: ['ignore', 'inherit', 'inherit'],
  ...(values.uid !== undefined && { uid: Number(values.uid) }),
  ...(values.gid !== undefined && { gid: Number(values.gid) }),
});

let stopping = false;
function stop(): void {
  if (stopping) return;
  stopping = true;
  child.kill(values.interrupt ? 'SIGINT' : 'SIGTERM');
  setTimeout(() => child.kill('SIGKILL'), Number(values.deadline)).unref();
}

function finish(code: number): never {
  // Only after a stop: when the program ended by itself, what it left is evidence.
  if (stopping) for (const folder of values.remove) rmSync(folder, { recursive: true, force: true });
  process.exit(code);
}

child.on('error', (error) => {
  console.error(`keeper: ${command} could not be started: ${error.message}`);
  finish(127);
});
child.on('exit', (code, signal) => finish(code ?? 128 + constants.signals[signal!]));

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, stop);
process.stdin.on('close', stop).on('error', stop).resume();
