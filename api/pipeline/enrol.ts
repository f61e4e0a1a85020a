import { at as keyOf } from '@yaoji/chaincode/core';
import { register } from '../ledger/register.ts';
import type { Principal, StationRequest } from '../service.ts';
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
  await register(pipeline.ledger, org, 'EnrolStation', { station, site, roles, key: publicKey, hosted });
  await refreshRegistry(pipeline, org, [keyOf.station(station), keyOf.member(org), keyOf.site(org, site)]);
  return { station, key: publicKey, hosted };
}

/** Revokes a station of the principal's organisation. Repeatable. */
export async function revokeStation(pipeline: Pipeline, { org }: Principal, station: string): Promise<void> {
  await register(pipeline.ledger, org, 'RevokeStation', station);
  await refreshRegistry(pipeline, org, [keyOf.station(station)]);
}

/** Registers a device of the principal's organisation by its subject key. Repeatable: a device in use stays as it is. */
export async function registerDevice(pipeline: Pipeline, { org }: Principal, device: string): Promise<void> {
  await register(pipeline.ledger, org, 'RegisterDevice', { device });
  const known = await pipeline.pool.query('select from world where key = $1', [keyOf.subject(device)]);
  // The mirror of a device that was used already is ahead of or behind the ledger with its batches: leave it to them.
  if (known.rowCount === 0) await refreshRegistry(pipeline, org, [keyOf.subject(device)]);
}
