import { expect } from 'chai';
import fc from 'fast-check';
import { daysFromCivil, parseMinute, printMinute } from '@yaoji/chaincode/core';
import { code } from './fabric/refusal.ts';

const YEAR_0 = Date.parse('0000-01-01T00:00Z') / 60_000;
const YEAR_9999 = Date.parse('9999-12-31T23:59Z') / 60_000;

describe('time', () => {
  it('prints and reads every minute of the years 0000 to 9999 as Date does', () => {
    fc.assert(
      fc.property(fc.integer({ min: YEAR_0, max: YEAR_9999 }), (minute) => {
        const text = `${new Date(minute * 60_000).toISOString().slice(0, 16)}Z`;
        return printMinute(minute) === text && parseMinute(text) === minute;
      }),
      { numRuns: 2000 },
    );
  });

  it('counts days as Date does, in every month of leap years and others', () => {
    for (const year of [0, 1600, 1900, 1970, 2000, 2024, 2026, 2100, 9999])
      for (let month = 1; month <= 12; month++) {
        const text = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-01T00:00Z`;
        expect(daysFromCivil(year, month, 1), text).to.equal(Date.parse(text) / 86_400_000);
      }
  });

  it('refuses days and times that do not exist, and every other form', async () => {
    for (const text of [
      '2026-02-29T00:00Z',
      '2100-02-29T00:00Z',
      '2026-13-01T00:00Z',
      '2026-00-10T00:00Z',
      '2026-04-31T00:00Z',
      '2026-04-00T00:00Z',
      '2026-01-01T24:00Z',
      '2026-01-01T00:60Z',
      '2026-01-01T00:00:00Z',
      '2026-01-01T00:00+08:00',
      '2026-01-01 00:00Z',
      '2026-1-1T00:00Z',
      '2026-01-01T00:00z',
      ' 2026-01-01T00:00Z',
      '2026-01-01T00:00Z\n',
      '٢٠٢٦-01-01T00:00Z',
      '',
    ])
      expect(await code(() => parseMinute(text)), text).to.equal('VALUE_NOT_ALLOWED');
  });
});
