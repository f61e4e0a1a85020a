import { readdirSync, readFileSync } from 'node:fs';
import { expect } from 'chai';
import fc from 'fast-check';
import { CHECKS, toTrust, verify, type CheckId, type Report } from '@yaoji/chaincode/core';
import { verifierSuite } from '@yaoji/api/chain/verifier-suite';

// One good bundle, and one thing wrong with it per file: test/vectors/bundle; and the same for one whose logs were anchored on
// a real chain (anvil 1.7.1): test/vectors/anchor. A file says what it does (`op`, `path`), why that matters, which check must
// fail and how that check's detail begins. The good bundles are never made anew: evidence that was good once must stay good.

type Value = string | number | boolean | null | Value[] | { [name: string]: Value };
interface Document {
  bundle: Value;
  trust: Value;
  token: Value;
  [name: string]: Value;
}
interface Vector {
  readonly why: string;
  readonly op: 'replace' | 'insert' | 'remove' | 'swap' | 'truncate' | 'flip';
  /** JSON pointers into {bundle, trust, token, others} */
  readonly path: string;
  readonly with?: string;
  readonly copy?: string;
  readonly value?: Value;
  /** the name of a view of good/views.json */
  readonly view?: string;
  readonly by?: number;
  readonly at?: number;
  readonly fails: CheckId;
  readonly place: string;
}

/** A folder of vectors: its good bundle, its other parts by name, and what is done to it. */
class Vectors {
  readonly views: { [name: string]: string };
  readonly all: { name: string; vector: Vector }[];
  private readonly folder: URL;
  private readonly now: number;

  constructor(name: string) {
    this.folder = new URL(`../../vectors/${name}/`, import.meta.url);
    this.views = JSON.parse(this.text('good/views.json')) as { [name: string]: string };
    this.now = Number(this.text('good/taken.txt')) + 60_000;
    this.all = readdirSync(this.folder)
      .filter((file) => file.endsWith('.json'))
      .toSorted()
      .map((file) => ({ name: file.replace('.json', ''), vector: JSON.parse(this.text(file)) as Vector }));
  }

  good(): Document {
    const read = (file: string): Value => JSON.parse(this.text(`good/${file}.json`)) as Value;
    const token = this.text('good/token.txt').trim();
    return { bundle: read('bundle'), trust: read('trust'), token, others: read('others') };
  }

  check({ bundle, trust, token }: Document): Promise<Report> {
    return verify(bundle, {
      trust: toTrust(trust),
      token: token as string,
      now: this.now,
      suite: verifierSuite,
    });
  }

  private text(file: string): string {
    return readFileSync(new URL(file, this.folder), 'utf8');
  }
}
const BUNDLE = new Vectors('bundle');
const ANCHOR = new Vectors('anchor');

type Holder = { [name: string]: Value };
/** The object or list that a pointer leads into, and the last name. */
function into(document: Document, path: string): { holder: Holder; name: string } {
  const names = path.split('/').slice(1);
  const name = names.pop()!;
  const holder = names.reduce<Value>((value, step) => (value as Holder)[step]!, document) as Holder;
  return { holder, name };
}

/** One base64url character changed so that another byte stands there. */
function flipped(value: string, at: number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const other = alphabet[(alphabet.indexOf(value[at]!) + 16) % 64]!;
  return value.slice(0, at) + other + value.slice(at + 1);
}

function apply(document: Document, vector: Vector, views: Vectors['views']): void {
  const { holder, name } = into(document, vector.path);
  const here = (): Value => {
    expect(holder, vector.path).to.have.property(name);
    return holder[name]!;
  };
  const pick = (path: string): Value => {
    const from = into(document, path);
    return structuredClone(from.holder[from.name]!);
  };
  const given = (): Value => (vector.copy === undefined ? vector.value! : pick(vector.copy));
  switch (vector.op) {
    case 'replace': {
      const value = vector.view === undefined ? given() : views[vector.view]!;
      expect(here()).not.to.deep.equal(value);
      holder[name] = value;
      return;
    }
    case 'insert': {
      const value = given();
      if (Array.isArray(holder)) holder.splice(Number(name), 0, value);
      else holder[name] = value;
      return;
    }
    case 'remove':
      here();
      if (Array.isArray(holder)) holder.splice(Number(name), 1);
      else delete holder[name];
      return;
    case 'swap': {
      const other = into(document, vector.with!);
      const [a, b] = [here(), other.holder[other.name]!];
      expect(a).not.to.deep.equal(b);
      holder[name] = b;
      other.holder[other.name] = a;
      return;
    }
    case 'truncate':
      holder[name] = (here() as string | Value[]).slice(0, -vector.by!);
      return;
    case 'flip':
      holder[name] = flipped(here() as string, vector.at!);
  }
}

for (const [title, vectors, unchecked] of [
  ['the vectors of verify', BUNDLE, ['ordering', 'anchor']],
  ['the vectors of an anchored bundle', ANCHOR, ['ordering']],
] as const)
  describe(title, function () {
    this.timeout(20_000);

    it('begin with a bundle that is good', async () => {
      const { ok, checks } = await vectors.check(vectors.good());
      const others = checks.filter(({ outcome }) => outcome !== 'passed').map(({ id }) => id);
      expect([ok, others], JSON.stringify(checks)).to.deep.equal([true, unchecked]);
    });

    for (const { name, vector } of vectors.all)
      it(`${name}: ${vector.why}`, async () => {
        const document = vectors.good();
        apply(document, vector, vectors.views);
        const { ok, checks } = await vectors.check(document);
        expect(ok).to.equal(false);
        const found = checks.find(({ id }) => id === vector.fails)!;
        expect([found.outcome, found.detail.slice(0, vector.place.length)], found.detail).to.deep.equal([
          'failed',
          vector.place,
        ]);
        // The next character is not one of a longer pointer.
        if (vector.place.startsWith('/')) expect(found.detail[vector.place.length]).to.equal(':');
      });
  });

describe('the vectors', () => {
  it('make every check fail that a bundle can fail', () => {
    expect(new Set(BUNDLE.all.map(({ vector }) => vector.fails))).to.deep.equal(new Set(CHECKS));
  });
});

/** Every string in the bundle, as the pointer to it. */
function strings(value: Value, path = ''): string[] {
  if (typeof value === 'string') return [path];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, member]) => strings(member, `${path}/${name}`));
}
const PLACES = strings(ANCHOR.good().bundle);

describe('one changed byte', function () {
  this.timeout(120_000);

  const changed = async (place: string, at: number, bit: number): Promise<Report> => {
    const document = ANCHOR.good();
    const { holder, name } = into(document, `/bundle${place}`);
    const value = holder[name] as string;
    const code = value.charCodeAt(at % value.length) ^ bit;
    holder[name] =
      value.slice(0, at % value.length) + String.fromCharCode(code) + value.slice((at % value.length) + 1);
    return ANCHOR.check(document);
  };

  it('in any string of a bundle makes a check fail', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...PLACES),
        fc.nat(),
        fc.constantFrom(1, 2, 4, 8, 16, 32, 64),
        async (place, at, bit) => {
          const { ok } = await changed(place, at, bit);
          expect(ok).to.equal(false);
        },
      ),
      { numRuns: 250 },
    );
  });

  it('in any byte of a view makes a check fail', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('/views/heads', '/views/logs', '/anchor/view'),
        fc.nat(),
        fc.constantFrom(1, 2, 4, 8, 16, 32, 64, 128),
        async (place, at, bit) => {
          const document = ANCHOR.good();
          const { holder, name } = into(document, `/bundle${place}`);
          const bytes = Buffer.from(holder[name] as string, 'base64url');
          bytes[at % bytes.length]! ^= bit;
          holder[name] = bytes.toString('base64url');
          const { ok, checks } = await ANCHOR.check(document);
          expect(ok, JSON.stringify(checks)).to.equal(false);
        },
      ),
      { numRuns: 150 },
    );
  });
});
