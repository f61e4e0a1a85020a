import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { audit, StoreUnreachable, type AuditSummary } from '@yaoji/api/audit/audit';
import { chainOf, ChainUnreachable } from '@yaoji/api/audit/chain';
import type { Difference } from '@yaoji/api/audit/differ';
import { connectLedger } from '@yaoji/api/ledger/connect';
import { readProfile, type NetworkProfile } from '@yaoji/network/profile';
import { readStore } from './instance.ts';
import { progressOn } from './progress.ts';

export interface AuditCommand {
  /** the folder of a running instance; otherwise DATABASE_URL and LEDGER_PROFILE say where to look */
  data?: string;
  json?: true;
}

/** There is nothing to audit, or nothing to audit it against. */
class CannotAudit extends Error {}

/**
 * Holds everything that the store keeps against the ledger and prints each difference with its place: a line of text, or of
 * JSON, and a summary at the end. Exit code: 0 none, 1 some, 2 it cannot be made.
 */
export async function auditStore(
  command: AuditCommand,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  try {
    const { databaseUrl, profile } = whereToLook(command, env);
    const ledger = connectLedger(profile);
    try {
      const summary = await audit({
        databaseUrl,
        chain: chainOf(ledger),
        onDifference: (difference) => say(command.json ? JSON.stringify({ difference }) : print(difference)),
        onProgress: progressOn(process.stderr),
      });
      say(command.json ? JSON.stringify({ summary }) : printSummary(summary));
      return summary.differences ? 1 : 0;
    } finally {
      ledger.close();
    }
  } catch (error) {
    if (!(
      error instanceof CannotAudit ||
      error instanceof StoreUnreachable ||
      error instanceof ChainUnreachable
    ))
      throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

function whereToLook(
  { data }: AuditCommand,
  env: NodeJS.ProcessEnv,
): { databaseUrl: string; profile: NetworkProfile } {
  const databaseUrl = data === undefined ? env['DATABASE_URL'] : readStore(data)?.databaseUrl;
  const profilePath = data === undefined ? env['LEDGER_PROFILE'] : join(data, 'ledger', 'network.json');
  if (!databaseUrl || !profilePath)
    throw new CannotAudit(
      data === undefined
        ? 'DATABASE_URL and LEDGER_PROFILE are missing: set them, or name the folder of a running instance with --data'
        : `${data} is not the folder of an instance`,
    );
  if (!existsSync(profilePath)) throw new CannotAudit(`there is no connection profile ${profilePath}`);
  try {
    return { databaseUrl, profile: readProfile(profilePath) };
  } catch (cause) {
    throw new CannotAudit((cause as Error).message, { cause });
  }
}

const print = ({ table, key, what }: Difference): string => `≠ ${table}  ${key}  ${what}`;

function printSummary(summary: AuditSummary): string {
  const { differences, blocks, events, pending, refused, records, batches, keys, ahead, skipped } = summary;
  const unsettled = Object.entries(ahead).map(
    ([org, number]) => `the ledger is ahead of the store by ${number} batches of ${org}, to be settled yet\n`,
  );
  return `
${events} events (${pending} pending, ${refused} refused, ${skipped} numbers skipped by their stations)
${records} records in ${batches} batches, ${blocks} blocks and ${keys} keys of the ledger
${unsettled.join('')}${
    differences
      ? `有 ${differences} 处不一致  ${differences} differences between the store and the ledger.`
      : '没有不一致  The store and the ledger agree.'
  }`;
}
