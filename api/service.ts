import type { SchemaFault } from './schema-faults.ts';
import type { PackagePage } from '@yaoji/web/page';
import type { AnchorState } from './store/anchors.ts';
import type { Bundle, Json, Kind, Mark, Reader, Refusal, Role, Trust } from '@yaoji/chaincode/core';

// What the HTTP side asks of the rest: every verb it may call, and what it gets back.

/** Who is asking: an API key, scoped to one organisation and site. */
export interface Principal {
  /** the key's id, never its secret */
  id: string;
  org: string;
  kind: Kind;
  site: string;
  /** a recorder posts events and reads receipts; a registrar enrols and revokes stations and devices */
  role: 'recorder' | 'registrar';
}

/** What became of an event that is stored. It is the same answer however often it is asked for. */
export interface Receipt {
  station: string;
  n: number;
  step: string;
  subject: string;
  /**
   * pending: stored, no verdict yet · held: stored, waits for the other side of a handover · settled: the ledger accepted
   * it · refused: by the ledger, or by the service before it got there
   */
  outcome: 'pending' | 'held' | 'settled' | 'refused';
  /** when refused */
  code?: Refusal;
  by?: 'ledger' | 'service';
  /** when settled: its place in its organisation's log, its leaf hash (base64url), the transaction's minute */
  index?: number;
  leaf?: string;
  at?: string;
  /** the checks that found what was done outside the process rules: it is stored all the same */
  marks?: Mark[];
}

/** Why an item was not even stored: its n is still free. */
export interface Rejection {
  code:
    | Refusal
    | 'N_CONFLICT'
    | 'PRINCIPAL_FOREIGN'
    | 'STATION_NOT_HOSTED'
    | 'ITEM_MALFORMED'
    | SchemaFault['code']
    | 'DISCLOSURE_FOREIGN';
  /** JSON pointer into the item */
  pointer: string;
  detail: string;
}
export type ItemAnswer = { receipt: Receipt; rejection?: never } | { rejection: Rejection; receipt?: never };

export interface StationRequest {
  station: string;
  site: string;
  roles: Role[];
  /** DER SubjectPublicKeyInfo of a P-256 key, base64url; absent: the service makes and holds the key */
  key?: string;
}
/** A ledger's refusal of a registration, with the contract's code. */
export class RegistrationRefused extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}
/** The ledger cannot be reached or did not answer in time: nothing is known to have failed, asking again is safe. */
export class LedgerUnavailable extends Error {}
/**
 * The store cannot be reached or cannot do it now. Whether something was stored is open only where the connection broke in the
 * middle of it: asking again (the same station and n) is safe, and tells.
 */
export class StoreUnavailable extends Error {}
/** So many events have no verdict that no more are taken for now. Nothing was stored. */
export class QueueFull extends Error {}

/** What came of the demand for an anchor. */
export interface AnchorAnswer {
  /** the anchor that holds, or comes closest to holding, what was recorded when it was demanded */
  seq?: number;
  state?: AnchorState['state'];
  /**
   * why there is no new one: NOTHING_NEW since the last · OLDER_PENDING, to be waited for · TOO_SOON after the last · LATER, as
   * another process is at it · or what delays anchoring
   */
  reason?: string;
}
/** Where the logs' checkpoints are published, and what delays it. */
export interface AnchorHealth {
  /** CAIP-2 */
  chain: string;
  contract: string;
  /** the newest anchor */
  seq?: number;
  state?: AnchorState['state'];
  /** a code of what delays anchoring now */
  trouble?: string;
}
/** No chain is configured: nothing is anchored. */
export class ChainAbsent extends Error {}

export interface Health {
  /** the store answers, migrations are in place */
  store: boolean;
  /** a peer sends the ledger's blocks, and the last batches went in; when not, scanning goes on */
  ledger: boolean;
  pending: number;
  /** logs that stopped because the ledger's answer differed from what the store recomputed, and why */
  stopped: { org: string; why: string }[];
  /** not there: no chain is configured, nothing is anchored */
  anchor?: AnchorHealth;
}

/** Every verb throws StoreUnavailable when the store is out, except `trust` and `health`. */
export interface Service {
  /** Stores what can be stored and answers per item, in order. Waits some seconds for the verdict of steps that decide a race. Throws QueueFull. */
  receive(principal: Principal, items: readonly Json[]): Promise<ItemAnswer[]>;
  /** undefined: the principal's organisation has no such event */
  receipt(principal: Principal, station: string, n: number): Promise<Receipt | undefined>;
  /**
   * The bundle of the box with this token for this reader, its heads viewed with the reader's own nonce (24 bytes) if there is
   * one; undefined: no such box. Throws LedgerUnavailable.
   */
  bundle(token: string, reader: Reader, nonce?: Uint8Array): Promise<Bundle | undefined>;
  packagePage(token: string): Promise<PackagePage | undefined>;
  /** Throws RegistrationRefused or LedgerUnavailable. `hosted`: whether the service holds the key. */
  enrolStation(
    principal: Principal,
    request: StationRequest,
  ): Promise<{ station: string; key: string; hosted: boolean }>;
  revokeStation(principal: Principal, station: string): Promise<void>;
  registerDevice(principal: Principal, device: string): Promise<void>;
  /** the principal of an API key's `id.secret`, or undefined; takes the same time for unknown ids and wrong secrets */
  principal(key: string): Promise<Principal | undefined>;
  /** Anchors what is recorded now, or says why not. Throws ChainAbsent. */
  demandAnchor(): Promise<AnchorAnswer>;
  /** undefined: there is no such anchor */
  anchor(seq: number): Promise<AnchorState | undefined>;
  trust(): Trust;
  health(): Promise<Health>;
  /** what the QR says before the token, without a trailing slash */
  publicUrl: string;
}
