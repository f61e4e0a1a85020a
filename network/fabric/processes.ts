import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A process of a network, told from any later one that happens to get the same number by when it started. */
export interface ProcessRecord {
  readonly name: string;
  readonly pid: number;
  readonly started: string;
}

const POLL_MS = 50;

/** Notes a process that has just been started. Throws when it is gone already. */
export function recordProcess(folder: string, name: string, pid: number): ProcessRecord {
  const started = startOf(pid);
  if (started === undefined) throw new Error(`${name} ended at once`);
  const record = { name, pid, started };
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${name}.json`);
  writeFileSync(`${path}.new`, JSON.stringify(record));
  renameSync(`${path}.new`, path);
  return record;
}

export function forgetProcess(folder: string, name: string): void {
  rmSync(join(folder, `${name}.json`), { force: true });
}

/** The processes noted in a folder, by name; whether they still run is another question. */
export function readProcesses(folder: string): ProcessRecord[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as ProcessRecord);
}

export function readProcess(folder: string, name: string): ProcessRecord | undefined {
  return readProcesses(folder).find((record) => record.name === name);
}

/** Whether this very process runs still. */
export function isRunning({ pid, started }: ProcessRecord): boolean {
  return startOf(pid) === started;
}

/**
 * Ends the processes of these records that run still, with SIGTERM and, after the limit (ms), SIGKILL. Resolves when they
 * are gone.
 */
export async function endProcesses(records: readonly ProcessRecord[], limitMs: number): Promise<void> {
  let left = records.filter(isRunning);
  for (const record of left) signal(record, 'SIGTERM');
  for (const deadline = Date.now() + limitMs; left.length > 0; left = left.filter(isRunning)) {
    if (Date.now() > deadline) for (const record of left) signal(record, 'SIGKILL');
    await sleep(POLL_MS);
  }
}

function signal({ pid }: ProcessRecord, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // Gone in the meantime.
  }
}

/** When a process started, in the system's own words; undefined when there is none, or only its remains. */
function startOf(pid: number): string | undefined {
  if (!existsSync('/proc/self/stat')) return startByPs(pid);
  try {
    // proc(5): the name, in parentheses, may hold anything; then the state, and the start as the 20th field from there.
    const [, fields = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    const [state, ...others] = fields.split(' ');
    return state === 'Z' ? undefined : others[18];
  } catch {
    return undefined;
  }
}

function startByPs(pid: number): string | undefined {
  try {
    const line = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim();
    return line.startsWith('Z') ? undefined : line.replace(/^\S+\s+/, '');
  } catch {
    return undefined;
  }
}
