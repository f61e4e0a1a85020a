import { createHash, verify, X509Certificate } from 'node:crypto';
import { common } from '@hyperledger/fabric-protos';
import { present } from './fabric-messages.ts';

// How blocks of a ledger with BFT ordering hold together: written from the specification, and not taken from the ledger's code,
// which is what is tested with it.

/** The SHA-256 of these bytes, one after another. */
export function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** What orderers sign of a block, and the next block's header has the hash of: its header in ASN.1. */
export function headerBytes(header: common.BlockHeader): Buffer {
  const hex = header.getNumber().toString(16);
  const digits = Buffer.from(hex.padStart(2 * Math.ceil(hex.length / 2), '0'), 'hex');
  const number = (digits[0] ?? 0) > 0x7f ? Buffer.concat([Buffer.of(0), digits]) : digits;
  const parts = [
    [0x02, number],
    [0x04, header.getPreviousHash_asU8()],
    [0x04, header.getDataHash_asU8()],
  ] as const;
  const body = Buffer.concat(parts.flatMap(([tag, bytes]) => [Buffer.of(tag, bytes.length), bytes]));
  return Buffer.concat([Buffer.of(0x30, body.length), body]);
}

/** The orderers' certificates by the identifiers under which they sign, as block 0 names them. */
export function readConsenters(genesis: common.Block): Map<number, X509Certificate> {
  const [only] = present(genesis.getData()).getDataList_asU8();
  const payload = common.Payload.deserializeBinary(
    common.Envelope.deserializeBinary(present(only)).getPayload_asU8(),
  );
  const config = common.ConfigEnvelope.deserializeBinary(payload.getData_asU8()).getConfig();
  const orderer = config?.getChannelGroup()?.getGroupsMap().get('Orderer');
  const value = present(orderer?.getValuesMap().get('Orderers')).getValue_asU8();
  const consenters = common.Orderers.deserializeBinary(value).getConsenterMappingList();
  return new Map(consenters.map((one) => [one.getId(), new X509Certificate(one.getIdentity_asU8())]));
}

/** The orderers whose signature on a block holds, each once. */
export function signersOf(
  block: common.Block,
  consenters: ReadonlyMap<number, X509Certificate>,
): ReadonlySet<number> {
  const metadata = common.Metadata.deserializeBinary(
    present(block.getMetadata()?.getMetadataList_asU8()[common.BlockMetadataIndex.SIGNATURES]),
  );
  const bytes = headerBytes(present(block.getHeader()));
  const signers = metadata.getSignaturesList().flatMap((signature) => {
    const header = signature.getIdentifierHeader_asU8();
    const id = common.IdentifierHeader.deserializeBinary(header).getIdentifier();
    const data = Buffer.concat([metadata.getValue_asU8(), header, bytes]);
    const key = consenters.get(id)?.publicKey;
    return key && verify('sha256', data, key, signature.getSignature_asU8()) ? [id] : [];
  });
  return new Set(signers);
}

/** How many of n orderers must sign a block (SmartBFT). */
export function quorumOf(n: number): number {
  const lying = Math.floor((n - 1) / 3);
  return Math.ceil((n + lying + 1) / 2);
}
