// The parent of a network's processes. It starts what it is told to, says what has ended, and ends everything when whoever
// started it is gone, however that went (kill -9 too): the kernel then closes the channel between the two.

import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

import type { Node } from './nodes.ts';
import { forgetProcess, recordProcess } from './processes.ts';

/** What a keeper is told. */
export type Order =
  { readonly start: Node; readonly log: string } | { readonly signal: NodeJS.Signals; readonly name: string };

/** What a keeper says. */
export type Notice =
  { readonly started: string; readonly pid: number } | { readonly ended: string; readonly how: string };

const PATIENCE_MS = 3000;

const [records = ''] = process.argv.slice(2);
const children = new Map<string, ChildProcess>();
let isAlone = false;

function start({ name, command, args, env, cwd }: Node, log: string): void {
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  const output = openSync(log, 'a', 0o600);
  // A group of its own: what a terminal sends to ours reaches nothing that we start.
  const child = spawn(command, args, { cwd, env, stdio: ['pipe', output, output], detached: true });
  closeSync(output);
  children.set(name, child);
  child.stdin?.on('error', () => {});
  let isOver = false;
  const ended = (how: string): void => {
    if (isOver) return;
    isOver = true;
    children.delete(name);
    forgetProcess(records, name);
    say({ ended: name, how });
    if (isAlone) leaveIfDone();
  };
  child.once('error', (error) => ended(error.message));
  child.once('exit', (code, signal) => ended(signal ?? `code ${code}`));
  if (child.pid === undefined) return;
  try {
    recordProcess(records, name, child.pid);
  } catch {
    // It is over already; its exit says so.
    return;
  }
  say({ started: name, pid: child.pid });
}

function say(notice: Notice): void {
  if (process.connected) process.send?.(notice);
}

function leaveIfDone(): void {
  if (children.size > 0) return;
  forgetProcess(records, 'keeper');
  process.exit(0);
}

process.on('message', (order: Order) => {
  if ('start' in order) start(order.start, order.log);
  else children.get(order.name)?.kill(order.signal);
});

process.on('disconnect', () => {
  isAlone = true;
  for (const child of children.values()) child.kill('SIGTERM');
  setTimeout(() => {
    for (const child of children.values()) child.kill('SIGKILL');
  }, PATIENCE_MS).unref();
  leaveIfDone();
});

// Only the end of whoever started us ends us.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
