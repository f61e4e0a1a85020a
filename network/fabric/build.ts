import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';

/** A contract as it is compiled in a package's folder. */
export interface Build {
  /** SHA-256, hex, of the manifest and of all compiled files: what decides how the contract judges. */
  readonly hash: string;
  /** The package's folder. */
  readonly folder: string;
  /** package.json, parsed. */
  readonly manifest: Readonly<Record<string, unknown>> & { readonly main: string };
  /** The folder with the compiled files; inside the package or elsewhere. */
  readonly code: string;
  /** Paths of the compiled files below `code`, sorted. */
  readonly files: readonly string[];
}

/** Reads the compiled contract of a package. Throws when the folder is no package or nothing is compiled. */
export function readBuild(folder: string): Build {
  const path = join(folder, 'package.json');
  if (!existsSync(path)) throw new Error(`${folder} holds no chaincode package`);
  const text = readFileSync(path, 'utf8');
  const manifest = JSON.parse(text) as Build['manifest'];
  if (typeof manifest.main !== 'string') throw new Error(`${path} names no "main"`);
  const main = join(folder, manifest.main);
  if (!existsSync(main)) throw new Error(`${main} is not there: the contract has not been compiled`);
  const code = codeFolder(folder, main);
  const files = readdirSync(code, { recursive: true, encoding: 'utf8' })
    .map((file) => file.split(sep))
    .filter((parts) => parts.at(-1)?.endsWith('.js') && !parts.includes('node_modules'))
    .map((parts) => parts.join('/'))
    .sort();
  const hash = createHash('sha256').update(lengthed(Buffer.from(text)));
  for (const file of files) {
    hash.update(lengthed(Buffer.from(file))).update(lengthed(readFileSync(join(code, file))));
  }
  return { hash: hash.digest('hex'), folder, manifest, code, files };
}

/**
 * Keeps a copy of a build below a folder and answers with its package folder: the processes run the copy, so that what is
 * compiled later changes nothing about a contract that the organisations have agreed upon.
 */
export function keepBuild(into: string, build: Build): string {
  const folder = keptBuild(into, build.hash);
  if (!existsSync(folder)) {
    const unfinished = `${folder}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    const inside = relative(build.folder, build.code);
    const code = inside.startsWith('..') ? 'code' : inside;
    for (const file of build.files) {
      const target = join(unfinished, code, file);
      mkdirSync(dirname(target), { recursive: true });
      copyFileSync(join(build.code, file), target);
    }
    const main = join(code, relative(build.code, join(build.folder, build.manifest.main)));
    writeFileSync(join(unfinished, 'package.json'), JSON.stringify({ ...build.manifest, main }));
    renameSync(unfinished, folder);
  }
  linkLibraries(folder, build.folder);
  return folder;
}

/** Where a build is kept. */
export function keptBuild(into: string, hash: string): string {
  return join(into, hash);
}

/**
 * Throws unless all organisations have the same build, and says who differs from the rest. They must: of two builds each
 * may endorse something else.
 */
export function checkSameBuild(builds: ReadonlyMap<string, string>): void {
  const owners = new Map<string, string[]>();
  for (const [mspId, hash] of builds) owners.set(hash, [...(owners.get(hash) ?? []), mspId]);
  if (owners.size <= 1) return;
  const [most, ...others] = [...owners].sort(([, a], [, b]) => b.length - a.length);
  const say = ([hash, who]: [string, string[]]): string => `${who.join(', ')} ${hash.slice(0, 12)}`;
  throw new Error(
    `the organisations' builds of the contract differ: ${others.map(say).join('; ')}; but ${say(most!)}`,
  );
}

/** The topmost folder of the package that holds the compiled main file; the file's own, where that is elsewhere. */
function codeFolder(folder: string, main: string): string {
  const [first = '', ...deeper] = relative(folder, main).split(sep);
  return first === '..' || deeper.length === 0 ? dirname(main) : join(folder, first);
}

// Node looks for libraries in node_modules of this folder and of those above it: the package's own, and those it shares.
function linkLibraries(kept: string, original: string): void {
  const own = join(original, 'node_modules');
  let above = dirname(original);
  while (!existsSync(join(above, 'node_modules')) && dirname(above) !== above) above = dirname(above);
  link(existsSync(own) ? own : undefined, join(kept, 'node_modules'));
  link(join(above, 'node_modules'), join(dirname(kept), 'node_modules'));
}

function link(target: string | undefined, at: string): void {
  rmSync(at, { force: true });
  if (target !== undefined) symlinkSync(target, at, 'dir');
}

function lengthed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64BE(BigInt(bytes.length));
  return Buffer.concat([length, bytes]);
}
