import type { Server } from 'node:net';
import { join } from 'node:path';

import { sendCommand, serveCommands } from '../control-socket.ts';
import { parseSettings, type Faults, type FaultSettings } from './faults.ts';

// For tests that run the ledger as a process of its own. The socket exists only when the ledger was asked for it.

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
}

/** Where the control socket of the ledger in a folder is. */
export function controlPath(folder: string): string {
  return join(folder, 'control.sock');
}

/** Lets other processes of this user set the switches. */
export const serveControl = (
  path: string,
  faults: Faults,
  chaincode: () => number | undefined,
): Promise<Server> =>
  serveCommands(path, (command) => {
    obey(command, faults);
    const pid = chaincode();
    return pid === undefined ? {} : { chaincode: pid };
  });

/** Tells the ledger behind a control socket something. Throws when it is not there or refuses. */
export const control = (path: string, command: Command): Promise<Reply> => sendCommand(path, command);

function obey(command: unknown, faults: Faults): void {
  if (typeof command !== 'object' || command === null) throw new Error('a command is an object');
  const { set, clear, cutStreams, ...unknown } = Object.fromEntries(Object.entries(command));
  if (Object.keys(unknown).length > 0) throw new Error(`there is no command "${Object.keys(unknown)[0]}"`);
  const settings = set === undefined ? undefined : parseSettings(set);
  if (clear === true) faults.clear();
  if (settings) faults.set(settings);
  if (cutStreams === true) faults.cutStreams();
}
