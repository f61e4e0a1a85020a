import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

// A socket in a ledger's folder, which only its owner can enter, takes one JSON command a line and answers each with one line.

/** Serves a control socket; commands are obeyed one at a time, and what `obey` throws is answered as {error}. */
export async function serveCommands(
  path: string,
  obey: (command: unknown) => object | Promise<object>,
): Promise<Server> {
  // What a killed process left behind.
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

async function answer(
  socket: Socket,
  line: string,
  obey: (command: unknown) => object | Promise<object>,
): Promise<void> {
  let reply: object;
  try {
    reply = await obey(JSON.parse(line));
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  socket.write(`${JSON.stringify(reply)}\n`);
}

/** Sends a command to whoever serves a control socket. Throws when nobody is there, or what it answers as {error}. */
export async function sendCommand(path: string, command: object): Promise<object> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    socket.write(`${JSON.stringify(command)}\n`);
    const lines = createInterface(socket);
    const line = await Promise.race([
      once(lines, 'line').then(([text]) => String(text)),
      once(lines, 'close').then(() => undefined),
    ]);
    if (line === undefined) throw new Error('it ended before it answered');
    const reply = JSON.parse(line) as { error?: string };
    if (reply.error !== undefined) throw new Error(reply.error);
    return reply;
  } finally {
    socket.destroy();
  }
}
