import { TraceError } from './error.ts';

// Times in hashed data are minutes of UTC, written 2026-11-21T02:31Z (ISO 8601 without seconds). Core has no clock and no
// Date: a minute is an integer, counted from 1970-01-01T00:00Z.

const FORM = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)Z$/;

/** Days from 1970-01-01 to a civil date of the proleptic Gregorian calendar (H. Hinnant, "chrono-compatible date algorithms"). */
export function daysFromCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146097 +
    yearOfEra * 365 +
    Math.floor(yearOfEra / 4) -
    Math.floor(yearOfEra / 100) +
    dayOfYear -
    719468
  );
}

/** The minute that a text names. Throws VALUE_NOT_ALLOWED unless it prints back to the same text. */
export function parseMinute(text: string): number {
  const [, ...parts] = FORM.exec(text) ?? [];
  const [year, month, day, hour, minute] = parts.map(Number);
  const value =
    minute === undefined ? Number.NaN : daysFromCivil(year!, month!, day!) * 1440 + hour! * 60 + minute;
  if (Number.isNaN(value) || printMinute(value) !== text)
    throw new TraceError('VALUE_NOT_ALLOWED', `${text} is not a minute such as 2026-11-21T02:31Z`);
  return value;
}

/** The text of a minute, years 0000 to 9999. */
export function printMinute(minute: number): string {
  const days = Math.floor(minute / 1440);
  const shifted = days + 719468;
  const era = Math.floor(shifted / 146097);
  const dayOfEra = shifted - era * 146097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36524) - Math.floor(dayOfEra / 146096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const m = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * m + 2) / 5) + 1;
  const month = m < 10 ? m + 3 : m - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const two = (n: number): string => String(n).padStart(2, '0');
  const ofDay = minute - days * 1440;
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}T${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)}Z`;
}
