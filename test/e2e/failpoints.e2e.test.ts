import { expect } from 'chai';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { FAILPOINTS, type Failpoint } from '@yaoji/api/failpoints';
import { proposeBatch, VALID } from '@yaoji/api/ledger/submit';
import { register } from '@yaoji/api/ledger/register';
import { readState } from '@yaoji/api/ledger/view';
import { readWorld } from '@yaoji/api/store/world';
import { at as keyOf, canonical, type Log, type Statement } from '@yaoji/chaincode/core';
import { SigningStation } from '@yaoji/scripts/client';
import { check } from '@yaoji/scripts/soak/check';
import { endsAsTold } from '../support/afterwards.ts';
import { freshDatabase, type TestDatabase } from '../support/database.ts';
import { startKillable, type Killable } from '../support/killable.ts';
import { PROVIDERS, type Provider } from '../support/ledger-under-test.ts';
import { Outbox, randomKey, Tale } from '../support/outbox.ts';
import { until } from '../support/service.ts';

const HIT_WITHIN = 60_000;

/** Points that are come to only after a death at another one. */
const AFTER: Partial<Record<Failpoint, Failpoint>> = { 'attempt-found': 'batch-ordered' };

/** Points that any traffic comes to, many times: it need not be the first time that kills. */
const OFTEN = /^(receive|turn|attempt-(before|after)|batch|settle)-/;

for (const provider of PROVIDERS)
  describe(`${provider.name}: the API killed with SIGKILL under traffic`, function () {
    deaths.call(this, provider);
  });

function deaths(this: Mocha.Suite, { name, kind, needed }: Provider): void {
  this.timeout(300_000);

  let database: TestDatabase;
  let world: Killable;
  const outbox = new Outbox();
  /** keys of the registry that must stand on the ledger and, the same, in the mirror */
  const registered: { org: string; key: string }[] = [];
  let longTale: Tale;
  let told = 0;
  let killed = 0;
  let startedFor = 0;
  let begun = 0;

  before(async function () {
    await needed(this);
    database = await freshDatabase();
    world = await startKillable(database.url, kind);
    begun = Date.now();
    longTale = new Tale(world.stations);
    await world.stations.centres[0]!.client.registerDevice(longTale.keys.device);
    await startFor(0);
  });
  after(async () => {
    if (!world) return;
    const all = Object.keys(FAILPOINTS).length;
    const seconds = Math.round((Date.now() - begun) / 1000);
    process.stdout.write(
      `${name}: killed at ${killed} of ${all} failpoints, ${outbox.events.length} events, ${outbox.repeats} repeats, ${seconds} s\n`,
    );
    await world.stop();
    await database.drop();
  });

  /** Several stations of several organisations at once; and where it takes more to come to a point, that as well. */
  const traffic = (round: number, point: Failpoint): Promise<unknown> =>
    Promise.all([
      shortTale(world.stations.centres[round % 2]!),
      longer(),
      ...(OFTEN.test(point) ? [race()] : [registrations(), elsewhere()]),
    ]);

  async function shortTale(centre: Killable['stations']['hospital']): Promise<void> {
    const tale = new Tale(world.stations, centre);
    await tale.tell(outbox, 'RX_ISSUED', 'RX_REVIEWED', 'RX_ROUTED', 'RX_ACCEPTED');
    // Its only use is used.
    const again = new Tale(world.stations, centre, tale.keys.prescription);
    await again.say(outbox, again.find('RX_ACCEPTED'), 'refused');
    await tale.tell(outbox, 'HERBS_DISPENSED', 'HERBS_CHECKED');
  }

  /** Two centres accept one prescription at once. */
  async function race(): Promise<void> {
    const prescription = randomKey();
    const tales = world.stations.centres.map((centre) => new Tale(world.stations, centre, prescription));
    const [tale] = tales;
    await tale!.tell(outbox, 'RX_ISSUED', 'RX_REVIEWED');
    const routed = tale!.find('RX_ROUTED');
    const centres = world.stations.centres.map(({ client }) => client.access.org);
    const statement = { ...routed.statement, payload: { ...routed.statement.payload, centres } };
    await outbox.say(tale!.speaker(routed), statement);
    await Promise.all(tales.map((one) => one.say(outbox, one.find('RX_ACCEPTED'), 'either')));
  }

  /** A hosted station and a device come, and the station goes. */
  async function registrations(): Promise<void> {
    const { client } = world.stations.hospital;
    const speaker = {
      client,
      station: new SigningStation(`hosted-${randomBytes(4).toString('hex')}`),
      hosted: true,
    };
    await outbox.again(() => client.enrol({ station: speaker.station.id, roles: ['PRESCRIBER'] }));
    await outbox.say(speaker, issuing());
    const device = randomKey();
    const centre = world.stations.centres[0]!.client;
    await outbox.again(() => centre.registerDevice(device));
    // What is pending at a revocation is refused with it.
    await outbox.decided(speaker);
    await outbox.revoke(speaker);
    await outbox.say(speaker, issuing(), 'refused');
    registered.push(
      { org: client.access.org, key: keyOf.station(speaker.station.id) },
      { org: centre.access.org, key: keyOf.subject(device) },
    );
  }

  /** A station comes and goes past this service: the mirror learns of it only when it needs to. */
  async function elsewhere(): Promise<void> {
    const { client } = world.stations.hospital;
    const { org, site } = client.access;
    const station = new SigningStation(`elsewhere-${randomBytes(4).toString('hex')}`);
    const enrolment = {
      station: station.id,
      site,
      roles: ['PRESCRIBER'],
      key: station.publicKey,
      hosted: false,
    };
    await register(world.ledger, org, 'EnrolStation', enrolment);
    await outbox.say({ client, station }, issuing());
    await outbox.decided({ client, station });
    await register(world.ledger, org, 'RevokeStation', station.id);
    await outbox.say({ client, station }, issuing(), 'refused');
    registered.push({ org, key: keyOf.station(station.id) });
  }

  const issuing = (): Omit<Statement, 'n'> => new Tale(world.stations).find('RX_ISSUED').statement;

  /** The whole story goes on through all these deaths, some steps at a time. */
  async function longer(): Promise<void> {
    const steps = longTale.told.slice(told, told + 2);
    told += steps.length;
    for (const step of steps) await longTale.say(outbox, step);
  }

  async function ended(): Promise<void> {
    await endsAsTold(world.pool, world.ledger, outbox.events, 60_000);
    for (const { org, key } of registered.splice(0)) {
      const onLedger = (await readState(world.ledger, org, [key])).get(key);
      expect(onLedger, key).not.to.equal(undefined);
      expect((await readWorld(world.pool, [key])).get(key), key).to.equal(onLedger);
    }
  }

  /** Resolves when the API, which runs and is armed with this point, has killed itself there. */
  async function dies(point: Failpoint): Promise<void> {
    const { api } = world;
    const dead = api.exited.then(() => true);
    const hit = await Promise.race([dead, sleep(HIT_WITHIN, false)]);
    if (!hit) throw new Error(`${point} was not hit in ${HIT_WITHIN} ms`);
    expect(await api.exited).to.deep.equal({ code: null, signal: 'SIGKILL' });
  }

  const points = Object.keys(FAILPOINTS) as (keyof typeof FAILPOINTS)[];
  /** Starts the API without what has killed it; what will kill it in this round sleeps in it. */
  async function startFor(round: number): Promise<void> {
    startedFor = round;
    const point = points[round];
    const hits = point && OFTEN.test(point) ? 1 + (round % 3) : 1;
    const armed = point && `${AFTER[point] ?? point}@${hits}:asleep`;
    await (
      await world.restartApi({ YAOJI_FAILPOINT: armed })
    ).ready;
  }

  for (const [round, point] of points.entries()) {
    if (point === 'stop-before-save') continue;
    it(`loses and doubles nothing when ${FAILPOINTS[point]} (${point})`, async () => {
      if (startedFor !== round) await startFor(round); // only some of these tests run
      process.kill(world.api.pid, 'SIGUSR2');
      const dying = async (): Promise<void> => {
        const earlier = AFTER[point];
        await dies(earlier ?? point);
        if (earlier) {
          await world.restartApi({ YAOJI_FAILPOINT: point });
          await dies(point);
        }
        killed++;
        await startFor(round + 1);
      };
      await Promise.all([traffic(round, point), dying()]);
      await ended();
    });
  }

  it(`stops a log that differs even if ${FAILPOINTS['stop-before-save']} (stop-before-save)`, async () => {
    // Somebody else writes into the second centre's log. From here on nobody uses it any more.
    const { client, stations } = world.stations.centres[1]!;
    const { org, site } = client.access;
    const tale = new Tale(world.stations, world.stations.centres[1]);
    await tale.tell(outbox, 'RX_ISSUED', 'RX_REVIEWED', 'RX_ROUTED');
    await ended();
    if (startedFor !== points.length - 1) await startFor(points.length - 1);
    process.kill(world.api.pid, 'SIGUSR2');
    const station = [...stations.values()][0]!;
    const foreign = station.item({ ...issuing(), org, site, station: station.id, n: 4_000 });
    const after = await lastBatch(org);
    const batch = await proposeBatch(world.ledger, org, after, [canonical(foreign.entry)]).endorse();
    expect(await batch.submit()).to.equal(VALID);

    const overtaken = new Outbox();
    const accepting = tale.find('RX_ACCEPTED');
    const dying = dies('stop-before-save').then(() => startFor(points.length));
    await Promise.all([tale.say(overtaken, accepting), dying]);
    killed++;
    const stopped = async (): Promise<string[]> =>
      (await world.pool.query<{ org: string }>('select org from stopped_log')).rows.map((row) => row.org);
    await until('its log is stopped', async () => (await stopped()).includes(org));
    expect(await stopped()).to.deep.equal([org]);
    const { station: id, n } = overtaken.events[0]!;
    expect(await client.receipt(id, n)).to.include({ outcome: 'pending' });
  });

  it('and all of it, compared with the blocks, is as it was answered', async () => {
    expect(killed).to.equal(points.length);
    expect(longTale.told.length - told, 'steps of the long story that were not told').to.equal(0);
    const { databaseUrl, profile } = world.instance;
    const { differences } = await check({ databaseUrl, profile }, outbox.events);
    expect(
      differences.filter((difference) => !difference.includes(world.stations.centres[1]!.client.access.org)),
    ).to.deep.equal([]);
  });

  async function lastBatch(org: string): Promise<number> {
    const text = (await readState(world.ledger, org, [keyOf.log(org)])).get(keyOf.log(org));
    return text === undefined ? 0 : (JSON.parse(text) as Log).batch;
  }
}
