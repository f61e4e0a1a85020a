import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The program file of the keeper; its name marks a keeper in a process list. */
export const KEEPER = fileURLToPath(new URL('./keeper.js', import.meta.url));

/** How a program is run under the keeper. */
export interface KeptOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Open file that takes what the program prints. */
  readonly output: number;
  /** SIGINT, not SIGTERM, asks the program to stop: postgres then does not wait for its clients. */
  readonly interrupt?: boolean;
  /** Milliseconds from that signal to SIGKILL; 10,000 if not said. */
  readonly deadline?: number;
  /** The user it runs as; ours if not said. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Folders deleted once the program was stopped, by us or by our death; kept if it ends by itself. */
  readonly remove?: readonly string[];
}

/**
 * Runs a program that ends when this process ends, however that ends (kill -9 too). The answer is its keeper: ending
 * the keeper's stdin stops the program, and its exit code is the program's.
 */
export function startKept(command: string, args: readonly string[], options: KeptOptions): ChildProcess {
  const flags = [
    ...(options.interrupt ? ['--interrupt'] : []),
    ...(options.deadline === undefined ? [] : ['--deadline', String(options.deadline)]),
    // With "=", because nobody's number is negative on macOS.
    ...(options.user ? [`--uid=${options.user.uid}`, `--gid=${options.user.gid}`] : []),
    ...(options.remove ?? []).flatMap((folder) => ['--remove', folder]),
  ];
  const keeper = spawn(process.execPath, [KEEPER, ...flags, '--', command, ...args], {
    cwd: options.cwd,
    env: options.env,
    stdio: ['pipe', options.output, options.output],
    // A group of its own: Ctrl-C in a terminal reaches us only, and we stop things in their order.
    detached: true,
  });
  // The keeper may be gone when its life line is ended; its exit says so.
  keeper.stdin!.on('error', () => {});
  return keeper;
}
