import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prove } from '@yaoji/api/pipeline/prove';
import { trustOf } from '@yaoji/api/services';
import { CHECKS, tokenFrom, type Bundle, type Report, type Trust } from '@yaoji/chaincode/core';
import { openOrganisation } from '@yaoji/network/identities/organisation';
import { realParts, settled, Telling, withDevice } from '../support/service.ts';

const YAOJI = fileURLToPath(new URL('../../../scripts/yaoji.mjs', import.meta.url));

interface Ran {
  code: number;
  out: string;
  err: string;
}

describe('yaoji verify', function () {
  this.timeout(60_000);
  const parts = realParts();
  let folder: string;
  let telling: Telling;
  let bundle: Bundle;
  let trust: Trust;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-verify-'));
    const pipeline = parts().pipeline();
    telling = new Telling(parts());
    await withDevice(pipeline, parts(), telling);
    await settled(pipeline, parts(), telling.before());
    bundle = (await prove(pipeline, telling.token, 'anyone'))!;
    trust = trustOf(parts().profile);
    file('bundle.json', bundle);
    file('trust.json', trust);
    // Whoever loads this has no network: neither sockets nor names.
    file(
      'no-network.cjs',
      `const no = () => { process.stderr.write('NETWORK'); process.exit(99); };
       const net = require('node:net'), dns = require('node:dns'), dgram = require('node:dgram');
       net.connect = net.createConnection = net.Socket.prototype.connect = no;
       net.Server.prototype.listen = dns.lookup = dgram.createSocket = no;
       dns.promises.lookup = no; globalThis.fetch = no;`,
    );
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  function file(name: string, content: unknown): string {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }
  /** Runs it as a person would, in another folder, without a network. */
  const yaoji = (...args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const env = { ...process.env, NODE_OPTIONS: `--require=${join(folder, 'no-network.cjs')}` };
      execFile(process.execPath, [YAOJI, ...args], { cwd: folder, env }, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  const verifying = (...more: string[]): Promise<Ran> =>
    yaoji('verify', 'bundle.json', '--trust', 'trust.json', ...more);
  const failed = ({ out }: Ran): string[] =>
    (JSON.parse(out) as Report).checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id);

  it('passes a good bundle with a line for each check, in their order', async () => {
    const { code, out, err } = await verifying();
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    const lines = out.split('\n').slice(0, CHECKS.length);
    for (const [i, id] of CHECKS.entries()) expect(lines[i]).to.match(new RegExp(`^. .* ${id} `));
    for (const id of trust.required)
      expect(lines[CHECKS.indexOf(id)]).to.contain('Passed').and.to.contain('*');
    for (const id of ['box', 'endorsement', 'fresh', 'ordering', 'anchor'] as const)
      expect(lines[CHECKS.indexOf(id)]).to.contain('Not checked');
  });

  it('passes it with its own token, however that is written', async () => {
    const written = `${telling.token.slice(0, 13).toLowerCase()}-${telling.token.slice(13)}`;
    for (const token of [telling.token, written]) {
      const { code, out } = await verifying('--token', token);
      expect(code).to.equal(0);
      expect(out).to.match(/Passed +box .*\*/);
    }
  });

  it('says it as JSON of exactly one shape', async () => {
    const { code, out } = await verifying('--json', '--token', telling.token);
    expect(code).to.equal(0);
    const report = JSON.parse(out) as Report;
    expect(Object.keys(report)).to.deep.equal(['ok', 'checks', 'facts']);
    expect(report.ok).to.equal(true);
    expect(report.checks.map(({ id }) => id)).to.deep.equal([...CHECKS]);
    for (const check of report.checks) {
      expect(Object.keys(check)).to.have.members(['id', 'outcome', 'detail']);
      expect(check.outcome).to.be.oneOf(['passed', 'failed', 'not-checked']);
      expect(check.detail).to.be.a('string').with.length.greaterThan(0);
    }
  });

  describe('exits with 1 for', () => {
    it("another box's token", async () => {
      const ran = await verifying('--json', '--token', tokenFrom(Buffer.alloc(17, 7)));
      expect(ran.code).to.equal(1);
      expect(failed(ran)).to.deep.equal(['box']);
    });

    it('a trust file of other organisations', async () => {
      const organisations = await Promise.all(
        trust.organisations.map(async ({ mspId }) => {
          const { ca } = await openOrganisation(join(folder, 'foreign', mspId), mspId);
          return { mspId, ca };
        }),
      );
      file('foreign.json', { ...trust, organisations });
      const ran = await yaoji('verify', 'bundle.json', '--trust', 'foreign.json', '--json');
      expect(ran.code).to.equal(1);
      expect(failed(ran)).to.deep.equal(['endorsement']);
    });

    it('a trust file that does not fit: another channel, too few of its organisations, a check that cannot be made', async () => {
      await Promise.all(
        (
          [
            [{ channel: 'another' }, 'endorsement'],
            [{ organisations: trust.organisations.slice(0, 1), threshold: 2 }, 'endorsement'],
            [{ required: [...trust.required, 'anchor'] }, 'anchor'],
          ] as const
        ).map(async ([change, id], i) => {
          file(`trust-${i}.json`, { ...trust, ...change });
          const ran = await yaoji('verify', 'bundle.json', '--trust', `trust-${i}.json`, '--json');
          expect(ran.code, JSON.stringify(change)).to.equal(1);
          expect(failed(ran)).to.deep.equal([id]);
        }),
      );
    });

    it('a bundle that was cut off or lacks a record, and it names the place', async () => {
      const cuts: ((records: Bundle['trails'][number]['records']) => unknown)[] = [
        (records) => records.pop(),
        (records) => records.splice(3, 1),
      ];
      await Promise.all(
        cuts.map(async (cut, i) => {
          const copy = structuredClone(bundle);
          cut(copy.trails[0]!.records);
          file(`changed-${i}.json`, copy);
          const ran = await yaoji('verify', `changed-${i}.json`, '--trust', 'trust.json');
          expect(ran.code).to.equal(1);
          expect(ran.out).to.contain('/trails/0');
        }),
      );
    });
  });

  describe('exits with 2, says why on stderr and prints nothing else, for', () => {
    const unreadable = async (why: RegExp, ...args: string[]): Promise<void> => {
      const { code, out, err } = await yaoji('verify', ...args);
      expect({ code, out }, args.join(' ')).to.deep.equal({ code: 2, out: '' });
      expect(err).to.match(why);
      expect(err.split('\n').length, err).to.be.lessThan(4);
    };

    it('a bundle that is cut short, is not JSON, is not a bundle, or is not there', async () => {
      const text = JSON.stringify(bundle);
      const trusting = ['--trust', 'trust.json'];
      await Promise.all([
        unreadable(/cut\.json/, file('cut.json', text.slice(0, -100)), ...trusting),
        unreadable(/not JSON/, file('text.json', 'hello'), ...trusting),
        unreadable(/not a bundle/, 'trust.json', ...trusting),
        unreadable(/doubled\.json/, file('doubled.json', text.replace('{', '{"package":"x",')), ...trusting),
        unreadable(/nowhere\.json/, 'nowhere.json', ...trusting),
        unreadable(/cannot be read/, folder, ...trusting),
      ]);
    });

    it('a trust file that is none, and a token that cannot be one', async () => {
      file('strange.json', { ...trust, more: 1 });
      await Promise.all([
        unreadable(/not a trust file/, 'bundle.json', '--trust', 'strange.json'),
        unreadable(/nowhere\.json/, 'bundle.json', '--trust', 'nowhere.json'),
        unreadable(/not the code/, 'bundle.json', '--trust', 'trust.json', '--token', 'HELLO'),
      ]);
    });

    it('a command that names no trust file', () => unreadable(/--trust/, 'bundle.json'));
  });
});
