import { setTimeout as sleep } from 'node:timers/promises';
import { at as keyOf } from '@yaoji/chaincode/core';
import { failpoint } from '../failpoints.ts';
import { register } from '../ledger/register.ts';
import type { Principal, StationRequest } from '../service.ts';
import { pendingOf } from '../store/queue.ts';
import type { Pipeline } from './context.ts';
import { refreshRegistry } from './registry.ts';

/** Enrols a station of the principal's organisation; without a key the service makes and holds one. Repeatable. */
export async function enrolStation(
  pipeline: Pipeline,
  { org }: Principal,
  { station, site, roles, key }: StationRequest,
): Promise<{ station: string; key: string; hosted: boolean }> {
  const hosted = key === undefined;
  const publicKey = key ?? pipeline.keys.publicKey(station);
  if (hosted) failpoint('key-written');
  await register(pipeline.ledger, org, 'EnrolStation', { station, site, roles, key: publicKey, hosted });
  failpoint('enrol-submitted');
  await refreshRegistry(pipeline, pipeline.pool, org, [
    keyOf.station(station),
    keyOf.member(org),
    keyOf.site(org, site),
  ]);
  failpoint('enrol-mirrored');
  return { station, key: publicKey, hosted };
}

/** How long a revocation waits for the verdicts of what was received before it, ms. */
const WAIT = 4_000;
const LOOK_EVERY = 100;

/**
 * Revokes a station of the principal's organisation. What was received from it before is judged first, if that is possible
 * within some seconds; after that the ledger refuses it. Repeatable.
 */
export async function revokeStation(pipeline: Pipeline, { org }: Principal, station: string): Promise<void> {
  const before = await pendingOf(pipeline.pool, org, station);
  if (before.length > 0 && !pipeline.failing(org)) {
    pipeline.nudge(org);
    for (const end = Date.now() + WAIT; Date.now() < end; await sleep(LOOK_EVERY)) {
      const pending = new Set(await pendingOf(pipeline.pool, org, station));
      if (!before.some((n) => pending.has(n))) break;
    }
  }
  await register(pipeline.ledger, org, 'RevokeStation', station);
  failpoint('revoke-submitted');
  await refreshRegistry(pipeline, pipeline.pool, org, [keyOf.station(station)]);
  failpoint('revoke-mirrored');
}

/** Registers a device of the principal's organisation by its subject key. Repeatable: a device in use stays as it is. */
export async function registerDevice(pipeline: Pipeline, { org }: Principal, device: string): Promise<void> {
  await register(pipeline.ledger, org, 'RegisterDevice', { device });
  failpoint('device-submitted');
  await refreshRegistry(pipeline, pipeline.pool, org, [keyOf.subject(device)]);
  failpoint('device-mirrored');
}
