import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The way to PostgreSQL, which can be taken away, cut, and cut at the worst moment.

const NAME = '.s.PGSQL.5432';

export class StoreProxy {
  readonly url: string;
  readonly #target: string;
  readonly #folder: string;
  readonly #open = new Set<Socket>();
  #server: Server | undefined;
  #commitsToCut = 0;
  #deaf = false;

  private constructor(url: string) {
    const target = new URL(url);
    this.#target = join(target.searchParams.get('host')!, NAME);
    this.#folder = mkdtempSync(join(tmpdir(), 'yaoji-way-'));
    chmodSync(this.#folder, 0o700);
    target.searchParams.set('host', this.#folder);
    this.url = target.href;
  }

  /** A way to the server of a connection string that names the folder of its socket. */
  static async to(url: string): Promise<StoreProxy> {
    const proxy = new StoreProxy(url);
    await proxy.up();
    return proxy;
  }

  async up(): Promise<void> {
    this.#server = createServer((client) => {
      const server = connect(this.#target);
      for (const [one, other] of [
        [client, server],
        [server, client],
      ] as const) {
        this.#open.add(one);
        one.on('error', () => {});
        one.on('close', () => {
          this.#open.delete(one);
          other.destroy();
        });
      }
      client.on('data', (bytes) => {
        if (this.#deaf) return;
        if (this.#commitsToCut > 0 && bytes.includes('commit\0')) {
          this.#commitsToCut--;
          // The server does as it is told, and its answer is lost.
          client.destroy();
          server.removeAllListeners('close');
          server.end(bytes);
          return;
        }
        server.write(bytes);
      });
      server.on('data', (bytes) => client.write(bytes));
    });
    this.#server.listen(join(this.#folder, NAME));
    await once(this.#server, 'listening');
  }

  /** Connections stay, and nothing that is sent arrives any more: a host that is gone without a word. */
  deafen(): void {
    this.#deaf = true;
  }

  /** Nobody is there any more: connections break, and there is no socket to connect to. */
  down(): void {
    this.#server?.close();
    this.cut();
    if (existsSync(join(this.#folder, NAME))) rmSync(join(this.#folder, NAME));
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
  }

  /** The next so many commits reach the server, and the connection breaks before their answer. */
  cutCommits(count: number): void {
    this.#commitsToCut = count;
  }

  close(): void {
    this.down();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
