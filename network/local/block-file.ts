import { open, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

// length, CRC-32 of the length, CRC-32 of the block: each four bytes, big-endian. The length has its own check because a
// changed length would otherwise look like a torn tail, and everything behind it would be cut off.
const HEAD_BYTES = 12;

/** Blocks on disk, one after the other, only ever appended. */
export class BlockFile {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #offsets: number[] = [];
  #end = 0;

  private constructor(file: FileHandle, path: string) {
    this.#file = file;
    this.#path = path;
  }

  get height(): number {
    return this.#offsets.length;
  }

  /**
   * Opens or creates the file and hands over every block, oldest first. A record that the file ends in the middle of was
   * never acknowledged and is cut off; a whole record that is not what was written is refused, as is what `each` refuses.
   */
  static async open(path: string, each: (block: Uint8Array) => void): Promise<BlockFile> {
    const blocks = new BlockFile(await open(path, 'a+', 0o600), path);
    try {
      await blocks.#load(each);
    } catch (error) {
      await blocks.close();
      throw error;
    }
    return blocks;
  }

  /** Writes a block; when this answers, it is on the disk. Throws when another process has written to the file. */
  async append(block: Uint8Array): Promise<void> {
    const { size } = await this.#file.stat();
    if (size !== this.#end) throw new Error(`${this.#path} is being written by another process`);
    await this.#file.appendFile(Buffer.concat([headOf(block), block]));
    await this.#file.datasync();
    this.#add(block.length);
  }

  /** The bytes of a block. Throws, in Fabric's words, when there is no such block. */
  async read(number: number): Promise<Buffer> {
    const offset = this.#offsets[number];
    const block = offset === undefined ? undefined : await this.#record(offset, this.#end);
    if (!block) throw new Error(`no such block number [${number}] in index`);
    return block;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  async #load(each: (block: Uint8Array) => void): Promise<void> {
    const { size } = await this.#file.stat();
    for (let block; (block = await this.#record(this.#end, size));) {
      each(block);
      this.#add(block.length);
    }
    if (this.#end === size) return;
    await this.#file.truncate(this.#end);
    await this.#file.datasync();
  }

  /** The block at an offset; none when the file ends before it does. */
  async #record(offset: number, size: number): Promise<Buffer | undefined> {
    if (offset + HEAD_BYTES > size) return undefined;
    const head = await this.#bytes(offset, HEAD_BYTES);
    const length = head.readUInt32BE(0);
    if (crc32(head.subarray(0, 4)) !== head.readUInt32BE(4)) throw this.#changed(offset);
    if (offset + HEAD_BYTES + length > size) return undefined;
    const block = await this.#bytes(offset + HEAD_BYTES, length);
    if (crc32(block) !== head.readUInt32BE(8)) throw this.#changed(offset);
    return block;
  }

  async #bytes(offset: number, length: number): Promise<Buffer> {
    return (await this.#file.read(Buffer.alloc(length), 0, length, offset)).buffer;
  }

  #add(length: number): void {
    this.#offsets.push(this.#end);
    this.#end += HEAD_BYTES + length;
  }

  #changed(offset: number): Error {
    return new Error(
      `${this.#path} was changed: block ${this.height}, at byte ${offset}, is not what was written`,
    );
  }
}

function headOf(block: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(block.length, 0);
  head.writeUInt32BE(crc32(head.subarray(0, 4)), 4);
  head.writeUInt32BE(crc32(block), 8);
  return head;
}
