import { ledger } from '@hyperledger/fabric-protos';

import { CHAINCODE } from './names.ts';
import type { State, Version, Write } from './state.ts';

const { kvrwset } = ledger.rwset;
type KVRead = ledger.rwset.kvrwset.KVRead;
type KVWrite = ledger.rwset.kvrwset.KVWrite;
type KVRWSet = ledger.rwset.kvrwset.KVRWSet;

export const LIFECYCLE = '_lifecycle';
// The contract is defined in block 0 and never again.
const DEFINITION: Version = { block: 0, tx: 0 };

/** One run of the contract: what it read, at which version, and what it would write. */
export class Simulation {
  readonly #reads = new Map<string, Version | undefined>();
  readonly #writes = new Map<string, Uint8Array | undefined>();
  readonly #state: State;
  readonly #height: number;
  readonly #release: () => void;

  /** Begins at a height. `end` must be called, whatever happens. */
  constructor(state: State, height: number) {
    this.#state = state;
    this.#height = height;
    this.#release = state.hold(height);
  }

  /** The committed value: never what this run has put itself, as in Fabric (docs: readwrite.rst). */
  get(key: string): Uint8Array | undefined {
    const entry = this.#state.get(key, this.#height);
    this.#reads.set(key, entry?.version);
    return entry?.value;
  }

  /** Putting an empty value deletes the key, as in Fabric. */
  put(key: string, value: Uint8Array): void {
    this.#writes.set(key, value.length > 0 ? value : undefined);
  }

  delete(key: string): void {
    this.#writes.set(key, undefined);
  }

  end(): void {
    this.#release();
  }

  /** Fabric's TxReadWriteSet, byte for byte: sorted keys, and the read of the chaincode's definition. */
  serialize(): Uint8Array {
    const own = new kvrwset.KVRWSet();
    own.setReadsList(sorted(this.#reads).map(([key, version]) => newRead(key, version)));
    own.setWritesList(sorted(this.#writes).map(([key, value]) => newWrite({ key, value })));
    // So that changing the chaincode's definition invalidates what the old one endorsed.
    const lifecycle = new kvrwset.KVRWSet();
    lifecycle.addReads(newRead(`namespaces/fields/${CHAINCODE}/Sequence`, DEFINITION));

    const all = new ledger.rwset.TxReadWriteSet();
    all.setDataModel(ledger.rwset.TxReadWriteSet.DataModel.KV);
    all.setNsRwsetList([newNamespace(LIFECYCLE, lifecycle), newNamespace(CHAINCODE, own)]);
    return all.serializeBinary();
  }
}

// Fabric orders keys by their UTF-8 bytes; JavaScript would order them by UTF-16 units.
function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

function newRead(key: string, version: Version | undefined): KVRead {
  const read = new kvrwset.KVRead();
  read.setKey(key);
  if (version) {
    const at = new kvrwset.Version();
    at.setBlockNum(version.block);
    at.setTxNum(version.tx);
    read.setVersion(at);
  }
  return read;
}

function newWrite({ key, value }: Write): KVWrite {
  const write = new kvrwset.KVWrite();
  write.setKey(key);
  if (value) write.setValue(value);
  else write.setIsDelete(true);
  return write;
}

function newNamespace(name: string, set: KVRWSet): ledger.rwset.NsReadWriteSet {
  const namespace = new ledger.rwset.NsReadWriteSet();
  namespace.setNamespace(name);
  namespace.setRwset(set.serializeBinary());
  return namespace;
}
