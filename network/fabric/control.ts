import type { Server } from 'node:net';
import { resolve } from 'node:path';

import { sendCommand, serveCommands } from '../control-socket.ts';
import { placesIn } from './layout.ts';

/** What a running network can be told. */
export type Command =
  /** Agree upon the contract as it is compiled in this package's folder. */
  | { readonly deploy: string }
  /** Take in a member, as NAME:KIND. */
  | { readonly add: string }
  /** Take this member out. */
  | { readonly remove: string };

/** What it says to that. */
export interface Reply {
  /** After `deploy`: the sequence of the contract's definition. */
  readonly sequence?: number;
}

/** Where the control socket of the network in a folder is. */
export function controlPath(folder: string): string {
  return placesIn(resolve(folder)).control;
}

/** Lets other processes of this user tell the network something, one thing at a time. */
export const serveControl = (path: string, obey: (command: Command) => Promise<Reply>): Promise<Server> =>
  serveCommands(path, (command) => obey(command as Command));

/** Tells the network behind a control socket something. Throws when it is not there or does not do it. */
export const control = (path: string, command: Command): Promise<Reply> => sendCommand(path, command);
