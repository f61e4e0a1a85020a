import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KEEPER, startKept } from './kept.ts';
import { canReach, findBinaries, give, type User } from './postgres-binaries.ts';

// The PostgreSQL of development, tests and the demonstration. npm's binaries carry an OpenSSL of 2018: the server is
// reached over a Unix socket only, never over a network. With DATABASE_URL set, nothing of this runs.

/** How the server is to run. */
export interface PostgresOptions {
  /** Where the data live; made if missing. Starting again with the same folder finds the same data at the same URL. */
  readonly folder: string;
  /** Takes each line that a person at the terminal should read. */
  readonly log: (line: string) => void;
  /** A PostgreSQL installation (the folder holding bin/) to use instead of a search. */
  readonly prefix?: string | undefined;
  /**
   * The folder is deleted when the server stops, also when that is because this process was killed. It must not
   * exist yet. Nothing in it needs to outlast the machine, so nothing is forced to the disk.
   */
  readonly disposable?: boolean;
}

/** A running server. It does not keep this process alive. */
export interface RunningPostgres {
  /** Database `yaoji` as its owner `yaoji`, who may create roles and is no superuser. */
  readonly url: string;
  /** Database `postgres` as superuser `postgres`. */
  readonly adminUrl: string;
  /** Resolves when the server has ended, asked to or not. */
  readonly exited: Promise<void>;
  /** Stops the server (fast shutdown: open transactions are rolled back) and resolves when it is gone. */
  stop(): Promise<void>;
}

const SETTINGS = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  ssl: 'off',
  max_connections: '100',
  shared_buffers: '128MB',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  // The log must not repeat anyone's data: no statement beside an error, and no DETAIL ("Key (name)=(…) exists").
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
};

const STARTS_WITHIN = 120_000;
const STOPS_WITHIN = 60_000;

// Nothing of the caller's: PGDATA, PGOPTIONS and the like would change the server.
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };

/**
 * Starts PostgreSQL over the data in a folder, makes them first if there are none, and resolves when it takes
 * connections. Works as root too (the server then runs as `postgres` or `nobody`). What was committed survives a
 * kill -9 of the server or of us. Throws if no PostgreSQL is found, if another process uses the folder (after waiting
 * ten seconds for one that is just stopping), or with the end of the server's log if it does not start.
 */
export async function startPostgres(options: PostgresOptions): Promise<RunningPostgres> {
  const folder = resolve(options.folder);
  if (!options.disposable) return startIn(folder, options);
  if (existsSync(folder)) throw new Error(`${folder} exists already, so it is not ours to delete`);
  try {
    return await startIn(folder, options);
  } catch (error) {
    const link = join(folder, ELSEWHERE);
    if (existsSync(link)) rmSync(realpathSync(link), { recursive: true });
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

async function startIn(folder: string, options: PostgresOptions): Promise<RunningPostgres> {
  const us = ourName();
  const user = serverUser(folder);
  const place = findPlace(folder, user, options.log);
  const data = join(place, 'data');
  const major = existsSync(data) ? Number(readFileSync(join(data, 'PG_VERSION'), 'utf8')) : undefined;
  const bin = findBinaries({ place, user, env: ENVIRONMENT, major, prefix: options.prefix });
  const socket = socketFolder(place, user);
  const remove = options.disposable ? [socket, place, folder] : [];
  const server: Server = { bin, data, user, logFile: join(place, 'postgres.log'), remove };

  await endLeftover(data);
  if (major === undefined) await initialise(server, place);
  writeFor(user, join(data, 'pg_hba.conf'), 'local all all peer map=yaoji\n');
  writeFor(
    user,
    join(data, 'pg_ident.conf'),
    ['yaoji', 'yaoji_service', 'postgres'].map((name) => `yaoji "${us}" ${name}\n`).join(''),
  );

  const { keeper, exited } = await launch(server, socket, options.disposable ? 'off' : 'on');
  keeper.unref();
  // A pipe to a child is a socket, which the type of ChildProcess does not say.
  if (keeper.stdin instanceof Socket) keeper.stdin.unref();
  options.log(
    `PostgreSQL from ${bin}, data in ${data}: for development and tests, this is not a production database.`,
  );
  return {
    url: urlFor(socket, 'yaoji', 'yaoji'),
    adminUrl: urlFor(socket, 'postgres', 'postgres'),
    exited,
    stop: async () => {
      keeper.ref();
      keeper.stdin!.end();
      await exited;
      // Where the keeper itself was killed, its server runs on.
      if (keeper.signalCode !== null) await endLeftover(data);
      for (const path of remove) rmSync(path, { recursive: true, force: true });
    },
  };
}

/** Starts the server and resolves when it takes connections. */
async function launch(
  server: Server,
  socket: string,
  fsync: 'on' | 'off',
): Promise<{ keeper: ReturnType<typeof start>; exited: Promise<void> }> {
  const { data, logFile } = server;
  const args = ['-D', data, ...settings(socket, fsync)];
  const patience = Date.now() + 40_000;
  for (;;) {
    const before = logSize(logFile);
    const earlier = whoRan(data);
    const keeper = start(server, 'postgres', args, staleOf(data));
    const exited = once(keeper, 'exit').then(() => undefined);
    const deadline = Date.now() + STARTS_WITHIN;
    let ended = false;
    while (!ended && Date.now() < deadline) {
      if (isReady(data, earlier)) return { keeper, exited };
      ended = await Promise.race([exited.then(() => true), sleep(20, false)]);
    }
    keeper.stdin!.end();
    await exited;
    const tail = readFileSync(logFile, 'utf8').slice(before);
    // The backends of a server that was killed notice after the statement they are in, which may take its 30 s.
    if (ended && tail.includes('pre-existing shared memory block') && Date.now() < patience) {
      await sleep(500);
      continue;
    }
    throw new Error(
      `PostgreSQL ${ended ? 'ended at its start' : 'was not ready in time'} (${logFile}):\n${tail}`,
    );
  }
}

interface Server {
  readonly bin: string;
  readonly data: string;
  readonly user: User | undefined;
  readonly logFile: string;
  readonly remove: readonly string[];
}

function start(
  { bin, user, logFile, remove }: Server,
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ReturnType<typeof startKept> {
  const output = openSync(logFile, 'a', 0o600);
  try {
    if (user) give(logFile, user);
    return startKept(join(bin, program), args, {
      cwd: '/',
      env: { ...ENVIRONMENT, ...env },
      output,
      interrupt: true,
      deadline: STOPS_WITHIN,
      user,
      remove,
    });
  } finally {
    closeSync(output);
  }
}

/** Makes the data folder; it appears under its name only when it is whole, so a crash on the way leaves nothing half. */
async function initialise(server: Server, place: string): Promise<void> {
  for (const name of readdirSync(place))
    if (name.startsWith('init-')) rmSync(join(place, name), { recursive: true, force: true });
  const fresh = mkdtempSync(join(place, 'init-'));
  if (server.user) give(fresh, server.user);

  const before = logSize(server.logFile);
  // Bytewise order everywhere, so that no text sorts differently on another machine.
  const args = ['-D', fresh, '-U', 'postgres', '-E', 'UTF8', '--no-locale', '-A', 'peer'];
  const [code]: unknown[] = await once(start(server, 'initdb', args), 'exit');
  if (code !== 0) throw new Error(`initdb failed:\n${readFileSync(server.logFile, 'utf8').slice(before)}`);

  // Single-user mode ends with its input, so it needs no keeper. One line is one statement.
  execFileSync(join(server.bin, 'postgres'), ['--single', '-D', fresh, 'postgres'], {
    ...server.user,
    cwd: '/',
    env: ENVIRONMENT,
    input: 'create role yaoji login createrole;\ncreate database yaoji owner yaoji;\n',
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  renameSync(fresh, server.data);
  syncFolder(place);
}

/** A rename lasts over a power failure only when its folder was synced. */
function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** The operating system's name for us: the server asks the kernel who is at the other end of the socket. */
function ourName(): string {
  try {
    return userInfo().username;
  } catch (cause) {
    throw new Error(
      `PostgreSQL cannot run as user ${process.getuid?.()}, who has no entry in /etc/passwd: add one, run as another user, or set DATABASE_URL`,
      { cause },
    );
  }
}

/** Who the server runs as, where that is not us: PostgreSQL refuses to run as root. */
function serverUser(folder: string): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const data of [join(folder, ELSEWHERE, 'data'), join(folder, 'data')]) {
    if (!existsSync(data)) continue;
    const { uid, gid } = statSync(data);
    if (uid !== 0) return { uid, gid };
  }
  const users = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = users.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error(
    'PostgreSQL does not run as root, and there is neither a user "postgres" nor a user "nobody"',
  );
}

const ELSEWHERE = 'elsewhere';

/**
 * The folder to work in: the one asked for, or, where root's server cannot get into that (a checkout in root's 0700
 * home), one under /var/lib that a link in it leads to.
 */
function findPlace(folder: string, user: User | undefined, log: (line: string) => void): string {
  const made = mkdirSync(folder, { recursive: true });
  if (made !== undefined && user) give(folder, user);
  if (canReach(folder, user)) return realpathSync(folder);
  const link = join(folder, ELSEWHERE);
  if (existsSync(link)) return realpathSync(link);
  const place = mkdtempSync('/var/lib/yaoji-postgres-');
  give(place, user!);
  rmSync(link, { force: true });
  symlinkSync(place, link);
  syncFolder(folder);
  log(
    `${folder} lies in a folder that only root may enter, and PostgreSQL does not run as root: its data are in ${place}.`,
  );
  return place;
}

// sun_path holds 107 bytes on Linux and 103 on macOS; the server adds "/.s.PGSQL.5432.lock".
const SOCKET_FOLDER_BYTES = 80;

/**
 * The folder of the socket, which only the server's user (and root) may enter: the same at every start, so that whoever was
 * connected finds the server again. It lies beside the data, or, where that path is too long, in a folder for temporary files.
 */
function socketFolder(place: string, user: User | undefined): string {
  const beside = join(place, 'socket');
  const short = `yaoji-pg-${createHash('sha256').update(place).digest('hex').slice(0, 16)}`;
  const [socket] = [
    beside,
    ...(canReach(tmpdir(), user) ? [join(tmpdir(), short)] : []),
    join('/tmp', short),
  ].filter((path) => Buffer.byteLength(path) <= SOCKET_FOLDER_BYTES);
  if (mkdirSync(socket!, { recursive: true, mode: 0o700 }) !== undefined && user) give(socket!, user);
  const found = lstatSync(socket!);
  // Anyone may make a folder in /tmp, and could listen in it for us.
  if (!found.isDirectory() || found.uid !== (user?.uid ?? process.getuid?.()))
    throw new Error(`${socket} was made by another user, and PostgreSQL's socket belongs there: remove it`);
  chmodSync(socket!, 0o700);
  return socket!;
}

function settings(socket: string, fsync: 'on' | 'off'): string[] {
  // Quoted, because the setting is a list.
  const all = { ...SETTINGS, fsync, unix_socket_directories: `"${socket}"` };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/** A form that both `pg` and libpq read: user and socket folder as parameters, because a URL's host cannot be a path. */
function urlFor(socket: string, user: string, database: string): string {
  return `postgresql:///${database}?host=${encodeURIComponent(socket)}&user=${user}&sslmode=disable`;
}

function writeFor(user: User | undefined, path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
  if (user) give(path, user);
}

function logSize(path: string): number {
  return existsSync(path) ? readFileSync(path, 'utf8').length : 0;
}

// postmaster.pid, line by line: pid, data folder, start time, port, socket folder, address, shared memory, status.
function pidFile(data: string): string[] {
  try {
    return readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

/** The process and the start time that postmaster.pid names: a server that was killed leaves the file behind. */
function whoRan(data: string): string {
  const [pid, , started] = pidFile(data);
  return `${pid} ${started}`;
}

function isReady(data: string, earlier: string): boolean {
  return pidFile(data)[7]?.trim() === 'ready' && whoRan(data) !== earlier;
}

/**
 * The process that postmaster.pid names, and whether it is a server of this data folder. Undefined where there is no
 * such file, or no /proc to look it up in. The command line is what anyone may read, in a container too; a zombie's
 * is empty.
 */
function leftover(data: string): { pid: number; ours: boolean } | undefined {
  const pid = Number(pidFile(data)[0]);
  if (!pid || !existsSync('/proc/self')) return undefined;
  return { pid, ours: commandLine(pid).includes(data) };
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

/**
 * After a kill -9 the file's number may by now belong to an innocent process (in a container it soon does), or to a
 * zombie, and the server would refuse to start. It takes this variable, made for pg_ctl, as a number that is not
 * another server's. Where we are wrong, the server still finds the other's shared memory in use.
 */
function staleOf(data: string): NodeJS.ProcessEnv {
  const found = leftover(data);
  return found && !found.ours ? { PG_GRANDPARENT_PID: String(found.pid) } : {};
}

/** Waits for a server of this folder that is just stopping, and stops one whose keeper was killed. */
async function endLeftover(data: string): Promise<void> {
  let deadline = Date.now() + 10_000;
  for (let asked = false; ; await sleep(50)) {
    const found = leftover(data);
    if (!found?.ours) return;
    if (!asked && !isKept(found.pid)) {
      asked = true;
      deadline = Date.now() + STOPS_WITHIN;
      process.kill(found.pid, 'SIGINT');
    }
    if (Date.now() > deadline) throw new Error(`${data} is in use by PostgreSQL, process ${found.pid}`);
  }
}

function isKept(pid: number): boolean {
  try {
    const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return commandLine(Number(parent)).some((arg) => basename(arg) === basename(KEEPER));
  } catch {
    // It ended while we looked.
    return true;
  }
}
