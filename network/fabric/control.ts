import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';

import { placesIn } from './layout.ts';

// A socket in the network's folder, which only its owner can enter, takes one JSON command a line and answers each with one.

/** What a running network can be told. */
export type Command =
  /** Agree upon the contract as it is compiled in this package's folder. */
  | { readonly deploy: string }
  /** Take in a member, as NAME:KIND. */
  | { readonly add: string };

/** What it says to that. */
export interface Reply {
  /** After `deploy`: the sequence of the contract's definition. */
  readonly sequence?: number;
  /** Why it was not done. */
  readonly error?: string;
}

/** Where the control socket of the network in a folder is. */
export function controlPath(folder: string): string {
  return placesIn(resolve(folder)).control;
}

/** Lets other processes of this user tell the network something, one thing at a time. */
export async function serveControl(
  path: string,
  obey: (command: Command) => Promise<Reply>,
): Promise<Server> {
  // What a killed supervisor left behind.
  rmSync(path, { force: true });
  let last = Promise.resolve();
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    createInterface(socket).on('line', (line) => {
      last = last.then(() => answer(socket, line, obey));
    });
  });
  server.listen(path);
  await once(server, 'listening');
  server.unref();
  return server;
}

/** Tells the network behind a control socket something. Throws when it is not there or does not do it. */
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
    if (line === undefined) throw new Error('the network ended before it answered');
    const reply = JSON.parse(line) as Reply;
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  } finally {
    socket.destroy();
  }
}

async function answer(
  socket: Socket,
  line: string,
  obey: (command: Command) => Promise<Reply>,
): Promise<void> {
  let reply: Reply;
  try {
    reply = await obey(JSON.parse(line) as Command);
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  socket.write(`${JSON.stringify(reply)}\n`);
}
