import { certify, newDevelopmentCa, type Subject } from './certify.ts';
import { ensureIssued, readIssued } from './files.ts';
import { readSigner, type IdentityFiles, type Signer } from './signer.ts';
import { ADMIN, ORDERER, PEER, SERVICE } from './subjects.ts';

/** One organisation of a development network, with every key it has. */
export interface OrganisationIdentities {
  readonly mspId: string;
  /** The CA's certificate, PEM. */
  readonly ca: string;
  readonly peer: Signer;
  readonly orderer: Signer;
  /** Who may write: the API's own identity, and the one that enrols and revokes stations. */
  readonly clients: { readonly service: IdentityFiles; readonly admin: IdentityFiles };
}

/**
 * Opens the organisation whose certificates and keys lie in a folder, and issues those that are missing. Keys are
 * readable by their owner only. The same folder always gives the same organisation.
 */
export async function openOrganisation(folder: string, mspId: string): Promise<OrganisationIdentities> {
  const ca = readIssued(await ensureIssued(folder, 'ca', () => newDevelopmentCa(mspId)));
  const issue = (subject: Subject) => ensureIssued(folder, subject.name, () => certify(ca, subject));
  return {
    mspId,
    ca: ca.certificate,
    peer: readSigner(mspId, await issue(PEER)),
    orderer: readSigner(mspId, await issue(ORDERER)),
    clients: { service: await issue(SERVICE), admin: await issue(ADMIN) },
  };
}
