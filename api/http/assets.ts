import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NextFunction, RequestHandler, Response } from 'express';
import { Problem } from './problems.ts';

const folderOf = (packageJson: string): string => dirname(fileURLToPath(import.meta.resolve(packageJson)));
const PAGE_ASSETS = join(folderOf('@yaoji/web/package.json'), 'public');
const SWAGGER_ASSETS = folderOf('swagger-ui-dist/package.json');

const send = (
  { res, next }: { res: Response; next: NextFunction },
  file: string,
  options: { root: string; headers?: Readonly<Record<string, string>> },
): void => {
  const headers = { 'Cache-Control': 'no-cache', ...options.headers };
  res.sendFile(file, { root: options.root, cacheControl: false, headers }, (error) => {
    // Express tells an aborted answer as an error too; then there is nobody left to tell.
    if (error && !res.headersSent) next(new Problem('ROUTE_UNKNOWN'));
  });
};

const TYPES: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml; charset=utf-8',
};

/** How the build has compressed what the page loads: the content coding's name (RFC 9110 §8.4.1) and the file's ending. */
const CODED = { br: '.br', gzip: '.gz' } as const;

/** GET /assets/{file}: what the package page loads, in the smallest form that the browser takes. */
export const getAsset: RequestHandler<{ file: string }> = (req, res, next) => {
  const { file } = req.params;
  if (!/^[a-z0-9-]+\.(js|css|svg)$/.test(file)) throw new Problem('ROUTE_UNKNOWN');
  const vary = { Vary: 'Accept-Encoding' };
  for (const [coding, ending] of Object.entries(CODED))
    if (req.acceptsEncodings(coding)) {
      // The type is that of what comes out of it.
      const type = { 'Content-Type': TYPES[extname(file)]!, 'Content-Encoding': coding };
      return send({ res, next }, file + ending, { root: PAGE_ASSETS, headers: { ...vary, ...type } });
    }
  send({ res, next }, file, { root: PAGE_ASSETS, headers: vary });
};

/** GET /docs/{file}: Swagger UI's own files; its page and its settings are ours. */
export const getSwaggerAsset: RequestHandler<{ file: string }> = ({ params: { file } }, res, next) => {
  if (!/^swagger-ui(-bundle\.js|\.css)$/.test(file)) throw new Problem('ROUTE_UNKNOWN');
  send({ res, next }, file, { root: SWAGGER_ASSETS });
};
