import { common } from '@hyperledger/fabric-protos';

import { sha256 } from '../identities/signature.ts';
import type { Signer } from '../identities/signer.ts';

export const { SIGNATURES, TRANSACTIONS_FILTER, COMMIT_HASH } = common.BlockMetadataIndex;
const METADATA_FIELDS = 5;
const NONCE_BYTES = 24;

/** The bytes that a block's hash is taken of: DER SEQUENCE { number, previous hash, data hash } (protoutil/blockutils.go). */
export function headerBytes(header: common.BlockHeader): Buffer {
  return der(
    0x30,
    Buffer.concat([
      der(0x02, derNumber(header.getNumber())),
      der(0x04, header.getPreviousHash_asU8()),
      der(0x04, header.getDataHash_asU8()),
    ]),
  );
}

/** A block's hash, which the next block names. */
export function headerHash(header: common.BlockHeader): Buffer {
  return sha256(headerBytes(header));
}

/** The hash of a block's envelopes: of all of them one after the other, without lengths. */
export function dataHash(envelopes: readonly Uint8Array[]): Buffer {
  return sha256(...envelopes);
}

/** A block with empty metadata. */
export function newBlock(number: number, previousHash: Uint8Array, envelopes: Uint8Array[]): common.Block {
  const header = new common.BlockHeader();
  header.setNumber(number);
  header.setPreviousHash(previousHash);
  header.setDataHash(dataHash(envelopes));
  const data = new common.BlockData();
  data.setDataList(envelopes);
  const metadata = new common.BlockMetadata();
  metadata.setMetadataList(Array.from({ length: METADATA_FIELDS }, () => new Uint8Array()));
  const block = new common.Block();
  block.setHeader(header);
  block.setData(data);
  block.setMetadata(metadata);
  return block;
}

/** The parts of a block that Fabric always has. Throws when one is missing. */
export function blockParts(block: common.Block): {
  header: common.BlockHeader;
  envelopes: Uint8Array[];
  metadata: Uint8Array[];
} {
  const header = block.getHeader();
  const envelopes = block.getData()?.getDataList_asU8();
  const metadata = block.getMetadata()?.getMetadataList_asU8();
  if (!header || !envelopes || metadata?.length !== METADATA_FIELDS)
    throw new Error('the block is incomplete');
  return { header, envelopes, metadata };
}

/**
 * The metadata in which the orderers sign a block, in BFT's layout: each signs value ‖ identifier header ‖ header bytes
 * (orderer/consensus/smartbft). Orderers are numbered from 1 in the order of block 0's consenters.
 */
export function signBlock(header: common.BlockHeader, signers: ReadonlyMap<number, Signer>): Uint8Array {
  const lastConfig = new common.LastConfig();
  lastConfig.setIndex(0);
  const value = new common.OrdererBlockMetadata();
  value.setLastConfig(lastConfig);
  const metadata = new common.Metadata();
  metadata.setValue(value.serializeBinary());
  const bytes = headerBytes(header);
  for (const [identifier, signer] of signers) {
    metadata.addSignatures(newSignature(metadata.getValue_asU8(), identifier, signer, bytes));
  }
  return metadata.serializeBinary();
}

/** How many of n orderers must sign a block: ⌈(n + f + 1) / 2⌉ where f = ⌊(n − 1) / 3⌋ of them may lie. */
export function quorum(orderers: number): number {
  return Math.ceil((orderers + Math.floor((orderers - 1) / 3) + 1) / 2);
}

function newSignature(
  value: Uint8Array,
  identifier: number,
  signer: Signer,
  bytes: Buffer,
): common.MetadataSignature {
  const header = new common.IdentifierHeader();
  header.setIdentifier(identifier);
  header.setNonce(sha256(bytes, Buffer.of(identifier)).subarray(0, NONCE_BYTES));
  const signature = new common.MetadataSignature();
  signature.setIdentifierHeader(header.serializeBinary());
  signature.setSignature(signer.sign(Buffer.concat([value, signature.getIdentifierHeader_asU8(), bytes])));
  return signature;
}

// Nothing encoded here reaches 128 bytes, so the short form of the length is all that is needed.
function der(tag: number, body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(tag, body.length), body]);
}

function derNumber(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  const first = bytes[0] ?? 0;
  return first & 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
}
