import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AnchorArtifact } from '@yaoji/api/chain/artifact';
import solc from 'solc';

// Seen from dist/.
const CHAIN = new URL('../../api/chain/', import.meta.url);

interface Compiled {
  errors?: { severity: string; formattedMessage: string }[];
  contracts: {
    'anchor.sol': {
      YaojiAnchor: {
        abi: AnchorArtifact['abi'];
        evm: {
          bytecode: { object: string };
          deployedBytecode: {
            object: string;
            immutableReferences: { [id: string]: { start: number; length: number }[] };
          };
        };
      };
    };
  };
}

/**
 * Compiles api/chain/anchor.sol with the pinned solc. The target is `paris`, whose instructions older consortium chains know
 * as well; without the metadata that solc would append, the bytecode depends on what the contract does and on nothing else.
 * Throws with the compiler's words, also for a warning.
 */
export function compileAnchor(): AnchorArtifact {
  const input = {
    language: 'Solidity',
    sources: { 'anchor.sol': { content: readFileSync(new URL('anchor.sol', CHAIN), 'utf8') } },
    settings: {
      evmVersion: 'paris',
      optimizer: { enabled: true, runs: 10_000 },
      metadata: { appendCBOR: false, bytecodeHash: 'none' },
      outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode'] } },
    },
  };
  const { compile } = solc as { compile: (input: string) => string };
  const { errors, contracts } = JSON.parse(compile(JSON.stringify(input))) as Compiled;
  if (errors?.length) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
  const { abi, evm } = contracts['anchor.sol'].YaojiAnchor;
  return {
    abi,
    bytecode: `0x${evm.bytecode.object}`,
    runtime: `0x${evm.deployedBytecode.object}`,
    operatorAt: Object.values(evm.deployedBytecode.immutableReferences)
      .flat()
      .map(({ start }) => start),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(new URL('anchor.json', CHAIN), `${JSON.stringify(compileAnchor(), null, 2)}\n`);
