import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Socket } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DEVELOPMENT_CHAIN } from '@yaoji/api/config';
import { deployAnchor } from '@yaoji/api/chain/deploy';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { fileSigner } from '@yaoji/api/chain/signers';
import { Backoff } from '@yaoji/network/backoff';
import { freePort } from '@yaoji/network/free-port';
import { getCreateAddress } from 'ethers';
import { startKept } from './kept.ts';

// The chain of development and the demonstration: anvil, an EVM node of one process that makes a block of each transaction
// and of nothing else. One operator runs it, so it proves nothing to anybody else; all else about anchoring is real.

/** A running development chain. It does not keep this process alive, and ends with it, however that ends. */
export interface DevelopmentChain {
  /** the node's URL; it stays when the node is started again */
  readonly rpc: string;
  /** the anchor contract's address, 0x and lower hex; it stays for as long as the folder does */
  readonly contract: string;
  /** the file with the operator's key */
  readonly keyFile: string;
  /** ends it in order; its state is on the disk then */
  stop(): Promise<void>;
}

export interface ChainOptions {
  /** keeps the chain's state and the operator's key; made if missing */
  readonly folder: string;
  readonly logFile: string;
  /** takes each line that a person at the terminal should read */
  readonly log: (line: string) => void;
  /** path of an anvil, taken instead of a search */
  readonly anvil?: string;
}

const FLAGS = [
  '--quiet',
  '--host=127.0.0.1',
  // No page in a browser on this machine has anything to ask here.
  '--no-cors',
  `--chain-id=${DEVELOPMENT_CHAIN}`,
  // The keys of anvil's own accounts are known to everybody.
  '--accounts=0',
  // A block is final at once: the next one may be an hour away.
  '--slots-in-an-epoch=0',
  // Otherwise states of old blocks pile up in memory, and then beneath the home folder.
  '--prune-history',
  // Receipts of older blocks are forgotten: an anchor then takes 2 KB for ever, not 4.
  '--transaction-block-keeper=1000',
  // A kill -9 may lose the blocks of so many seconds; their anchors are made again.
  '--state-interval=10',
];
/** anvil's exit code for arguments that it does not take: among them a state that it cannot read. */
const NOT_TAKEN = 2;
const READY_WITHIN = 20_000;
const ASK_AGAIN = 100;

/**
 * Starts anvil on the state that the folder keeps, funds the operator and deploys the contract where it is not there; and again
 * whenever anvil has ended by itself. Resolves when the contract is there, or without it after 20 s: anchoring waits then, and
 * nothing else does. undefined, after a line that says why, where there is no anvil.
 */
export async function startChain(options: ChainOptions): Promise<DevelopmentChain | undefined> {
  const { folder, log } = options;
  const anvil = findAnvil(options.anvil);
  if (anvil === undefined) {
    log(
      "No chain, and nothing is anchored: npm's anvil is for Linux on x64. Name another in ANVIL, or any chain in CHAIN_RPC.",
    );
    return undefined;
  }
  mkdirSync(folder, { recursive: true });
  const keyFile = join(folder, 'operator.key');
  if (!existsSync(keyFile)) writeFileSync(keyFile, `0x${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  const operator = await fileSigner(keyFile).address();
  const contract = getCreateAddress({ from: operator, nonce: 0 }).toLowerCase();
  const port = await freePort();
  const rpc = `http://127.0.0.1:${port}`;

  const chain = new KeptAnvil(anvil, { ...options, port, prepare });
  if (!(await within(READY_WITHIN, chain.prepared)))
    log(`The development chain is not ready (${options.logFile}): anchoring waits for it.`);
  return { rpc, contract, keyFile, stop: () => chain.stop() };

  /** Throws for as long as the chain does not answer or the contract is not there. */
  async function prepare(): Promise<void> {
    await ask(rpc, 'anvil_setBalance', operator, '0x3635c9adc5dea00000');
    if ((await ask(rpc, 'eth_getCode', contract, 'latest')) !== '0x') return;
    // The address follows from the nonce: what somebody sent before the contract was there does not count.
    await ask(rpc, 'anvil_setNonce', operator, '0x0');
    await deployAnchor(connectRpc(rpc), fileSigner(keyFile), { patience: READY_WITHIN });
  }
}

/** anvil, started again whenever it has ended. */
class KeptAnvil {
  /** Resolves with true at the first time that it is prepared. */
  readonly prepared: Promise<true>;
  readonly #stopping = new AbortController();
  readonly #watching: Promise<void>;
  #running: Running;
  #isPrepared: (value: true) => void = () => {};

  constructor(
    anvil: string,
    { folder, logFile, log, port, prepare }: ChainOptions & { port: number; prepare: () => Promise<void> },
  ) {
    const state = join(folder, 'state.json');
    const launch = (): Running => start(anvil, [...FLAGS, `--port=${port}`, `--state=${state}`], logFile);
    this.prepared = new Promise((resolve) => (this.#isPrepared = resolve));
    this.#running = launch();
    this.#watching = this.#watch(launch, prepare, state, log);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#running.end();
    await this.#watching;
  }

  async #watch(
    launch: () => Running,
    prepare: () => Promise<void>,
    state: string,
    log: ChainOptions['log'],
  ): Promise<void> {
    const backoff = new Backoff();
    for (;;) {
      const begun = Date.now();
      const ended = new AbortController();
      void this.#prepare(prepare, ended.signal);
      const code = await this.#running.exited;
      ended.abort();
      if (this.#stopping.signal.aborted) return;
      if (code === NOT_TAKEN && existsSync(state)) {
        renameSync(state, `${state}.unreadable`);
        log('The development chain cannot read its state, and begins anew.');
      } else log('The development chain has ended by itself, and is started again.');
      await this.#pause(backoff.next(Date.now() - begun));
      if (this.#stopping.signal.aborted) return;
      this.#running = launch();
    }
  }

  async #prepare(prepare: () => Promise<void>, ended: AbortSignal): Promise<void> {
    for (; !ended.aborted; await this.#pause(ASK_AGAIN)) {
      try {
        await prepare();
        return this.#isPrepared(true);
      } catch {
        // It has just been started, or has ended.
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#stopping;
    await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
  }
}

interface Running {
  /** Resolves with the exit code. */
  readonly exited: Promise<number>;
  /** Asks it to end in order. */
  end(): void;
}

function start(anvil: string, args: readonly string[], logFile: string): Running {
  mkdirSync(dirname(logFile), { recursive: true });
  const output = openSync(logFile, 'a', 0o600);
  try {
    // Nothing of the caller's: ANVIL_IP_ADDR and the like would change it.
    const keeper = startKept(anvil, args, { cwd: '/', env: { PATH: process.env['PATH'] }, output });
    keeper.unref();
    // A pipe to a child is a socket, which the type of ChildProcess does not say.
    if (keeper.stdin instanceof Socket) keeper.stdin.unref();
    return {
      exited: once(keeper, 'exit').then(([code]) => code as number),
      end() {
        keeper.ref();
        keeper.stdin!.end();
      },
    };
  } finally {
    closeSync(output);
  }
}

/** The first anvil that runs on this machine: what ANVIL names, npm's, one on PATH. */
function findAnvil(named: string | undefined): string | undefined {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'anvil'));
  const candidates = named === undefined ? [process.env['ANVIL'], fromNpm(), ...onPath] : [named];
  return candidates.find((path): path is string => path !== undefined && existsSync(path) && runs(path));
}

function fromNpm(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve('@foundry-rs/anvil-linux-amd64/bin/anvil');
  } catch {
    // An optional dependency: an unfit platform or --omit=optional leaves it out.
    return undefined;
  }
}

function runs(path: string): boolean {
  try {
    execFileSync(path, ['--version'], { stdio: 'ignore', timeout: READY_WITHIN });
    return true;
  } catch {
    return false;
  }
}

/** What the promise resolves with, or undefined when that takes longer. */
async function within<T>(ms: number, promise: Promise<T>): Promise<T | undefined> {
  const done = new AbortController();
  const late = sleep(ms, undefined, { signal: done.signal }).catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    done.abort();
  }
}

/** Asks a node with plain JSON-RPC, also what only a development chain answers. Throws when it does not. */
export async function ask(rpc: string, method: string, ...params: unknown[]): Promise<unknown> {
  const response = await fetch(rpc, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(READY_WITHIN),
  });
  const { result, error } = (await response.json()) as { result?: unknown; error?: { message: string } };
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}
