// Fabric's BatchSize.MaxMessageCount and PreferredMaxBytes, and how long a block waits for more.
const BLOCK_TRANSACTIONS = 200;
const BLOCK_BYTES = 2_000_000;
const BLOCK_WAIT_MS = 20;

interface Queued {
  readonly txId: string;
  readonly envelope: Uint8Array;
}

/** Puts envelopes in an order and cuts the order into blocks. Promises nothing about their validity. */
export class Ordering {
  readonly #commit: (envelopes: Uint8Array[]) => Promise<void>;
  readonly #queued = new Set<string>();
  #pending: Queued[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #committing = Promise.resolve();

  /** @param commit is called for one block at a time and must not throw. */
  constructor(commit: (envelopes: Uint8Array[]) => Promise<void>) {
    this.#commit = commit;
  }

  /** Takes an envelope. One that is waiting already is not taken again, nor refused. */
  add(txId: string, envelope: Uint8Array): void {
    if (this.#queued.has(txId)) return;
    this.#queued.add(txId);
    this.#pending.push({ txId, envelope });
    this.#bytes += envelope.length;
    if (this.#pending.length >= BLOCK_TRANSACTIONS || this.#bytes >= BLOCK_BYTES) this.#cut();
    else this.#timer ??= setTimeout(() => this.#cut(), BLOCK_WAIT_MS);
  }

  /** Answers when everything taken so far is in a block. */
  async drain(): Promise<void> {
    this.#cut();
    await this.#committing;
  }

  #cut(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const block = this.#pending;
    if (block.length === 0) return;
    this.#pending = [];
    this.#bytes = 0;
    this.#committing = this.#commitAfter(this.#committing, block);
  }

  async #commitAfter(previous: Promise<void>, block: readonly Queued[]): Promise<void> {
    await previous;
    await this.#commit(block.map(({ envelope }) => envelope));
    for (const { txId } of block) this.#queued.delete(txId);
  }
}
