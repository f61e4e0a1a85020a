import { createHash } from 'node:crypto';
import { common, ledger, peer } from '@hyperledger/fabric-protos';
import timestampPb from 'google-protobuf/google/protobuf/timestamp_pb.js';
import { certify, newDevelopmentCa } from '@yaoji/network/identities/certify';
import { newSigner, type Signer } from '@yaoji/network/identities/signer';
import { canonical, type Json } from '@yaoji/chaincode/core';

// Views without a running ledger: Fabric's own messages and real certificates, so that verify() has everything to check.

/** An organisation whose peer endorses views. */
export interface Endorser {
  readonly mspId: string;
  /** PEM */
  readonly ca: string;
  readonly peer: Signer;
  readonly client: Signer;
}

export async function newEndorser(mspId: string): Promise<Endorser> {
  const ca = await newDevelopmentCa(mspId);
  const issue = async (name: string, ou: 'peer' | 'client'): Promise<Signer> => {
    const { certificate, key } = await certify(ca, { name, ou });
    return newSigner(mspId, certificate, key);
  };
  return {
    mspId,
    ca: ca.certificate,
    peer: await issue('peer', 'peer'),
    client: await issue('service', 'client'),
  };
}

/** What is asked, and what the peers see. */
export interface ViewPlan {
  readonly channel: string;
  readonly chaincode: string;
  /** the contract's function, and its arguments */
  readonly call: readonly [name: string, ...args: string[]];
  /** what it answers */
  readonly answer: string;
  /** the versions of the keys that it read; undefined for a key that does not exist */
  readonly reads: readonly (readonly [key: string, version: number | undefined])[];
  /** ms since the epoch */
  readonly timestamp: number;
  readonly nonce: Uint8Array;
  readonly endorsers: readonly Endorser[];
}

/** The common.Payload of a transaction that the endorsers' peers signed. */
export function viewBytes({
  channel,
  chaincode,
  call,
  answer,
  reads,
  timestamp,
  nonce,
  endorsers,
}: ViewPlan): Uint8Array {
  const id = new peer.ChaincodeID();
  id.setName(chaincode);
  const extension = new peer.ChaincodeHeaderExtension();
  extension.setChaincodeId(id);
  const time = new timestampPb.Timestamp();
  time.setSeconds(Math.floor(timestamp / 1000));
  time.setNanos((timestamp % 1000) * 1e6);

  const creator = endorsers[0]!.client.identity;
  const channelHeader = new common.ChannelHeader();
  channelHeader.setType(common.HeaderType.ENDORSER_TRANSACTION);
  channelHeader.setTimestamp(time);
  channelHeader.setChannelId(channel);
  channelHeader.setTxId(createHash('sha256').update(nonce).update(creator).digest('hex'));
  channelHeader.setExtension$(extension.serializeBinary());
  const signatureHeader = new common.SignatureHeader();
  signatureHeader.setCreator(creator);
  signatureHeader.setNonce(nonce);

  const input = new peer.ChaincodeInput();
  input.setArgsList(call.map((text) => Buffer.from(text)));
  const spec = new peer.ChaincodeSpec();
  spec.setType(peer.ChaincodeSpec.Type.NODE);
  spec.setChaincodeId(id);
  spec.setInput(input);
  const invocation = new peer.ChaincodeInvocationSpec();
  invocation.setChaincodeSpec(spec);
  const proposal = new peer.ChaincodeProposalPayload();
  proposal.setInput(invocation.serializeBinary());

  const answered = new peer.ChaincodeID();
  answered.setName(chaincode);
  answered.setVersion('1');
  const response = new peer.Response();
  response.setStatus(200);
  response.setPayload(Buffer.from(answer));
  const action = new peer.ChaincodeAction();
  action.setResults(readSet(chaincode, reads));
  action.setResponse(response);
  action.setChaincodeId(answered);
  const responsePayload = new peer.ProposalResponsePayload();
  responsePayload.setProposalHash(
    createHash('sha256')
      .update(channelHeader.serializeBinary())
      .update(signatureHeader.serializeBinary())
      .update(proposal.serializeBinary())
      .digest(),
  );
  responsePayload.setExtension$(action.serializeBinary());

  const endorsed = new peer.ChaincodeEndorsedAction();
  endorsed.setProposalResponsePayload(responsePayload.serializeBinary());
  endorsed.setEndorsementsList(
    endorsers.map(({ peer: signer }) => {
      const endorsement = new peer.Endorsement();
      endorsement.setEndorser(signer.identity);
      endorsement.setSignature(
        signer.sign(Buffer.concat([responsePayload.serializeBinary(), signer.identity])),
      );
      return endorsement;
    }),
  );
  const actionPayload = new peer.ChaincodeActionPayload();
  actionPayload.setChaincodeProposalPayload(proposal.serializeBinary());
  actionPayload.setAction(endorsed);
  const transactionAction = new peer.TransactionAction();
  transactionAction.setHeader(signatureHeader.serializeBinary());
  transactionAction.setPayload(actionPayload.serializeBinary());
  const transaction = new peer.Transaction();
  transaction.setActionsList([transactionAction]);

  const header = new common.Header();
  header.setChannelHeader(channelHeader.serializeBinary());
  header.setSignatureHeader(signatureHeader.serializeBinary());
  const payload = new common.Payload();
  payload.setHeader(header);
  payload.setData(transaction.serializeBinary());
  return payload.serializeBinary();
}

function readSet(namespace: string, reads: ViewPlan['reads']): Uint8Array {
  const set = new ledger.rwset.kvrwset.KVRWSet();
  set.setReadsList(
    reads.map(([key, block]) => {
      const read = new ledger.rwset.kvrwset.KVRead();
      read.setKey(key);
      if (block !== undefined) {
        const version = new ledger.rwset.kvrwset.Version();
        version.setBlockNum(block);
        read.setVersion(version);
      }
      return read;
    }),
  );
  const of = new ledger.rwset.NsReadWriteSet();
  of.setNamespace(namespace);
  of.setRwset(set.serializeBinary());
  const all = new ledger.rwset.TxReadWriteSet();
  all.setDataModel(ledger.rwset.TxReadWriteSet.DataModel.KV);
  all.setNsRwsetList([of]);
  return all.serializeBinary();
}

/** A view of some keys as the contract's View answers it. */
export function stateView(
  keys: readonly string[],
  values: ReadonlyMap<string, string>,
  versions: ReadonlyMap<string, number>,
  plan: Omit<ViewPlan, 'call' | 'answer' | 'reads'>,
): Uint8Array {
  const present = keys.filter((key) => values.has(key));
  const answer = Object.fromEntries(present.map((key) => [key, JSON.parse(values.get(key)!) as Json]));
  return viewBytes({
    ...plan,
    call: ['View', canonical([...keys])],
    answer: canonical(answer),
    reads: [...new Set(keys)].sort().map((key) => [key, versions.get(key)]),
  });
}
