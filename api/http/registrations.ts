import { ROLES, stationSchema, type Json, type Role } from '@yaoji/chaincode/core';
import type { RequestHandler } from 'express';
import * as z from 'zod/mini';
import type { Service } from '../service.ts';
import { jsonOf } from './body.ts';
import { schemaProblem } from './problems.ts';
import { principalOf } from './context.ts';

const { site, key } = stationSchema.shape;
const roles = z.array(z.enum(Object.keys(ROLES) as [Role, ...Role[]])).check(
  z.minLength(1),
  z.maxLength(Object.keys(ROLES).length),
  z.refine((all) => new Set(all).size === all.length, 'each role stands once'),
);

/** The body of POST /v1/stations. */
export const stationRequestSchema = z.strictObject({ station: site, site, roles, key: z.optional(key) });

/** The body of POST /v1/devices: the device's random subject key. */
export const deviceRequestSchema = z.strictObject({
  device: z.string().check(z.regex(/^[A-Za-z0-9_-]{21}[AQgw]$/)),
});

/** POST /v1/stations: enrols a station; without a key the service makes one and holds it. The same again: the same answer. */
export const postStation =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const { key: given, ...request } = parsed(stationRequestSchema, jsonOf(req));
    const station = given === undefined ? request : { ...request, key: given };
    res.status(201).json(await service.enrolStation(principalOf(res), station));
  };

/** POST /v1/stations/{station}/revoke: what it says from now on is refused. Again: no change. */
export const postRevocation =
  (service: Service): RequestHandler<{ station: string }> =>
  async ({ params: { station } }, res) => {
    await service.revokeStation(principalOf(res), station);
    res.status(204).end();
  };

/** POST /v1/devices: registers a device, idle and clean. Again: no change. */
export const postDevice =
  (service: Service): RequestHandler =>
  async (req, res) => {
    const { device } = parsed(deviceRequestSchema, jsonOf(req));
    await service.registerDevice(principalOf(res), device);
    res.status(201).json({ device });
  };

function parsed<T extends z.ZodMiniType>(schema: T, body: Json): z.infer<T> {
  const result = schema.safeParse(body);
  if (!result.success) throw schemaProblem(result.error, body);
  return result.data;
}
