import { checkExpiry } from '../identities/expiry.ts';
import {
  certificatesOf,
  openMember,
  type MemberIdentities,
  type PublicIdentities,
} from '../identities/member.ts';
import type { MemberLayout, Places } from './layout.ts';
import { writeMspFolders, type MspFolders, type PublicMspFolders } from './msp.ts';
import { HOST } from './ports.ts';
import { writeWallet } from './wallet.ts';
import { join } from 'node:path';

/** What everybody may know of a member. */
export interface PublicMember {
  readonly layout: MemberLayout;
  readonly identities: PublicIdentities;
  readonly msp: PublicMspFolders;
}

/** A member of the network as its folder has it. */
export interface Member extends PublicMember {
  readonly identities: MemberIdentities;
  readonly msp: MspFolders;
}

/** How a member's own programs call its nodes. */
const LOCAL_NAMES = [HOST, 'localhost'];

/**
 * Opens the members' folders: issues what is missing and writes it as Fabric and fabric-network want it. Throws
 * CertificateExpired, naming the certificates, when some have expired or are about to; `warn` is told of those that have
 * some weeks left.
 */
export async function openMembers(
  places: Places,
  layouts: readonly MemberLayout[],
  warn: (line: string) => void,
): Promise<Member[]> {
  const members = await Promise.all(layouts.map((layout) => open(places, layout)));
  const certificates = members.flatMap(({ identities }) => certificatesOf(identities));
  for (const line of checkExpiry(certificates, new Date())) warn(line);
  return members;
}

async function open(places: Places, layout: MemberLayout): Promise<Member> {
  const folder = places.member(layout.mspId);
  const identities = await openMember(folder, layout.mspId, namesOf(layout));
  writeWallet(join(folder, 'wallet'), identities);
  return { layout, identities, msp: writeMspFolders(folder, identities) };
}

function namesOf({ host }: MemberLayout): string[] {
  return [...new Set([...(host ? [host.name] : []), ...LOCAL_NAMES])];
}
