import { gzipSync } from 'node:zlib';

const BLOCK = 512;
const MODE = '0000644';
const NAME_LIMIT = 100;
const GZIP_OS = 9;
const UNKNOWN_OS = 255;

/**
 * A gzipped tar archive of some small files. The same files give the same bytes, on every machine and at any time: no owner,
 * no time, names sorted.
 */
export function archive(files: Readonly<Record<string, Uint8Array | string>>): Buffer {
  const parts = Object.entries(files)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, content]) => {
      const bytes = Buffer.from(content);
      return [header(name, bytes.length), bytes, Buffer.alloc(-bytes.length & (BLOCK - 1))];
    });
  const zipped = gzipSync(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]));
  // RFC 1952 2.3: zlib writes no time, but the system it runs on.
  zipped[GZIP_OS] = UNKNOWN_OS;
  return zipped;
}

/** A file's header in the ustar format (POSIX.1-1988; pax(1), "ustar Interchange Format"). */
function header(name: string, size: number): Buffer {
  if (Buffer.byteLength(name) > NAME_LIMIT) throw new Error(`a name is too long for the archive: ${name}`);
  const block = Buffer.alloc(BLOCK);
  block.write(name, 0);
  block.write(`${MODE}\0`, 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  block.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  block.write(`${'0'.repeat(11)}\0`, 136);
  // The checksum is taken with spaces in its own place.
  block.fill(' ', 148, 156);
  block.write('0', 156);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return block;
}
