import { nodeSuite } from '@yaoji/chaincode/contract/node-suite';
import type { VerifierSuite } from '@yaoji/chaincode/core';
import { keccak256 } from 'ethers/crypto';
import { getBytes } from 'ethers/utils';

/** What `verify` is given in Node: node:crypto, which has no Keccak, and ethers' Keccak-256. */
export const verifierSuite: VerifierSuite = {
  ...nodeSuite,
  keccak256: (bytes) => getBytes(keccak256(bytes)),
};
