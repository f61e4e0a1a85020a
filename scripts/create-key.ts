import { createApiKey } from '@yaoji/api/store/api-keys';
import { openPool } from '@yaoji/api/store/pool';

/** Makes an API key in the store of DATABASE_URL and prints it. Exit code: 0, or 2 when the request makes no sense. */
export async function createKey({
  org,
  site,
  role,
}: {
  org: string;
  site: string;
  role: string;
}): Promise<number> {
  const url = process.env['DATABASE_URL'];
  if (!url || (role !== 'recorder' && role !== 'registrar')) {
    process.stderr.write(url ? 'the role is recorder or registrar\n' : 'DATABASE_URL is missing\n');
    return 2;
  }
  const pool = openPool(url, { role: 'yaoji_app', max: 1, onError: () => {} });
  try {
    process.stdout.write(`${(await createApiKey(pool, { org, site, role })).key}\n`);
    return 0;
  } finally {
    await pool.end();
  }
}
