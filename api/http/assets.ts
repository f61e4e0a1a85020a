import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RequestHandler } from 'express';
import { Problem } from './problems.ts';

const folderOf = (packageJson: string): string => dirname(fileURLToPath(import.meta.resolve(packageJson)));
const PAGE_ASSETS = join(folderOf('@yaoji/web/package.json'), 'public');
const SWAGGER_ASSETS = folderOf('swagger-ui-dist/package.json');

const send =
  (root: string, names: RegExp): RequestHandler<{ file: string }> =>
  ({ params: { file } }, res, next) => {
    if (!names.test(file)) throw new Problem('ROUTE_UNKNOWN');
    res.sendFile(file, { root, cacheControl: false, headers: { 'Cache-Control': 'no-cache' } }, (error) => {
      // Express tells an aborted answer as an error too; then there is nobody left to tell.
      if (error && !res.headersSent) next(new Problem('ROUTE_UNKNOWN'));
    });
  };

/** GET /assets/{file}: what the package page loads. */
export const getAsset = send(PAGE_ASSETS, /^[a-z0-9-]+\.(js|css|svg)$/);

/** GET /docs/{file}: Swagger UI's own files; its page and its settings are ours. */
export const getSwaggerAsset = send(SWAGGER_ASSETS, /^swagger-ui(-bundle\.js|\.css)$/);
