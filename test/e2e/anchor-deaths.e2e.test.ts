import { expect } from 'chai';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectChain, type Chain } from '@yaoji/api/chain/chain';
import { connectRpc } from '@yaoji/api/chain/rpc';
import { ANCHOR_FAILPOINTS } from '@yaoji/api/failpoints';
import { startAnchorChain, type AnchorChain } from '../support/chain.ts';
import { walletSigner } from '../support/wallet.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startKillable, type Killable } from '../support/killable.ts';
import { Outbox, Tale } from '../support/outbox.ts';
import { until } from '../support/service.ts';

const HIT_WITHIN = 60_000;
const CONFIRMATIONS = 20;

type Point = keyof typeof ANCHOR_FAILPOINTS;

describe('the API killed with SIGKILL while it anchors', function () {
  this.timeout(180_000);
  let database: TestDatabase;
  let world: Killable;
  let chain: AnchorChain;
  let client: Chain;
  const outbox = new Outbox();
  let killed = 0;

  before(async () => {
    [database, chain] = await Promise.all([freshDatabase(), startAnchorChain()]);
    const place = { id: 31_337, contract: chain.contract };
    client = connectChain(connectRpc(chain.anvil.url), walletSigner(chain.operator), place);
    world = await startKillable(database.url);
    chain.writeKey(join(world.folder, 'operator.key'));
    await startFor(0);
  });
  after(async () => {
    await world?.stop();
    await chain?.anvil.stop();
    await database?.drop();
  });

  const points = Object.keys(ANCHOR_FAILPOINTS) as Point[];
  /** Starts the API without what has killed it; what will kill it in this round sleeps in it. */
  async function startFor(round: number): Promise<void> {
    const point = points[round];
    const api = await world.restartApi({
      CHAIN_RPC: chain.anvil.url,
      CHAIN_ID: '31337',
      CHAIN_CONTRACT: chain.contract,
      CHAIN_KEY: join(world.folder, 'operator.key'),
      CHAIN_CONFIRMATIONS: String(CONFIRMATIONS),
      ANCHOR_EVERY: '1',
      YAOJI_FAILPOINT: point && `${point}@1:asleep`,
    });
    await api.ready;
  }

  async function record(): Promise<void> {
    const tale = new Tale(world.stations);
    const told = tale.find('RX_ISSUED');
    await tale.say(outbox, told);
    await outbox.decided(tale.speaker(told));
  }

  /** Whether the newest anchor is in a block and holds everything that is recorded. */
  async function isAnchored(): Promise<boolean> {
    const { rows } = await world.pool.query<{ anchored: boolean }>(
      `select not exists (select from anchor_open where inclusion is null)
         and (select count(*) from record) =
             (select coalesce(sum(size), 0) from anchor_log where anchor = (select max(id) from anchor)) as anchored`,
    );
    return rows[0]!.anchored;
  }

  /** One transaction for each anchor, and each root under its number. */
  async function isWhole(): Promise<void> {
    const { rows } = await world.pool.query<{ seq: number; root: Buffer }>(
      'select seq::int, root from anchor order by seq',
    );
    expect(rows.map(({ seq }) => seq)).to.deep.equal(rows.map((_, i) => i + 1));
    for (const { seq, root } of rows)
      expect(await client.rootOf(seq), `anchor ${seq}`).to.equal(`0x${root.toString('hex')}`);
    expect(await client.nonce(), 'the deployment and one transaction for each anchor').to.equal(
      1 + rows.length,
    );
  }

  /** What it takes to come to a point, besides something new. */
  const BEFORE: Partial<Record<Point, () => Promise<unknown>>> = {
    'anchor-lost': () => chain.anvil.rpc('anvil_reorg', 1, []),
    'anchor-finished': () => chain.anvil.rpc('anvil_mine', `0x${CONFIRMATIONS.toString(16)}`),
  };

  for (const [round, point] of points.entries())
    it(`makes each anchor once when ${ANCHOR_FAILPOINTS[point]} (${point})`, async () => {
      await record();
      await until('all is anchored', isAnchored, HIT_WITHIN);
      const { api } = world;
      process.kill(api.pid, 'SIGUSR2');
      const dead = (async () => {
        const hit = await Promise.race([api.exited.then(() => true), sleep(HIT_WITHIN, false)]);
        if (!hit) throw new Error(`${point} was not hit in ${HIT_WITHIN} ms`);
        expect(await api.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
        killed++;
        await startFor(round + 1);
      })();
      // Events settle meanwhile: they are said again until they are answered.
      await Promise.all([dead, BEFORE[point]?.() ?? record()]);
      await record();
      await until('all is anchored', isAnchored, HIT_WITHIN);
      await isWhole();
    });

  it('and was killed at every one of these places', () => {
    expect(killed).to.equal(points.length);
    expect(outbox.events.every(({ receipt }) => receipt !== undefined)).to.equal(true);
  });
});
