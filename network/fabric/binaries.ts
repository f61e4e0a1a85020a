import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Hyperledger Fabric's programs on this machine. */
export interface Binaries {
  /** Absolute path of a program. */
  path(program: Program): string;
  /** The folder with core.yaml and orderer.yaml. */
  readonly config: string;
  /** What peer and orderer say they are; "unknown" where they say nothing. */
  readonly versions: { readonly peer: string; readonly orderer: string };
}

const PROGRAMS = ['peer', 'orderer', 'configtxgen', 'configtxlator', 'osnadmin'] as const;
export type Program = (typeof PROGRAMS)[number];
const CONFIG_FILES = ['core.yaml', 'orderer.yaml'];

const HOW =
  "Unpack Hyperledger Fabric's release archive (version 3.1 or later, from github.com/hyperledger/fabric/releases) " +
  'and let FABRIC_HOME name its folder, the one with bin and config in it, or put its bin on PATH.';

/** The programs, or what they need, are not there. */
export class FabricMissing extends Error {
  override readonly name = 'FabricMissing';
}

/**
 * Finds Fabric's programs: in FABRIC_HOME, else in the folder above the `peer` found on PATH, as in the release archive.
 * Throws FabricMissing, with a sentence that says what is missing and how to get it.
 */
export async function findBinaries(env: NodeJS.ProcessEnv = process.env): Promise<Binaries> {
  const home = env['FABRIC_HOME'] ? resolve(env['FABRIC_HOME']) : homeOnPath(env['PATH'] ?? '');
  if (home === undefined) {
    throw new FabricMissing(
      `Hyperledger Fabric's programs were not found: FABRIC_HOME is not set and PATH has no peer. ${HOW}`,
    );
  }
  const missing = [
    ...PROGRAMS.filter((program) => !isExecutable(join(home, 'bin', program))).map((name) => `bin/${name}`),
    ...CONFIG_FILES.filter((file) => !existsSync(join(home, 'config', file))).map((name) => `config/${name}`),
  ];
  if (missing.length > 0) throw new FabricMissing(`${home} has no ${missing.join(', no ')}. ${HOW}`);
  const path = (program: Program): string => join(home, 'bin', program);
  const [peer, orderer] = await Promise.all([versionOf(path('peer')), versionOf(path('orderer'))]);
  return { path, config: join(home, 'config'), versions: { peer, orderer } };
}

function homeOnPath(path: string): string | undefined {
  const found = path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, 'peer'))
    .find(isExecutable);
  // Resolved, since a link to the program may lie anywhere; config lies beside the program itself.
  return found === undefined ? undefined : dirname(dirname(realpathSync(found)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function versionOf(program: string): Promise<string> {
  try {
    const { stdout } = await run(program, ['version']);
    return /Version: *(\S+)/.exec(stdout)?.[1] ?? 'unknown';
  } catch (cause) {
    throw new FabricMissing(`${program} does not run on this machine. ${HOW}`, { cause });
  }
}
