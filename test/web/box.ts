import { createHash, createPrivateKey } from 'node:crypto';
import {
  at as keyOf,
  BUNDLE_TYPE,
  canonical,
  parseDisclosure,
  RULES,
  toBase64url,
  tokenCommitment,
  type Bundle,
  type Trust,
} from '@yaoji/chaincode/core';
import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import { signLowS } from '@yaoji/network/identities/signature';
import { message, organisation, peer, type Peer } from '../core/fabric/made.ts';
import { CHANNEL, KEYS, TestLedger, TOKEN, type Act } from '../support/consortium.ts';

// What a server would answer for a box, taken just now: the story told by the test consortium, under views that four peers
// endorse. Files would not do: a page's own clock says how old their views are.

export interface Served {
  bundle: Bundle;
  trust: Trust;
}

/** The box after these acts, as anyone with its token may see it, and a trust file of a real (not a development) ledger. */
export async function boxAfter(acts: readonly Act[]): Promise<Served> {
  const ledger = new TestLedger();
  for (const act of acts) {
    const { refused } = await ledger.play(act);
    if (refused) throw new Error(`${act.statement.step}: ${refused}`);
  }
  const organisations = await Promise.all(
    ['HospitalMSP', 'CentreMSP', 'CourierMSP', 'RegulatorMSP'].map(organisation),
  );
  const peers = await Promise.all(organisations.map((member) => peer(member)));
  const shown = [KEYS.fulfilment, KEYS.package].map((subject) => ({
    subject,
    kept: ledger.kept.filter(({ record }) => record.entry.subject === subject),
  }));
  const entries = shown.flatMap(({ kept }) => kept.map(({ record }) => record.entry));
  const heads = [
    keyOf.token(tokenCommitment(TOKEN, nodeSuite.sha256)),
    ...shown.map(({ subject }) => keyOf.subject(subject)),
    ...entries.flatMap(({ station, org, open }) => [
      keyOf.station(station),
      keyOf.member(org),
      ...(typeof open['to'] === 'string' ? [keyOf.member(open['to'])] : []),
    ]),
  ];
  const logs = entries.map(({ org }) => keyOf.log(org));
  return {
    bundle: {
      mediaType: BUNDLE_TYPE,
      package: KEYS.package,
      trails: shown.map(({ subject, kept }) => {
        const { record: last } = kept.at(-1)!;
        return {
          subject,
          records: kept.map(({ record, disclosures }) => ({
            record,
            disclosures: disclosures.filter((text) =>
              RULES[record.entry.step]!.sealed[parseDisclosure(text).name]!.readers.includes('anyone'),
            ),
          })),
          inclusion: ledger.inclusion(last.entry.org, last.index).map((part) => toBase64url(part)),
        };
      }),
      views: { heads: viewOf(ledger, heads, peers), logs: viewOf(ledger, logs, peers) },
    },
    trust: {
      mediaType: 'application/vnd.yaoji.trust.v1+json',
      channel: CHANNEL,
      chaincode: 'yaoji',
      organisations: organisations.map(({ mspId, ca }) => ({ mspId, ca: ca.certificate })),
      threshold: 3,
      required: ['form', 'signatures', 'trail', 'rules', 'disclosures', 'inclusion'],
      development: false,
    },
  };
}

/** What these peers signed when they were asked for these keys just now. */
function viewOf(ledger: TestLedger, asked: readonly string[], peers: readonly Peer[]): string {
  const keys = [...new Set(asked)].toSorted();
  const nonce = new Uint8Array(24).fill(7);
  const creator = message([1, 'ClientMSP'], [2, 'a certificate']);
  const channelHeader = message(
    [1, 3],
    [3, message([1, Math.floor(Date.now() / 1000)])],
    [4, CHANNEL],
    [5, sha256(nonce, creator).toString('hex')],
    [7, message([2, message([2, 'yaoji'])])],
  );
  const signatureHeader = message([1, creator], [2, nonce]);
  const spec = message([1, 2], [2, message([2, 'yaoji'])], [3, message([1, 'View'], [1, canonical(keys)])]);
  const proposal = message([1, message([1, spec])]);
  const values = Object.fromEntries(
    keys.filter((key) => ledger.values.has(key)).map((key) => [key, ledger.get<object>(key)]),
  );
  const reads = keys.map((key) => {
    const version = ledger.versions.get(key);
    return [1, version ? message([1, key], [2, message([1, version])]) : message([1, key])] as const;
  });
  const results = message([2, message([1, 'yaoji'], [2, message(...reads)])]);
  const action = message(
    [1, results],
    [3, message([1, 200], [3, canonical(values)])],
    [4, message([2, 'yaoji'])],
  );
  const response = message([1, sha256(channelHeader, signatureHeader, proposal)], [2, action]);
  const endorsements = peers.map(({ mspId, certificate, key }) => {
    const endorser = message([1, mspId], [2, certificate]);
    const signature = signLowS(createPrivateKey(key), new Uint8Array([...response, ...endorser]));
    return [2, message([1, endorser], [2, signature])] as const;
  });
  const only = message(
    [1, signatureHeader],
    [2, message([1, proposal], [2, message([1, response], ...endorsements)])],
  );
  return toBase64url(
    message([1, message([1, channelHeader], [2, signatureHeader])], [2, message([1, only])]),
  );
}

function sha256(...parts: Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}
