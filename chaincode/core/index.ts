// The only barrel. A thing belongs in core only if the contract or the offline verifier needs it.
export {
  concat,
  equal,
  fromBase64,
  fromBase64url,
  fromUtf8,
  toBase64,
  toBase64url,
  toHex,
  utf8,
} from './bytes.ts';
export { BUNDLE_TYPE, readBundle, type Bundle, type ReadBundle } from './bundle.ts';
export { anchorRoot, checkAnchor, checkpointsOf, type AnchorFacts } from './chain/anchor.ts';
export type { KnownBlock } from './chain/fields.ts';
export { canonical, parseCanonical, parseJson, type Json } from './canonical.ts';
export { originOf, parseCheckpoint, printCheckpoint, type Checkpoint } from './checkpoint.ts';
export {
  commit,
  disclosureDigest,
  entrySchema,
  entryText,
  MAX_ENTRY,
  parseDisclosure,
  parseEntry,
  pointer,
  printDisclosure,
  signedBytes,
  statementSchema,
  toEntry,
  verifyEntry,
  type Disclosure,
  type Entry,
  type Statement,
  type UnsignedEntry,
} from './entry.ts';
export { invariant, TraceError, type TraceErrorCode } from './error.ts';
export { isIssuedBy, readCertificate, type Certificate } from './fabric/certificate.ts';
export { readMessage } from './fabric/protobuf.ts';
export { assertLowS, assertP256Key, lowSSignature, rawSignature, toLowS } from './fabric/signature.ts';
export { checkView } from './fabric/endorsement.ts';
export { readView, versionOf, type View } from './fabric/view.ts';
export { hmac } from './hmac.ts';
export { parseToken, pseudonym, sealCommitment, tokenCommitment, tokenFrom } from './label.ts';
export {
  keysOf,
  MAX_BATCH,
  readLines,
  refereeBatch,
  refereeEntry,
  type Answer,
  type Batch,
  type Verdict,
} from './ledger/referee.ts';
export { memberSchema, siteSchema, stationSchema } from './ledger/schemas.ts';
export { spend, WINDOW } from './ledger/window.ts';
export {
  at,
  World,
  type Log,
  type Member,
  type Site,
  type Station,
  type Subject,
  type TokenTarget,
  type Values,
  type Window,
} from './ledger/world.ts';
export {
  append,
  consistencyElements,
  element,
  EMPTY,
  inclusionElements,
  leafHash,
  root,
  rootFromInclusion,
  rootsFromConsistency,
  verifyConsistency,
  verifyInclusion,
  type Coordinate,
  type Element,
  type Frontier,
} from './merkle.ts';
export { leafOf, recordBytes, recordText, toRecord, type Record } from './record.ts';
export { replay, type Replayed } from './replay.ts';
export {
  checksOf,
  deviationsOf,
  PROCESS_CHECKS,
  type Finding,
  type Payload,
  type ProcessCheck,
  type ProcessCheckId,
  type Seen,
} from './rules/checks.ts';
export { REFUSALS, type Mark, type Refusal } from './rules/codes.ts';
export { openFindings } from './rules/findings.ts';
export { CLOCK_SKEW, judge, TOO_OLD_AFTER, type Judgement, type Scene } from './rules/judge.ts';
export { DEFAULT_RULE_SET, RULE_SETS, ruleSetHash, type RuleSet } from './rules/rule-sets.ts';
export type { Kind, State, SubjectKind } from './rules/state.ts';
export { ROLES, RULES, type Reader, type Role, type Rule } from './rules/table.ts';
export { ES256, type Suite, type VerifierSuite } from './suite.ts';
export { daysFromCivil, parseMinute, printMinute } from './time.ts';
export { CHECKS, toTrust, type CheckId, type Trust } from './trust.ts';
export { verify, type Asked, type Check, type Facts, type Outcome, type Report } from './verify.ts';
