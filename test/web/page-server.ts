import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { POLICY } from '@yaoji/api/http/headers';
import { renderNotFound, renderPackagePage, type PackagePage } from '@yaoji/web/page';
import { storyOf } from '@yaoji/web/bundle-story';
import type { Served } from './box.ts';

// A server that sends the page of a box, what it loads, and whatever a test wants instead: so that it can also lie and break.

const PUBLIC = join(fileURLToPath(import.meta.resolve('@yaoji/web/package.json')), '../public');
const TYPES: Readonly<Record<string, string>> = {
  js: 'text/javascript',
  css: 'text/css',
  svg: 'image/svg+xml',
};

const CONTENT_SECURITY_POLICY = Object.entries(POLICY)
  .map(([directive, sources]) => [directive, ...sources].join(' '))
  .join(';');

export type Answer = (res: ServerResponse, req: IncomingMessage) => void;

export class PageServer {
  /** what is answered instead, by path */
  readonly instead = new Map<string, Answer>();
  /** the paths that were asked for */
  readonly asked: string[] = [];
  /** the box by its token */
  readonly boxes = new Map<string, { bundle: unknown; trust: unknown; page: PackagePage }>();
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
    server.on('request', (req, res: ServerResponse) => void this.answer(req, res));
  }

  static async start(): Promise<PageServer> {
    const server = createServer();
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
    return new PageServer(server);
  }

  get origin(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the server does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Puts a box under a token, and gives its page's address. What is not as in the box, a test says in `other`. */
  serve(
    token: string,
    box: Served,
    other: { bundle?: unknown; trust?: unknown; page?: Partial<PackagePage> } = {},
  ): string {
    const story = storyOf(box.bundle);
    const steps = story.steps.map((step) => ({ ...step, open: { ...step.open } }));
    const page = { token, ...story, steps, unsettled: 0, ...other.page };
    this.boxes.set(token, { ...box, ...other, page });
    return `${this.origin}/p/${token}`;
  }

  stop(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname } = new URL(req.url!, 'http://localhost');
    this.asked.push(pathname);
    res.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY);
    res.setHeader('Referrer-Policy', 'no-referrer');
    res.setHeader('X-Content-Type-Options', 'nosniff');
    const other = this.instead.get(pathname);
    if (other) return other(res, req);
    const [, asset, kind] = /^\/assets\/([a-z0-9-]+\.(js|css|svg))$/.exec(pathname) ?? [];
    if (asset) return send(res, 200, TYPES[kind!]!, await readFile(join(PUBLIC, asset)));
    const token = /^(?:\/p\/|\/v1\/packages\/)([^/]+)/.exec(pathname)?.[1] ?? [...this.boxes.keys()][0]!;
    const box = this.boxes.get(token);
    if (!box) return send(res, 404, 'text/html; charset=utf-8', renderNotFound());
    if (pathname === '/trust.json') return send(res, 200, 'application/json', JSON.stringify(box.trust));
    if (pathname.endsWith('/bundle')) return send(res, 200, 'application/json', JSON.stringify(box.bundle));
    send(res, 200, 'text/html; charset=utf-8', renderPackagePage(box.page));
  }
}

function send(res: ServerResponse, status: number, type: string, body: string | Uint8Array): void {
  res.writeHead(status, { 'Content-Type': type }).end(body);
}
