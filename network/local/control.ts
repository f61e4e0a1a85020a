import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { parseSettings, type Faults, type FaultSettings } from './faults.ts';
import { messageOf } from './rpc.ts';

// For tests that run the ledger as a process of its own: a socket in its folder, which only its owner can enter, takes one
// JSON command a line and answers each with one line. It exists only when the ledger was asked for it.

/** What a running ledger can be told. */
export interface Command {
  /** Switches to set; the others stay as they are. */
  readonly set?: Partial<FaultSettings>;
  /** Sets every switch back, before anything else. */
  readonly clear?: true;
  /** Breaks every open stream. */
  readonly cutStreams?: true;
}

/** What it says to that. */
export interface Reply {
  /** The contract's process as of now. */
  readonly chaincode?: number;
  /** Why nothing was done. */
  readonly error?: string;
}

/** Where the control socket of the ledger in a folder is. */
export function controlPath(folder: string): string {
  return join(folder, 'control.sock');
}

/** Lets other processes of this user set the switches. */
export async function serveControl(
  path: string,
  faults: Faults,
  chaincode: () => number | undefined,
): Promise<Server> {
  // What a killed ledger left behind.
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    createInterface(socket).on('line', (line) => answer(socket, line, faults, chaincode));
  });
  server.listen(path);
  await once(server, 'listening');
  server.unref();
  return server;
}

/** Tells the ledger behind a control socket something. Throws when it is not there or refuses. */
export async function control(path: string, command: Command): Promise<Reply> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    socket.write(`${JSON.stringify(command)}\n`);
    const lines = createInterface(socket);
    const line = await Promise.race([
      once(lines, 'line').then(([text]) => String(text)),
      once(lines, 'close').then(() => undefined),
    ]);
    if (line === undefined) throw new Error('the ledger ended before it answered');
    const reply: Reply = JSON.parse(line);
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  } finally {
    socket.destroy();
  }
}

function answer(socket: Socket, line: string, faults: Faults, chaincode: () => number | undefined): void {
  let reply: Reply;
  try {
    obey(JSON.parse(line), faults);
    const pid = chaincode();
    reply = pid === undefined ? {} : { chaincode: pid };
  } catch (error) {
    reply = { error: messageOf(error) };
  }
  socket.write(`${JSON.stringify(reply)}\n`);
}

function obey(command: unknown, faults: Faults): void {
  if (typeof command !== 'object' || command === null) throw new Error('a command is an object');
  const { set, clear, cutStreams, ...unknown } = Object.fromEntries(Object.entries(command));
  if (Object.keys(unknown).length > 0) throw new Error(`there is no command "${Object.keys(unknown)[0]}"`);
  const settings = set === undefined ? undefined : parseSettings(set);
  if (clear === true) faults.clear();
  if (settings) faults.set(settings);
  if (cutStreams === true) faults.cutStreams();
}
