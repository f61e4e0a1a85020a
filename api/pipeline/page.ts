import {
  at as keyOf,
  parseDisclosure,
  RULES,
  type Member,
  type State,
  type Subject,
} from '@yaoji/chaincode/core';
import type { PackagePage } from '@yaoji/web/page';
import { pendingAbout } from '../store/events.ts';
import type { TrailRecord } from '../store/trails.ts';
import { parsedValue, readWorld } from '../store/world.ts';
import type { Pipeline } from './context.ts';
import { boxTrails, packageOf } from './prove.ts';

/** What the page of a token's box says, from the store alone: nothing here is checked, and nothing is for friends only. */
export async function packagePage(pipeline: Pipeline, token: string): Promise<PackagePage | undefined> {
  const box = await packageOf(pipeline, token);
  if (box === undefined) return undefined;
  const trails = await boxTrails(pipeline, box);
  const records = trails.flatMap(({ records: own }) => own);
  const orgs = [...new Set(records.map(({ record }) => record.entry.org))];
  const values = await readWorld(pipeline.pool, [keyOf.subject(box), ...orgs.map(keyOf.member)]);
  const { own, org: centre } = parsedValue<Subject>(values, keyOf.subject(box))!.state as State<'PKG'>;
  const nameOf = (org: string): { zh: string; en: string } => {
    const member = parsedValue<Member>(values, keyOf.member(org));
    return { zh: member?.zh ?? org, en: member?.en ?? org };
  };
  const label = trails[1]!.records[0]!;
  const sealNo = shownTo('anyone', label, 'sealNo');
  const bestBefore = shownTo('anyone', label, 'bestBefore');
  const unsettled = await pendingAbout(
    pipeline.pool,
    trails.map(({ subject }) => subject),
  );
  return {
    token,
    phase: own.phase,
    centre: nameOf(centre),
    custodian: nameOf(own.custodian),
    bags: own.bags,
    ...(sealNo === undefined ? {} : { sealNo }),
    ...(bestBefore === undefined ? {} : { bestBefore }),
    steps: records
      .map(({ record }) => record)
      .sort((a, b) => (a.entry.time < b.entry.time ? -1 : a.entry.time > b.entry.time ? 1 : 0))
      .map(({ entry }) => ({
        step: entry.step,
        time: entry.time,
        org: nameOf(entry.org),
        open: entry.open,
      })),
    unsettled: unsettled.length,
  };
}

function shownTo(reader: 'anyone', { record, disclosures }: TrailRecord, name: string): string | undefined {
  if (!RULES[record.entry.step]?.sealed[name]?.readers.includes(reader)) return undefined;
  const value = disclosures.map(parseDisclosure).find((shown) => shown.name === name)?.value;
  return typeof value === 'string' ? value : undefined;
}
