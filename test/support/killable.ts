import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectLedger, type Ledger } from '@yaoji/api/ledger/connect';
import { openPool } from '@yaoji/api/store/pool';
import type { Pool } from 'pg';
import {
  startInstance,
  superviseApi,
  type Access,
  type Instance,
  type LedgerKind,
} from '@yaoji/scripts/instance';
import { enrolStations, type Stations } from '@yaoji/scripts/soak/load';
import type { Supervised } from '@yaoji/scripts/supervise';

/** A whole instance of processes, over a database, whose API can be killed and started again at the same address. */
export interface Killable {
  readonly folder: string;
  readonly access: Access;
  readonly instance: Instance;
  readonly stations: Stations;
  /** the tests' own ways to store and ledger */
  readonly pool: Pool;
  readonly ledger: Ledger;
  /** the API's process as of now */
  readonly api: Supervised;
  /** Kills the API with SIGKILL, if it is there, and starts it with this much more in its environment. */
  restartApi(env?: NodeJS.ProcessEnv): Promise<Supervised>;
  stop(): Promise<void>;
}

const ORGANISATIONS = [
  'HospitalMSP:hospital',
  'DecoctionMSP:decoction',
  'SecondDecoctionMSP:decoction',
  'CourierMSP:courier',
  'RegulatorMSP:regulator',
].join(',');

export async function startKillable(databaseUrl: string, kind?: LedgerKind): Promise<Killable> {
  const folder = mkdtempSync(join(tmpdir(), 'yaoji-killed-'));
  const log = (): void => {};
  const instance = await startInstance({
    folder,
    databaseUrl,
    organisations: ORGANISATIONS,
    ledger: kind,
    log,
  });
  const { access, profile } = instance;
  const ledger = connectLedger(profile);
  const pool = openPool(databaseUrl, { max: 4, onError: () => {} });
  let { api } = instance;
  const end = async (): Promise<void> => {
    process.kill(api.pid, 'SIGKILL');
    await api.exited;
  };
  return {
    folder,
    access,
    instance,
    ledger,
    pool,
    stations: await enrolStations(access, 'e2e'),
    get api() {
      return api;
    },
    async restartApi(env = {}) {
      await end().catch(() => {});
      api = superviseApi(folder, databaseUrl, { port: Number(new URL(access.url).port), env });
      return api;
    },
    async stop() {
      await end().catch(() => {});
      ledger.close();
      await pool.end();
      await instance.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
