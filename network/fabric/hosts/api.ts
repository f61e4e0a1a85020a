import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { environmentOf, unitName, unitOf } from './units.ts';

/** How systemd runs the API. */
export interface ApiService {
  readonly unit: string;
  /** Its settings; whoever runs it completes them. */
  readonly environment: string;
}

/**
 * Writes beside the API's profile how systemd runs it: a unit, and its settings unless they are there, for they hold what
 * only the operator knows. `main`: the API's compiled program.
 */
export function writeApiService(out: string, main: string, profile: string): ApiService {
  const data = join(out, 'station-keys');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  mkdirSync(join(out, 'env'), { recursive: true, mode: 0o700 });
  mkdirSync(join(out, 'units'), { recursive: true });
  const environment = join(out, 'env', 'api.env');
  if (!existsSync(environment)) {
    writeFileSync(
      environment,
      environmentOf({
        NODE_ENV: 'production',
        HOST: '127.0.0.1',
        PORT: '8080',
        DATABASE_URL: '',
        PUBLIC_URL: '',
        LEDGER_PROFILE: profile,
        STATION_KEYS: data,
      }),
      { mode: 0o600 },
    );
  }
  const unit = join(out, 'units', unitName('api'));
  writeFileSync(
    unit,
    unitOf({
      description: 'Yaoji: API',
      command: process.execPath,
      args: [main],
      environment,
      data,
      after: 'postgresql.service',
      compiles: true,
    }),
  );
  return { unit, environment };
}
