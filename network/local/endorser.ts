import { setTimeout as sleep } from 'node:timers/promises';

import { peer } from '@hyperledger/fabric-protos';

import type { Membership } from '../identities/membership.ts';
import type { OrganisationIdentities } from '../identities/organisation.ts';
import type { Signer } from '../identities/signer.ts';
import type { ChaincodeStream, InvocationResult } from './chaincode-stream.ts';
import type { Faults } from './faults.ts';
import type { Ledger } from './ledger.ts';
import { CHAINCODE, QSCC } from './names.ts';
import { checkProposal, Refused, type Proposal } from './proposal.ts';
import { query } from './qscc.ts';
import { Simulation } from './simulation.ts';

/** A peer's answer to a proposal. */
export interface Endorsed {
  readonly response: peer.Response;
  /** A serialised ProposalResponsePayload: what all endorsers must agree on, byte for byte. */
  readonly payload: Uint8Array;
  readonly endorsement: peer.Endorsement;
}

/** What an organisation's peer does with a proposal: check it, run the contract, sign what came out. */
export class Endorser {
  readonly mspId: string;
  readonly #signer: Signer;
  readonly #ledger: Ledger;
  readonly #members: Membership;
  readonly #chaincode: ChaincodeStream;
  readonly #faults: Faults;
  #reached = 0;

  constructor(
    organisation: OrganisationIdentities,
    ledger: Ledger,
    members: Membership,
    chaincode: ChaincodeStream,
    faults: Faults,
  ) {
    this.mspId = organisation.mspId;
    this.#signer = organisation.peer;
    this.#ledger = ledger;
    this.#members = members;
    this.#chaincode = chaincode;
    this.#faults = faults;
  }

  /** Whether the peer is away. */
  get isAway(): boolean {
    return this.#faults.settings.refuseEndorsing.includes(this.mspId);
  }

  /** The peer has so many blocks, and will not be seen behind them again. */
  reached(height: number): void {
    this.#reached = Math.max(this.#reached, height);
  }

  /**
   * Endorses a proposal as of a height, which the caller must hold. Throws Refused when the peer refuses, an Error with
   * Fabric's text when the contract does.
   */
  async endorse(proposal: Proposal, newest: number): Promise<Endorsed> {
    const { delayEndorsing } = this.#faults.settings;
    if (delayEndorsing > 0) await sleep(delayEndorsing);
    if (this.isAway) throw new Refused('nobody', 'connection refused');
    const height = this.#standsAt(newest);
    checkProposal(proposal, this.#members, (txId) => this.#ledger.place(txId, height) !== undefined);
    if (proposal.chaincode === QSCC) {
      const response = await query(this.#ledger, proposal.input.getArgsList_asU8(), height);
      return this.#sign(proposal, { response, event: undefined }, new Uint8Array());
    }
    if (proposal.chaincode !== CHAINCODE)
      throw new Refused('peer', `chaincode ${proposal.chaincode} not found`);
    const simulation = new Simulation(this.#ledger.state, height);
    try {
      const result = await this.#invoke(proposal, simulation);
      return this.#sign(proposal, result, simulation.serialize());
    } finally {
      simulation.end();
    }
  }

  // A peer never goes back: one that begins to lag stays where it is until it is one block behind.
  #standsAt(newest: number): number {
    const lags = this.#faults.settings.lag.includes(this.mspId);
    const height = lags ? Math.max(this.#reached, this.#ledger.height - 1) : newest;
    this.reached(height);
    return height;
  }

  async #invoke({ txId, input, signed }: Proposal, simulation: Simulation): Promise<InvocationResult> {
    try {
      return await this.#chaincode.invoke({ txId, input, proposal: signed, simulation });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Refused('peer', `error in simulation: ${reason}`, { cause: error });
    }
  }

  #sign(proposal: Proposal, { response, event }: InvocationResult, results: Uint8Array): Endorsed {
    const status = response.getStatus();
    // The contract refused: such an answer is not signed (core/endorser/endorser.go).
    if (status < 200 || status >= 400)
      throw new Error(`chaincode response ${status}, ${response.getMessage()}`);
    const payload = newResponsePayload(proposal, response, event, results);
    const endorsement = new peer.Endorsement();
    endorsement.setEndorser(this.#signer.identity);
    endorsement.setSignature(this.#signer.sign(Buffer.concat([payload, this.#signer.identity])));
    return { response, payload, endorsement };
  }
}

function newResponsePayload(
  { chaincode, hash }: Proposal,
  response: peer.Response,
  event: peer.ChaincodeEvent | undefined,
  results: Uint8Array,
): Uint8Array {
  const id = new peer.ChaincodeID();
  id.setName(chaincode);
  id.setVersion('1');
  const action = new peer.ChaincodeAction();
  action.setResults(results);
  if (event) action.setEvents(event.serializeBinary());
  action.setResponse(response);
  action.setChaincodeId(id);
  const payload = new peer.ProposalResponsePayload();
  payload.setProposalHash(hash);
  payload.setExtension$(action.serializeBinary());
  return payload.serializeBinary();
}
