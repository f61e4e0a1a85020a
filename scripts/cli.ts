import { Command } from 'commander';
import { createKey } from './create-key.ts';
import { verifyFiles } from './verify-files.ts';

const program = new Command('yaoji')
  .description('药迹 Yaoji: custody of decocted medicine that anyone can check')
  // A command that makes no sense is not a bundle that does not pass: 2, never 1.
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

program
  .command('verify')
  .description(
    'check a bundle, offline unless --rpc names a node; exit 0: all that is required passed and nothing failed, 1: not so, 2: unreadable',
  )
  .argument('<bundle>', 'bundle.json')
  .requiredOption('--trust <file>', 'what you trust: trust.json, had from somebody you believe')
  .option('--token <token>', "the code of the box's QR; makes the check `box` required")
  .option(
    '--block <number:hash>',
    "a block of the chain that you have from elsewhere, to compare with the anchor's; may be given again",
    (block: string, others: readonly string[]) => [...others, block],
    [],
  )
  .option(
    '--rpc <url>',
    "a node of the chain that you believe, to be asked for the hash of the anchor's block",
  )
  .option('--json', 'print the report as JSON')
  .action(async (bundle: string, options: Parameters<typeof verifyFiles>[1]) => {
    process.exitCode = await verifyFiles(bundle, options);
  });

program
  .command('key')
  .description('make an API key (needs DATABASE_URL); it is shown once')
  .requiredOption('--org <id>', "the organisation's MSP id")
  .requiredOption('--site <id>', 'the site it is for')
  .requiredOption('--role <role>', 'recorder: posts events; registrar: enrols stations and devices')
  .action(async (options: { org: string; site: string; role: string }) => {
    process.exitCode = await createKey(options);
  });

program
  .command('audit')
  .description(
    'hold everything the store keeps against the ledger; exit 0: no difference, 1: some, each named, 2: cannot be made',
  )
  .option(
    '--data <folder>',
    'the folder of a running instance (npm start: .yaoji); otherwise DATABASE_URL and LEDGER_PROFILE',
  )
  .option('--json', 'print one JSON object per line')
  .action(async (options: { data?: string; json?: true }) => {
    // It brings the ledger's client along, whose loading the other commands need not wait for.
    const { auditStore } = await import('./audit.ts');
    process.exitCode = await auditStore(options);
  });

program
  .command('deploy-anchor')
  .description(
    "deploy the anchor's contract on a chain of yours and print the API's settings; exit 0: done, 1: not, and why",
  )
  .requiredOption('--rpc <url>', 'a node of the chain')
  .option('--key <file>', "the operator's key in hex, in a file that only its owner can read")
  .option('--signer <url>', 'or a JSON-RPC signer with one account, such as Web3Signer or Clef')
  .action(async (options: { rpc: string; key?: string; signer?: string }) => {
    const { deployContract } = await import('./deploy-anchor.ts');
    process.exitCode = await deployContract(options);
  });

await program.parseAsync();
