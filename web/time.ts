import { parseMinute, printMinute } from '@yaoji/chaincode/core';
import type { Words } from './words/page.ts';

// The page has no clock and no time zone database: China has used +08:00 all year since 1991.
const CHINA = 8 * 60;

/** Parts of a minute of UTC in China, or undefined where the text is none. */
function inChina(minute: string) {
  let text: string;
  try {
    text = printMinute(parseMinute(minute) + CHINA);
  } catch {
    return undefined;
  }
  const [, year, month, day, hour, min] = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)Z$/.exec(text)!;
  return {
    date: `${year}-${month}-${day}`,
    year: year!,
    month: Number(month),
    day: Number(day),
    hour: hour!,
    min: min!,
  };
}

/** The day and the hour of a minute of UTC, in China. Strangers see no minutes (process reference 5.1). */
export function dayAndHour(minute: string): { date: string; day: Words; hour: string } | undefined {
  const parts = inChina(minute);
  return (
    parts && {
      date: parts.date,
      day: { zh: `${parts.month}月${parts.day}日`, en: parts.date },
      hour: parts.hour,
    }
  );
}

/** A minute of UTC in China, as labels print it. */
export function fullTime(minute: string): string | undefined {
  const parts = inChina(minute);
  return parts && `${parts.date} ${parts.hour}:${parts.min}`;
}

/** A moment, ms since the epoch, as a minute in China; its day is left out where it is today's there, its year where it is this. */
export function momentInChina(ms: number, now: number): Words {
  const of = (time: number) => inChina(printMinute(Math.floor(time / 60_000)))!;
  const [moment, today] = [of(ms), of(now)];
  const clock = `${moment.hour}:${moment.min}`;
  if (moment.date === today.date) return { zh: clock, en: clock };
  const year = moment.year === today.year ? '' : `${moment.year}年`;
  return { zh: `${year}${moment.month}月${moment.day}日 ${clock}`, en: `${moment.date} ${clock}` };
}
