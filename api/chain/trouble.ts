/** What can be wrong with the chain, its node, our key or our wallet: why anchoring waits. */
export type TroubleCode =
  | 'NODE_UNREACHABLE' // no connection, or it broke
  | 'NODE_SLOW' // no whole answer within the time limit
  | 'NODE_GARBAGE' // an answer that is none: another status, no JSON-RPC, a value of another form, too long
  | 'NODE_REFUSED' // an error of JSON-RPC
  | 'NODE_BEHIND' // it does not know a block that it, or another node, has shown us
  | 'CHAIN_OTHER' // the node is of another chain
  | 'CONTRACT_MISSING' // no code stands at the contract's address
  | 'CONTRACT_OTHER' // other code than ours stands there
  | 'OPERATOR_OTHER' // the contract takes roots from another key than ours
  | 'KEY_FILE_OPEN' // others than its owner can read the file with the key
  | 'KEY_FILE_BAD' // there is no such file, or no key in it
  | 'SIGNER_TROUBLE' // the signer's endpoint gives no answer, or signs something else
  | 'WALLET_EMPTY' // it cannot pay for the next transaction
  | 'FEE_TOO_HIGH' // the node asks for more than is ever paid
  | 'TRANSACTION_STUCK' // no block takes our transaction, though all replacements are made
  | 'EVIDENCE_WRONG' // header, receipts and event do not belong together
  | 'SEQ_TAKEN'; // the chain has another root under this sequence number

/** Why something could not be done on the chain: `code` for machines, the sentence for people. Quotes no URL and no key. */
export class ChainTrouble extends Error {
  override name = 'ChainTrouble';
  readonly code: TroubleCode;
  constructor(code: TroubleCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
