import { Command } from 'commander';
import { createKey } from './create-key.ts';
import { verifyFiles } from './verify-files.ts';

const program = new Command('yaoji').description(
  '药迹 Yaoji: custody of decocted medicine that anyone can check',
);

program
  .command('verify')
  .description(
    'check a bundle offline; exit 0: all that is required passed and nothing failed, 1: not so, 2: unreadable',
  )
  .argument('<bundle>', 'bundle.json')
  .requiredOption('--trust <file>', 'what you trust: trust.json, had from somebody you believe')
  .option('--token <token>', "the code of the box's QR; makes the check `box` required")
  .option('--json', 'print the report as JSON')
  .action(async (bundle: string, options: { trust: string; token?: string; json?: true }) => {
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

await program.parseAsync();
