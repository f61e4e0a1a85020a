import { createHash, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { certify, newDevelopmentCa, type Issued } from '@yaoji/network/identities/certify';
import { signLowS } from '@yaoji/network/identities/signature';

// Views made by hand, so that each can have one thing wrong with it.

type FieldValue = number | string | Uint8Array;

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

/** A protobuf message of these fields, in this order, whatever they are. */
export function message(...fields: (readonly [number: number, value: FieldValue])[]): Uint8Array {
  return new Uint8Array(
    fields.flatMap(([number, value]) => {
      if (typeof value === 'number') return [...varint(number * 8), ...varint(value)];
      const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
      return [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
    }),
  );
}

export interface Peer extends Issued {
  readonly mspId: string;
}

export interface Organisation {
  readonly mspId: string;
  readonly ca: Issued;
}

export async function organisation(mspId: string): Promise<Organisation> {
  return { mspId, ca: await newDevelopmentCa(mspId) };
}

export async function peer(
  { mspId, ca }: Organisation,
  subject: Partial<Parameters<typeof certify>[1]> = {},
): Promise<Peer> {
  return { mspId, ...(await certify(ca, { name: `peer.${mspId}`, ou: 'peer', ...subject })) };
}

export function signHighS(key: string, bytes: Uint8Array): Uint8Array {
  for (;;) {
    const der = sign('sha256', bytes, createPrivateKey(key));
    // s, the second INTEGER, is a byte longer when its highest bit is set: then it is surely above n/2.
    if (der[4 + (der[3] ?? 0) + 1] === 33) return new Uint8Array(der);
  }
}

/** The parts of a view that a test may change; `wrap…` see the finished bytes of a message. */
export interface Plan {
  readonly timestamp?: number;
  readonly type?: number;
  readonly epoch?: number;
  readonly nonce?: Uint8Array;
  readonly creator?: Uint8Array;
  readonly time?: Uint8Array;
  readonly txId?: string;
  readonly proposed?: string;
  readonly invoked?: string;
  readonly answered?: string;
  readonly proposalHash?: Uint8Array;
  readonly actionHeader?: Uint8Array;
  readonly actions?: number;
  readonly transient?: boolean;
  readonly results?: Uint8Array;
  readonly sign?: (key: string, bytes: Uint8Array) => Uint8Array;
  readonly endorse?: (endorsements: Uint8Array[]) => Uint8Array[];
}

function sha256(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

/** A read of key k of namespace yaoji, at block 7, transaction 0. */
export const READ = message([1, 'k'], [2, message([1, 7])]);
export function resultsOf(...rwset: (readonly [number: number, value: FieldValue])[]): Uint8Array {
  return message([2, message([1, 'yaoji'], [2, message(...rwset)])]);
}

/** The common.Payload of a view that these peers endorsed. */
export function view(peers: readonly Peer[], plan: Plan = {}): Uint8Array {
  const name = (of: string | undefined): Uint8Array => (of === '' ? message() : message([2, of ?? 'yaoji']));
  const creator = plan.creator ?? message([1, 'ClientMSP'], [2, 'a certificate']);
  const nonce = plan.nonce ?? new Uint8Array(24).fill(7);
  const time = plan.timestamp ?? Date.now();
  const nanos = (time % 1000) * 1e6;
  const channelHeader = message(
    [1, plan.type ?? 3],
    [3, plan.time ?? message([1, Math.floor(time / 1000)], ...(nanos > 0 ? [[2, nanos] as const] : []))],
    [4, 'delivery'],
    [5, plan.txId ?? Buffer.from(sha256(nonce, creator)).toString('hex')],
    ...(plan.epoch ? [[6, plan.epoch] as const] : []),
    [7, message([2, name(plan.proposed)])],
  );
  const signatureHeader = message(
    ...(
      [
        [1, creator],
        [2, nonce],
      ] as const
    ).filter(([, value]) => value.length > 0),
  );
  const spec = message([1, 2], [2, name(plan.invoked)], [3, message([1, 'View'], [1, ''], [1, 'k'])]);
  const proposalPayload = message([1, message([1, spec])], ...(plan.transient ? [[2, 'x'] as const] : []));
  const action = message(
    [1, plan.results ?? resultsOf([1, READ])],
    [3, message([1, 200], [3, '{"k":1}'])],
    [4, name(plan.answered)],
  );
  const proposalHash = plan.proposalHash ?? sha256(channelHeader, signatureHeader, proposalPayload);
  const responsePayload = message([1, proposalHash], [2, action]);
  const endorsements = peers.map(({ mspId, certificate, key }) => {
    const endorser = message([1, mspId], [2, certificate]);
    const bytes = new Uint8Array([...responsePayload, ...endorser]);
    return message([1, endorser], [2, plan.sign?.(key, bytes) ?? signLowS(createPrivateKey(key), bytes)]);
  });
  const endorsed = message(
    [1, responsePayload],
    ...(plan.endorse?.(endorsements) ?? endorsements).map((bytes) => [2, bytes] as const),
  );
  const only = message(
    [1, plan.actionHeader ?? signatureHeader],
    [2, message([1, proposalPayload], [2, endorsed])],
  );
  const actions = Array.from({ length: plan.actions ?? 1 }, () => [1, only] as const);
  return message([1, message([1, channelHeader], [2, signatureHeader])], [2, message(...actions)]);
}

/** The key of nobody. */
export function strangersKey(): string {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString();
}
