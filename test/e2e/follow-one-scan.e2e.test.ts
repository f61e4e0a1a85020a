import { expect } from 'chai';
import { readState } from '@yaoji/api/ledger/view';
import type { Receipt } from '@yaoji/api/service';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';
import {
  append,
  at as keyOf,
  canonical,
  CHECKS,
  EMPTY,
  leafHash,
  readBundle,
  root,
  toBase64url,
  toTrust,
  utf8,
  verify,
  type Bundle,
  type Log,
  type Record as LedgerRecord,
  type Report,
  type Subject,
} from '@yaoji/chaincode/core';
import { fetchBundle, fetchTrust, OrganisationClient, request } from '@yaoji/scripts/client';
import { play } from '@yaoji/scripts/play';
import { latestDay } from '@yaoji/scripts/reference-story';
import {
  realParts,
  serveService,
  settled,
  Telling,
  until,
  withDevice,
  type Said,
  type ServedService,
} from '../support/service.ts';

describe('following one scan', function () {
  this.timeout(60_000);
  const parts = realParts();
  let served: ServedService;
  let telling: Telling;
  before(async () => {
    telling = new Telling(parts());
    const pipeline = parts().pipeline();
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before('HUB_SCANNED'));
    served = await serveService(parts());
  });
  after(() => served?.stop());

  const checked = async (bundle: unknown, token: string): Promise<Report> =>
    verify(bundle, {
      trust: toTrust(await fetchTrust(served.access.url)),
      token,
      now: Date.now(),
      suite: verifierSuite,
    });
  const ledgerValue = async <T>(org: string, key: string): Promise<T> =>
    JSON.parse((await readState(parts().pipeline().ledger, org, [key])).get(key)!) as T;

  it('from the courier’s phone to a proof in the patient’s hand', async () => {
    const { url } = served.access;
    const courier = served.of('CourierMSP');

    // The phone signs and sends: stored, and answered at once.
    const scan: Said = telling.say('HUB_SCANNED');
    const { status, body } = await request(url, '/v1/events', { key: courier.recorder, body: scan.item });
    expect(status).to.equal(202);
    expect(body).to.deep.include({ station: 'phone', n: scan.n, step: 'HUB_SCANNED', outcome: 'pending' });

    // A batch later it has its verdict.
    const client = new OrganisationClient(url, courier);
    let receipt: Receipt | undefined;
    await until('the scan is settled', async () => {
      receipt = await client.receipt(scan.station, scan.n);
      return receipt.outcome !== 'pending';
    });
    expect(receipt).to.deep.include({ outcome: 'settled', subject: telling.keys.package });
    // Sent again, as a phone does that did not hear the answer, it is the same.
    expect(await client.record(scan.item)).to.deep.equal(receipt);

    // The patient fetches everything, and checks it with nobody's help.
    const bundle: Bundle = await fetchBundle(url, telling.token);
    const report = await checked(bundle, telling.token);
    expect(report.checks.map(({ id }) => id)).to.deep.equal([...CHECKS]);
    expect(report.checks.filter(({ outcome }) => outcome === 'failed')).to.deep.equal([]);
    expect(report.ok).to.equal(true);

    // What the bundle, the store and the ledger say of it is the same.
    const read = readBundle(bundle);
    const trail = read.trails.find(({ subject }) => subject === telling.keys.package)!;
    const { record } = trail.records.at(-1)!;
    expect(record.entry).to.deep.equal(scan.item['entry']);
    expect(record).to.include({ index: receipt!.index, at: receipt!.at });
    const { rows } = await parts().pool.query<{ body: string; leaf: string }>(
      'select body, leaf from record where station = $1 and n = $2',
      [scan.station, scan.n],
    );
    expect(rows).to.deep.equal([{ body: canonical(record), leaf: receipt!.leaf }]);
    expect(toBase64url(leafHash(utf8(rows[0]!.body), nodeSuite.sha256))).to.equal(receipt!.leaf);
    const subject = await ledgerValue<Subject>('CourierMSP', keyOf.subject(telling.keys.package));
    expect(subject).to.deep.include({ head: receipt!.leaf, seq: trail.records.length });
    const phone = await ledgerValue<{ key: string }>('CourierMSP', keyOf.station('phone'));
    expect(phone.key).to.equal(parts().stations['phone']!.signer.publicKey);

    // And the courier's whole log, recomputed from the stored records, has the ledger's root, which the bundle views.
    const log = await ledgerValue<Log>('CourierMSP', keyOf.log('CourierMSP'));
    const stored = await parts().pool.query<{ body: string }>(
      'select body from record where org = $1 order by index',
      ['CourierMSP'],
    );
    let frontier = EMPTY;
    for (const one of stored.rows)
      frontier = append(frontier, leafHash(utf8(one.body), nodeSuite.sha256), nodeSuite.sha256);
    expect({ size: frontier.size, root: toBase64url(root(frontier, nodeSuite.sha256)) }).to.deep.equal({
      size: log.size,
      root: log.root,
    });
    expect(read.logs.values.get(keyOf.log('CourierMSP'))).to.deep.equal(log);
  });

  it('and the page says it too, without a login, without JavaScript, and without what is not everybody’s', async () => {
    const page = await (await fetch(`${served.access.url}/p/${telling.token}`)).text();
    expect(page).to.contain('中转');
    expect(page).to.contain('CourierMSP 中文');
    for (const secret of ['旋覆花', 'DEMO-', 'YD20417', 'HUB-021', 'TJ012', telling.keys.prescription])
      expect(page).not.to.contain(secret);
  });

  it('one byte changed on the way makes the check fail and names the place', async () => {
    const bundle: Bundle = await fetchBundle(served.access.url, telling.token);
    const box = bundle.trails.findIndex(({ subject }) => subject === telling.keys.package);
    const last = bundle.trails[box]!.records.length - 1;
    const record = bundle.trails[box]!.records[last]!.record as LedgerRecord;
    const [date] = record.entry.time.split('T');
    record.entry = { ...record.entry, time: `${date}T00:00Z` };
    const report = await checked(bundle, telling.token);
    expect(report.ok).to.equal(false);
    const failed = report.checks.filter(({ outcome }) => outcome === 'failed');
    expect(failed.map(({ id }) => id)).to.include.members(['signatures', 'trail', 'inclusion']);
    expect(failed.find(({ id }) => id === 'signatures')!.detail).to.contain(`/trails/${box}/records/${last}`);
  });

  it('the whole reference story, played over HTTP by four organisations, settles and verifies', async () => {
    const steps: string[] = [];
    const { token, receipts, keys } = await play(served.access, {
      onStep: ({ statement }) => void steps.push(statement.step),
    });
    expect(steps).to.deep.equal(telling.told.map(({ statement }) => statement.step));
    expect(new Set(receipts.map(({ outcome }) => outcome))).to.deep.equal(new Set(['settled']));
    expect(latestDay(Date.now()) < new Date().toISOString()).to.equal(true);
    const bundle = await fetchBundle(served.access.url, token);
    expect(bundle.trails.map(({ subject }) => subject)).to.deep.equal([keys.fulfilment, keys.package]);
    expect((await checked(bundle, token)).ok).to.equal(true);
    // Another box's code does not open it.
    const other = await checked(bundle, telling.token);
    expect(other.ok).to.equal(false);
    expect(other.checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).to.deep.equal([
      'box',
    ]);
  });
});
