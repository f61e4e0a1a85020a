import { expect } from 'chai';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { prove } from '@yaoji/api/pipeline/prove';
import { trustOf } from '@yaoji/api/services';
import {
  CHECKS,
  tokenFrom,
  type Bundle,
  type KnownBlock,
  type Report,
  type Trust,
} from '@yaoji/chaincode/core';
import { openOrganisation } from '@yaoji/network/identities/organisation';
import { lookUpBlock } from '@yaoji/scripts/look-up-block';
import { until } from '../support/consortium.ts';
import { anchoredBox } from '../web/box.ts';
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
    yaojiWith({ NODE_OPTIONS: `--require=${join(folder, 'no-network.cjs')}` }, ...args);
  const yaojiWith = (more: NodeJS.ProcessEnv, ...args: string[]): Promise<Ran> =>
    new Promise((resolve) => {
      const env = { ...process.env, ...more };
      execFile(process.execPath, [YAOJI, ...args], { cwd: folder, env }, (error, out, err) =>
        resolve({ code: error ? Number(error.code) : 0, out, err }),
      );
    });
  const verifying = (...more: string[]): Promise<Ran> =>
    yaoji('verify', 'bundle.json', '--trust', 'trust.json', ...more);
  const checkLines = (out: string): string[] => out.split('\n').filter((line) => /^[✓✕?] /.test(line));
  const failed = ({ out }: Ran): string[] =>
    (JSON.parse(out) as Report).checks.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id);

  it('passes a good bundle with a line for each check, in their order', async () => {
    const { code, out, err } = await verifying();
    expect({ code, err }).to.deep.equal({ code: 0, err: '' });
    const lines = checkLines(out);
    for (const [i, id] of CHECKS.entries()) expect(lines[i]).to.match(new RegExp(`^. .* ${id} `));
    for (const id of trust.required)
      expect(lines[CHECKS.indexOf(id)]).to.contain('Passed').and.to.contain('*');
    for (const id of ['box', 'endorsement', 'fresh', 'ordering', 'anchor'] as const)
      expect(lines[CHECKS.indexOf(id)]).to.contain('Not checked');
  });

  it('says one sentence first, as the page does, and of each check who must be honest', async () => {
    const { out } = await verifying('--token', telling.token);
    const [zh, en] = out.split('\n');
    expect(zh).to.match(
      /^这箱药的经过前后一致，截至 .*\d\d:\d\d；之后的步骤不在里面；账本是演示用的，一个运营者掌管所有密钥；还没有公链存证。$/,
    );
    expect(en).to.match(
      /^This box’s trail is consistent as of .*; later steps are not in it; .*demonstration/,
    );
    expect(out.split('\n').filter((line) => line.startsWith('    谁必须诚实'))).to.have.length(CHECKS.length);
    expect((await verifying()).out.split('\n')[0]).to.contain('没有核对是哪一箱');
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

  describe('of a bundle whose logs are anchored', () => {
    let block: KnownBlock;
    let nodes: Server[];
    before(async () => {
      const box = await anchoredBox(until('OUT_FOR_DELIVERY'), until('OUT_FOR_DELIVERY'));
      ({ block } = box);
      file('anchored.json', box.bundle);
      file('anchored-trust.json', box.trust);
      file('anchored-required.json', { ...box.trust, required: [...box.trust.required, 'anchor'] });
      nodes = [];
    });
    after(() => nodes.forEach((node) => void (node.closeAllConnections(), node.close())));

    type Answers = (method: string, params: unknown[]) => unknown;
    /** A node that answers like this; undefined: it breaks off. */
    const nodeThat = async (answers: Answers): Promise<string> => {
      const node = createServer((req, res) => {
        const answer = async (): Promise<void> => {
          const { method, params } = (await json(req)) as { method: string; params: unknown[] };
          const result = answers(method, params);
          if (result === undefined) res.destroy();
          else res.end(JSON.stringify({ jsonrpc: '2.0', id: 1, result }));
        };
        void answer();
      });
      nodes.push(node);
      await new Promise<void>((resolve) => void node.listen(0, '127.0.0.1', resolve));
      return `http://127.0.0.1:${(node.address() as AddressInfo).port}/secret-key`;
    };
    const hex = (value: number): string => `0x${value.toString(16)}`;
    const honest =
      (final = block.number): Answers =>
      (method, [tag]) =>
        method === 'eth_chainId'
          ? '0x1'
          : tag === 'finalized'
            ? { number: hex(final), hash: `0x${'cd'.repeat(32)}` }
            : { number: tag, hash: block.hash };
    const online = (...args: string[]): Promise<Ran> => yaojiWith({}, 'verify', 'anchored.json', ...args);
    const trusting = (...more: string[]): string[] => ['--trust', 'anchored-trust.json', ...more];
    const anchorLine = ({ out }: Ran): string => checkLines(out).at(-1)!;

    it('names what to look up, and asks nobody', async () => {
      const ran = await yaoji('verify', 'anchored.json', ...trusting());
      expect({ code: ran.code, err: ran.err }).to.deep.equal({ code: 0, err: '' });
      expect(anchorLine(ran)).to.contain('Not checked').and.contain(block.hash);
      expect(ran.out.split('\n')[0]).to.contain('公链存证等您核对');
    });

    it('compares it with the block that the reader brings: passes, or fails', async () => {
      const others = ['--block', `1:0x${'00'.repeat(32)}`];
      const ran = await yaoji(
        'verify',
        'anchored.json',
        ...trusting(...others, '--block', `1207:${block.hash}`),
      );
      expect(ran.code).to.equal(0);
      expect(anchorLine(ran)).to.contain('Passed');
      expect(ran.out.split('\n')[0]).to.contain('起在公链上公开');
      const foreign = await yaoji(
        'verify',
        'anchored.json',
        ...trusting('--block', `1207:0x${'00'.repeat(32)}`),
      );
      expect(foreign.code).to.equal(1);
      expect(anchorLine(foreign)).to.contain('Failed').and.contain('/anchor/header');
    });

    it('asks a node of the reader’s choice, and says whether that calls the block finalized', async () => {
      const final = await online(...trusting('--rpc', await nodeThat(honest())));
      expect(anchorLine(final)).to.contain('Passed');
      expect(final.out).to.contain('已经最终确定').and.contain('calls the block finalized');
      const young = await online(...trusting('--rpc', await nodeThat(honest(block.number - 1))));
      expect(anchorLine(young)).to.contain('Passed');
      expect(young.out).to.contain('还没有最终确定');
      const silent = await nodeThat((method, params) =>
        params[0] === 'finalized' ? null : honest()(method, params),
      );
      expect((await online(...trusting('--rpc', silent))).out).to.contain('没有说它是否已经最终确定');
    });

    it('fails what a node of the reader’s choice calls another block', async () => {
      const other = await nodeThat((method, [tag]) =>
        method === 'eth_chainId'
          ? '0x1'
          : { number: tag === 'finalized' ? '0xffff' : tag, hash: `0x${'00'.repeat(32)}` },
      );
      const ran = await online(...trusting('--rpc', other));
      expect(ran.code).to.equal(1);
      expect(anchorLine(ran)).to.contain('foreign header');
    });

    it('takes nothing from a node that is gone, of another chain, or talks nonsense: a plain line, not checked', async () => {
      const gone = await nodeThat(() => undefined);
      const cases: [rpc: string, says: string][] = [
        ['http://127.0.0.1:1/secret-key', 'cannot be reached'],
        [gone, 'cannot be reached'],
        [await nodeThat(() => '0x5'), 'of eip155:5, not of eip155:1'],
        [await nodeThat((method) => (method === 'eth_chainId' ? '0x1' : null)), 'knows no block 1207'],
        [
          await nodeThat((method) =>
            method === 'eth_chainId' ? '0x1' : { number: '0x1', hash: block.hash },
          ),
          'with another one',
        ],
        [
          await nodeThat((method) => (method === 'eth_chainId' ? '0x1' : { number: '0x4b7', hash: '0x1' })),
          'garbage',
        ],
      ];
      for (const [rpc, says] of cases) {
        const ran = await online(...trusting('--rpc', rpc));
        expect(ran.code, says).to.equal(0);
        expect(anchorLine(ran), says).to.contain('Not checked');
        expect(ran.out).to.contain(says).and.contain('没有比对');
        expect(ran.out + ran.err).not.to.contain('secret-key');
      }
      const needed = await online('--trust', 'anchored-required.json', '--rpc', gone, '--json');
      expect(needed.code).to.equal(1);
      expect(failed(needed)).to.deep.equal(['anchor']);
      expect(needed.err).to.contain('没有比对');
    });

    it('asks no node about a bundle without a block to look up', async () => {
      const ran = await yaoji(
        'verify',
        'bundle.json',
        '--trust',
        'trust.json',
        '--rpc',
        'http://127.0.0.1:1',
      );
      expect(ran.code).to.equal(0);
      expect(ran.out).to.contain('没有问节点');
    });

    it('gives up on a slow node', async () => {
      const slow = createServer(() => undefined);
      nodes.push(slow);
      await new Promise<void>((resolve) => void slow.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(slow.address() as AddressInfo).port}`;
      const { known, said } = await lookUpBlock(url, { chain: 'eip155:1', block: 1207 }, 200);
      expect(known).to.equal(undefined);
      expect(said.en).to.contain('no answer within 200 ms');
    });
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

    it('a block that is none, and a node without a URL', () =>
      Promise.all([
        unreadable(/not a block/, 'bundle.json', '--trust', 'trust.json', '--block', '12:0x12'),
        unreadable(
          /not a block/,
          'bundle.json',
          '--trust',
          'trust.json',
          '--block',
          `-1:0x${'0'.repeat(64)}`,
        ),
        unreadable(/--rpc/, 'bundle.json', '--trust', 'trust.json', '--rpc', 'file:///etc/passwd'),
        unreadable(/--rpc/, 'bundle.json', '--trust', 'trust.json', '--rpc', 'localhost'),
      ]));

    it('a command that names no trust file', () => unreadable(/--trust/, 'bundle.json'));
  });
});
