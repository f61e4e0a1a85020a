import { RULES } from '@yaoji/chaincode/core';
import type { Access } from './instance.ts';
import { play, type Played } from './play.ts';

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Plays the reference prescription with a line per step. */
export async function playAloud(access: Access): Promise<Played> {
  const played = await play(access, {
    onStep({ statement: { step, time, org } }, { outcome }, number, of) {
      const { zh, en } = RULES[step]!;
      const count = `${String(number).padStart(2)}/${of}`;
      say(`${count}  ${chinaTime(time)}  ${zh}  ${en}  · ${org} · ${outcome}`);
    },
  });
  say(`all ${played.receipts.length} steps have their verdict on the ledger`);
  return played;
}

/** Month, day and time of +08:00, whatever this machine's zone. */
const chinaTime = (minute: string): string =>
  new Date(Date.parse(minute) + 8 * 3600_000).toISOString().slice(5, 16).replace('T', ' ');
