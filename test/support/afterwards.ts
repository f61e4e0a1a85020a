import { expect } from 'chai';
import type { Pool } from 'pg';
import type { Ledger } from '@yaoji/api/ledger/connect';
import { readState } from '@yaoji/api/ledger/view';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import {
  append,
  at as keyOf,
  EMPTY,
  leafHash,
  root,
  toBase64url,
  utf8,
  type Log,
} from '@yaoji/chaincode/core';
import type { Acknowledged } from '@yaoji/scripts/soak/load';
import { until } from './service.ts';

interface Stored {
  station: string;
  n: string;
  step: string;
  subject: string;
  entry: string;
  said_by: string | null;
  code: string | null;
  seq: string | null;
}

/**
 * Waits until nothing is pending, and throws unless every event answered is stored once, with its verdict, in the order of
 * its answers, and nothing else is; and unless store and ledger agree about every log.
 */
export async function endsAsTold(
  pool: Pool,
  ledger: Ledger,
  events: readonly Acknowledged[],
  within = 30_000,
): Promise<void> {
  await until(
    'nothing is pending',
    async () => (await pool.query('select from pending')).rowCount === 0,
    within,
  );
  const { rows } = await pool.query<Stored>(
    `select e.station, e.n, e.step, e.subject, e.entry, v.said_by, v.code, r.seq
     from event e left join verdict v using (station, n) left join record r using (station, n) order by r.seq`,
  );
  expect(rows.length).to.equal(events.length);
  const stored = new Map(rows.map((row) => [`${row.station} ${row.n}`, row]));
  for (const { station, n, step, line, expected } of events) {
    const found = stored.get(`${station} ${n}`);
    const what = `${step} ${station} ${n}: ${JSON.stringify(found)}`;
    if (line !== undefined) expect(found?.entry, what).to.equal(line);
    expect(found?.said_by, what).to.be.oneOf(['ledger', 'service']);
    expect(found!.code === null, what).to.equal(found!.seq !== null);
    if (expected !== 'either') expect(found!.code === null, what).to.equal(expected === 'settled');
  }
  const trails = (all: readonly { subject: string; station: string; n: number | string }[]) => {
    const names: Record<string, string[]> = {};
    for (const { subject, station, n } of all) (names[subject] ??= []).push(`${station} ${n}`);
    return names;
  };
  const accepted = events.filter(({ station, n }) => stored.get(`${station} ${n}`)!.seq !== null);
  expect(trails(rows.filter(({ seq }) => seq !== null))).to.deep.equal(trails(accepted));
  for (const { mspId } of ledger.profile.organisations) await sameLog(pool, ledger, mspId);
}

async function sameLog(pool: Pool, ledger: Ledger, org: string): Promise<void> {
  const { rows } = await pool.query<{ index: string; body: string }>(
    'select index, body from record where org = $1 order by index',
    [org],
  );
  const { rows: batches } = await pool.query<{ last: string | null; count: string }>(
    'select max(number) as last, count(*) as count from batch where org = $1',
    [org],
  );
  let frontier = EMPTY;
  for (const { body } of rows)
    frontier = append(frontier, leafHash(utf8(body), nodeSuite.sha256), nodeSuite.sha256);
  const text = (await readState(ledger, org, [keyOf.log(org)])).get(keyOf.log(org));
  const log = text === undefined ? undefined : (JSON.parse(text) as Log);
  const { last, count } = batches[0]!;
  expect(Number(last ?? 0), `the batches of ${org}`)
    .to.equal(log?.batch ?? 0)
    .and.to.equal(Number(count));
  expect(frontier.size, `the size of ${org}'s log`).to.equal(log?.size ?? 0);
  if (log && log.size > 0)
    expect(toBase64url(root(frontier, nodeSuite.sha256)), `the root of ${org}`).to.equal(log.root);
}
