import type { Subject } from './certify.ts';

// Who there is in every organisation, on the local ledger and on a real one.

export const PEER: Subject = { name: 'peer', ou: 'peer' };
export const ORDERER: Subject = { name: 'orderer', ou: 'orderer' };
/** The API's own identity. */
export const SERVICE: Subject = { name: 'service', ou: 'client', attributes: { role: 'service' } };
/** Who enrols and revokes stations, and signs what the organisation agrees to. */
export const ADMIN: Subject = { name: 'admin', ou: 'admin', attributes: { role: 'admin' } };
