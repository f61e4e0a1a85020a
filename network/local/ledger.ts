import { EventEmitter, once } from 'node:events';

import { common } from '@hyperledger/fabric-protos';

import { sha256 } from '../identities/signature.ts';
import type { OrganisationIdentities } from '../identities/organisation.ts';
import { BlockFile } from './block-file.ts';
import {
  blockParts,
  COMMIT_HASH,
  dataHash,
  headerHash,
  newBlock,
  quorum,
  signBlock,
  SIGNATURES,
  TRANSACTIONS_FILTER,
} from './block.ts';
import type { Faults } from './faults.ts';
import { newGenesis } from './genesis.ts';
import { Ordering } from './ordering.ts';
import { State } from './state.ts';
import { Code, judgeBlock, readJudged, type Judged, type Rules, type ValidationCode } from './validation.ts';

/** Where a transaction lies and what became of it. */
export interface Place {
  readonly block: number;
  readonly index: number;
  readonly code: ValidationCode;
}

export interface CommittedBlock {
  readonly number: number;
  readonly block: common.Block;
  readonly transactions: readonly Judged[];
}

/** What Fabric's BFT orderers say to a transaction that they have ordered already. */
export const PROCESSED = 'failed to submit request: request already processed';

const CODES = new Map<number, ValidationCode>(Object.values(Code).map((code) => [code, code]));

/** The channel: its blocks, its state, and the way into both. Emits `failed` when the disk refuses a block. */
export class Ledger extends EventEmitter<{ block: []; failed: [Error] }> {
  readonly state = new State();
  readonly #rules: Rules;
  readonly #organisations: readonly OrganisationIdentities[];
  readonly #faults: Faults;
  readonly #ordering = new Ordering((envelopes) => this.#commitOrFail(envelopes));
  readonly #places = new Map<string, Place>();
  readonly #file: Promise<BlockFile>;
  #height = 0;
  #lastHash: Uint8Array = new Uint8Array();
  #previousHash: Uint8Array = new Uint8Array();
  #commitHash: Uint8Array = new Uint8Array();
  #failure: Error | undefined;
  /** The state before the newest block stays readable: a peer may lag. */
  #releaseBefore = this.state.hold(0);

  private constructor(
    path: string,
    rules: Rules,
    organisations: readonly OrganisationIdentities[],
    faults: Faults,
  ) {
    super();
    this.setMaxListeners(0);
    this.#rules = rules;
    this.#organisations = organisations;
    this.#faults = faults;
    this.#file = BlockFile.open(path, (block) => this.#replay(block));
  }

  /**
   * Opens the ledger whose blocks lie in a file, or begins one there. Throws when a block does not follow from the one
   * before it, or when the ledger was begun by other organisations.
   */
  static async open(
    path: string,
    rules: Rules,
    organisations: readonly OrganisationIdentities[],
    faults: Faults,
  ): Promise<Ledger> {
    const ledger = new Ledger(path, rules, organisations, faults);
    const file = await ledger.#file;
    const genesis = newGenesis(organisations);
    if (ledger.height === 0) {
      await file.append(genesis.serializeBinary());
      ledger.#replay(genesis.serializeBinary());
    } else if (!(await file.read(0)).equals(genesis.serializeBinary())) {
      await file.close();
      throw new Error(`${path} was begun by other organisations; take another folder`);
    }
    return ledger;
  }

  /** The number of blocks. */
  get height(): number {
    return this.#height;
  }

  /** Accepts an envelope for ordering. Throws, in the words of Fabric's BFT orderers, when its id is in a block already. */
  order(txId: string, envelope: Uint8Array): void {
    if (this.#failure) throw this.#failure;
    if (this.#places.has(txId)) throw new Error(PROCESSED);
    this.#ordering.add(txId, envelope);
  }

  /** Where a transaction lies, as far as the first so many blocks tell. */
  place(txId: string, height = this.#height): Place | undefined {
    const place = this.#places.get(txId);
    return place && place.block < height ? place : undefined;
  }

  /** Waits until a transaction is in a block. Throws when the signal is aborted first. */
  async waitFor(txId: string, signal: AbortSignal): Promise<Place> {
    for (;;) {
      const place = this.#places.get(txId);
      if (place) return place;
      await once(this, 'block', { signal });
    }
  }

  /** A block's bytes as they are on the disk. Throws when there is no such block among the first so many. */
  async blockBytes(number: number, height = this.#height): Promise<Buffer> {
    if (number >= height) throw new Error(`no such block number [${number}] in index`);
    return (await this.#file).read(number);
  }

  /** Every block from a number on, and the future ones as they are committed, until the signal is aborted. */
  async *follow(from: number, signal: AbortSignal): AsyncGenerator<CommittedBlock> {
    for (let number = from; ; number++) {
      while (number >= this.#height && !signal.aborted) {
        await once(this, 'block', { signal }).catch(() => undefined);
      }
      if (signal.aborted) return;
      yield readCommitted(await this.blockBytes(number));
    }
  }

  info(): common.BlockchainInfo {
    const info = new common.BlockchainInfo();
    info.setHeight(this.#height);
    info.setCurrentblockhash(this.#lastHash);
    info.setPreviousblockhash(this.#previousHash);
    return info;
  }

  /** Commits what was accepted and closes the file. */
  async close(): Promise<void> {
    await this.#ordering.drain();
    await (await this.#file).close();
  }

  async #commitOrFail(envelopes: Uint8Array[]): Promise<void> {
    // After a failed write nobody knows what is on the disk: going on could acknowledge what a restart will not find.
    if (this.#failure) return;
    try {
      await this.#commit(envelopes);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      this.emit('failed', this.#failure);
    }
  }

  async #commit(envelopes: Uint8Array[]): Promise<void> {
    const judged = judgeBlock(envelopes, this.#rules, {
      state: this.state,
      height: this.#height,
      isKnown: (txId) => this.#places.has(txId),
      isOvertaken: () => this.#faults.take('conflicts'),
    });
    const block = newBlock(this.#height, this.#lastHash, envelopes);
    this.#fillMetadata(block, judged);
    this.#faults.reach('before-block');
    await (await this.#file).append(block.serializeBinary());
    this.#faults.reach('after-block');
    this.#apply(block, judged);
    this.emit('block');
  }

  #fillMetadata(block: common.Block, judged: readonly Judged[]): void {
    const { header, metadata } = blockParts(block);
    const filter = Uint8Array.from(judged, ({ code }) => code);
    // Fabric hashes the state updates here; the header, which fixes them, stands in. No verifier may rely on this hash:
    // nobody signs it.
    const commitHash = new common.Metadata();
    commitHash.setValue(sha256(filter, headerHash(header), this.#commitHash));
    metadata[SIGNATURES] = signBlock(header, this.#signers());
    metadata[TRANSACTIONS_FILTER] = filter;
    metadata[COMMIT_HASH] = commitHash.serializeBinary();
    block.getMetadata()?.setMetadataList(metadata);
  }

  /** A quorum of the orderers, not always the same ones, as under BFT. */
  #signers(): Map<number, OrganisationIdentities['orderer']> {
    const all = this.#organisations.map(({ orderer }, index) => [index + 1, orderer] as const);
    const first = this.#height % all.length;
    return new Map([...all.slice(first), ...all.slice(0, first)].slice(0, quorum(all.length)));
  }

  #replay(bytes: Uint8Array): void {
    const { block, transactions } = readCommitted(bytes);
    const { header, envelopes } = blockParts(block);
    const follows =
      header.getNumber() === this.#height &&
      Buffer.from(header.getPreviousHash_asU8()).equals(this.#lastHash) &&
      dataHash(envelopes).equals(header.getDataHash_asU8());
    if (!follows)
      throw new Error(`block ${this.#height} does not follow from the block before it: the file was changed`);
    this.#apply(block, transactions);
  }

  #apply(block: common.Block, transactions: readonly Judged[]): void {
    const { header, metadata } = blockParts(block);
    const releaseBefore = this.state.hold(this.#height);
    for (const [index, { txId, code, sets }] of transactions.entries()) {
      const writes = code === Code.VALID ? sets.flatMap((set) => set.writes) : [];
      this.state.apply({ block: this.#height, tx: index }, writes);
      // A refused repetition does not take the place of the first.
      if (txId && !this.#places.has(txId)) this.#places.set(txId, { block: this.#height, index, code });
    }
    this.#commitHash = common.Metadata.deserializeBinary(
      metadata[COMMIT_HASH] ?? new Uint8Array(),
    ).getValue_asU8();
    this.#previousHash = header.getPreviousHash_asU8();
    this.#lastHash = headerHash(header);
    this.#height++;
    this.#releaseBefore();
    this.#releaseBefore = releaseBefore;
  }
}

function readCommitted(bytes: Uint8Array): CommittedBlock {
  const block = common.Block.deserializeBinary(bytes);
  const { header, envelopes, metadata } = blockParts(block);
  const filter = metadata[TRANSACTIONS_FILTER] ?? new Uint8Array();
  const transactions = envelopes.map((envelope, index) => readJudged(envelope, codeOf(filter[index])));
  return { number: header.getNumber(), block, transactions };
}

function codeOf(value: number | undefined): ValidationCode {
  const code = value === undefined ? undefined : CODES.get(value);
  if (code === undefined) throw new Error(`there is no validation code ${value}`);
  return code;
}
