/** The transaction that wrote a value last: its block and its place in the block. */
export interface Version {
  readonly block: number;
  readonly tx: number;
}

export interface Entry {
  /** None when the key was deleted. */
  readonly value: Uint8Array | undefined;
  readonly version: Version;
}

export interface Write {
  readonly key: string;
  /** None deletes the key. */
  readonly value: Uint8Array | undefined;
}

interface Chained extends Entry {
  before?: Chained | undefined;
}

/** Whether two reads of a key saw the same thing; none means the key was not there. */
export function sameVersion(a: Version | undefined, b: Version | undefined): boolean {
  return a?.block === b?.block && a?.tx === b?.tx;
}

/**
 * The contract's world state, in memory. A running simulation goes on seeing the height it began at, as Fabric's do,
 * through a short chain of the values that were replaced meanwhile.
 */
export class State {
  readonly #entries = new Map<string, Chained>();
  readonly #readers = new Map<number, number>();

  /** Keeps what can be seen at a height (a number of blocks) until the answer is called. */
  hold(height: number): () => void {
    this.#readers.set(height, (this.#readers.get(height) ?? 0) + 1);
    return () => {
      const left = (this.#readers.get(height) ?? 0) - 1;
      if (left > 0) this.#readers.set(height, left);
      else this.#readers.delete(height);
    };
  }

  /** What stands under a key after so many blocks; none when nothing does. The height must be held or the newest. */
  get(key: string, height: number): Entry | undefined {
    let entry = this.#entries.get(key);
    while (entry && entry.version.block >= height) entry = entry.before;
    return entry?.value ? entry : undefined;
  }

  /** Writes what one valid transaction wrote. */
  apply(version: Version, writes: readonly Write[]): void {
    const oldest = Math.min(...this.#readers.keys());
    for (const { key, value } of writes) {
      const old = this.#entries.get(key);
      // Another transaction of the same block: nobody can have seen what it wrote.
      const before = old?.version.block === version.block ? old.before : old;
      this.#entries.set(key, { value, version, before: forget(before, oldest) });
    }
  }
}

// Drops what no running simulation can see any more: everything behind the first value older than all of them.
function forget(entry: Chained | undefined, oldest: number): Chained | undefined {
  if (oldest === Infinity || !entry) return undefined;
  let seen = entry;
  while (seen.before && seen.version.block >= oldest) seen = seen.before;
  seen.before = undefined;
  return entry;
}
