import { MEMBER_KINDS, type MemberKind } from './profile.ts';

/** A member of the consortium: its name on the ledger and what it does. */
export interface Organisation {
  readonly mspId: string;
  readonly kind: MemberKind;
}

export const DEFAULT_ORGANISATIONS: readonly Organisation[] = [
  { mspId: 'HospitalMSP', kind: 'hospital' },
  { mspId: 'DecoctionMSP', kind: 'decoction' },
  { mspId: 'CourierMSP', kind: 'courier' },
  { mspId: 'RegulatorMSP', kind: 'regulator' },
];

/** Reads `HospitalMSP:hospital,DecoctionMSP:decoction,…`. Throws a sentence for a person. */
export function parseOrganisations(text: string): Organisation[] {
  const organisations = text.split(',').map(parseOrganisation);
  if (new Set(organisations.map(({ mspId }) => mspId)).size < organisations.length) {
    throw new Error(`--organisations names an organisation twice: ${text}`);
  }
  return organisations;
}

/** Reads `HospitalMSP:hospital`. Throws a sentence for a person. */
export function parseOrganisation(text: string): Organisation {
  const [mspId = '', name, ...rest] = text.split(':');
  const kind = MEMBER_KINDS.find((known) => known === name);
  // The name becomes a folder's name.
  if (!/^[A-Za-z][A-Za-z0-9-]*$/.test(mspId) || !kind || rest.length > 0) {
    throw new Error(
      `an organisation is written NAME:KIND, with a KIND of ${MEMBER_KINDS.join(', ')}; not "${text}"`,
    );
  }
  return { mspId, kind };
}
