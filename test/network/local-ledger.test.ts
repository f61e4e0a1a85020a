import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

import { common } from '@hyperledger/fabric-protos';
import { parseOrganisations } from '@yaoji/network/organisations';
import { startLocalLedger, type RunningLedger } from '@yaoji/network/local/start';
import { readProfile } from '@yaoji/network/profile';
import { expect } from 'chai';

import {
  connectAs,
  launchLocalLedger,
  organisation,
  probeChaincode,
  servicePerson,
  type LedgerClient,
} from '../support/ledger-under-test.ts';

const SECOND_MS = 1000;
const HEAD_BYTES = 12;

describe('The local ledger', function () {
  this.timeout(120 * SECOND_MS);

  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-local-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const start = (more: object = {}): Promise<RunningLedger> =>
    startLocalLedger({ folder, chaincode: probeChaincode(), ...more });
  const during = async <T>(run: (client: LedgerClient, ledger: RunningLedger) => Promise<T>): Promise<T> => {
    const ledger = await start();
    const client = connectTo(ledger);
    try {
      return await run(client, ledger);
    } finally {
      client.close();
      await ledger.stop();
    }
  };
  const fill = (): Promise<void> =>
    during(async ({ contract }) => {
      for (const key of ['one', 'two', 'three']) await contract.submitTransaction('create', key, key);
    });

  it('says in block 0 and in every CA that it is for development', async () => {
    await during(async ({ network }, { profile }) => {
      const { channel, organisations, development } = readProfile(profile);
      const block = await network.getContract('qscc').evaluateTransaction('GetBlockByNumber', channel, '0');
      expect(Buffer.from(block).toString('latin1')).to.include('DEVELOPMENT: one process');
      for (const { ca } of organisations)
        expect(new X509Certificate(ca).subject).to.include('OU=DEVELOPMENT');
      expect([development, channel]).to.deep.equal([true, 'yaoji-local']);
    });
  });

  it('keeps its keys from other users', async () => {
    await during(async () => {
      const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
        name.endsWith('.key'),
      );
      expect(files).to.have.length(4 * 5);
      for (const file of files) expect(statSync(join(folder, file)).mode & 0o777).to.equal(0o600);
    });
  });

  it('refuses production', async () => {
    const mode = process.env['NODE_ENV'];
    process.env['NODE_ENV'] = 'production';
    try {
      expect(await failureOf(start())).to.include('for development');
    } finally {
      if (mode === undefined) delete process.env['NODE_ENV'];
      else process.env['NODE_ENV'] = mode;
    }
  });

  it('takes any organisations, several of a kind among them, and a majority of them endorses', async () => {
    const text =
      'HospitalMSP:hospital,EastMSP:decoction,WestMSP:decoction,CourierMSP:courier,RegulatorMSP:regulator';
    const ledger = await start({ organisations: parseOrganisations(text) });
    const profile = readProfile(ledger.profile);
    const client = connectTo(ledger);
    const { contract } = client;
    await contract.submitTransaction('create', 'key', 'value');
    client.close();
    await ledger.stop();
    expect(profile.organisations.map(({ mspId, kind }) => `${mspId}:${kind}`).join(',')).to.equal(text);
    expect(profile.endorsements).to.equal(3);
    expect(await failureOf(start())).to.include('begun by other organisations');
  });

  it('says what is wrong with a list of organisations', () => {
    expect(() => parseOrganisations('HospitalMSP:clinic')).to.throw('HospitalMSP:clinic');
    expect(() => parseOrganisations('../MSP:hospital')).to.throw('../MSP:hospital');
    expect(() => parseOrganisations('AMSP:hospital,AMSP:courier')).to.throw('twice');
  });

  it('refuses loudly what it does not have', async () => {
    await during(async ({ contract }) => {
      const calls = [
        ['range', 'a', 'b'],
        ['history', 'a'],
        ['richQuery'],
        ['putPrivate', 'a'],
        ['protectKey', 'a'],
        ['callOther', 'a'],
      ];
      for (const [name = '', ...args] of calls) {
        expect(await failureOf(contract.evaluateTransaction(name, ...args)), name).to.match(
          /the local ledger (does not|has no)/,
        );
      }
      const secret = contract.newProposal('read', { arguments: ['a'], transientData: { secret: 'x' } });
      expect(await failureOf(secret.evaluate())).to.include('transient');
    });
  });

  it('cuts off a block that was not written to its end', async () => {
    await fill();
    const file = join(folder, 'blocks');
    const whole = readFileSync(file);
    for (const torn of [whole.subarray(0, 7), whole.subarray(0, 300)]) {
      appendFileSync(file, torn);
      await during(async ({ contract }, { height }) => {
        expect(height).to.equal(4);
        expect(Buffer.from(await contract.evaluateTransaction('read', 'three')).toString()).to.equal('three');
      });
      expect(readFileSync(file).equals(whole)).to.equal(true);
    }
  });

  it('refuses to start from a block file in which one byte was changed', async () => {
    await fill();
    const file = join(folder, 'blocks');
    const whole = readFileSync(file);
    // In a length, in the middle, and in the last block.
    for (const at of [1, Math.floor(whole.length / 2), whole.length - 1]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      writeFileSync(file, changed);
      expect(await failureOf(start()), `byte ${at}`).to.include('was changed');
    }
  });

  it('refuses to start from a block file that was changed together with its checksums', async () => {
    await fill();
    const file = join(folder, 'blocks');
    const whole = readFileSync(file);
    const second = HEAD_BYTES + whole.readUInt32BE(0);
    const length = whole.readUInt32BE(second);
    const bytes = whole.subarray(second + HEAD_BYTES, second + HEAD_BYTES + length);
    const block = common.Block.deserializeBinary(bytes);
    const [envelope] = block.getData()?.getDataList_asU8() ?? [];
    // The signature of the client who submitted it ends the envelope.
    envelope?.set([(envelope.at(-1) ?? 0) ^ 1], envelope.length - 1);
    bytes.set(block.serializeBinary());
    whole.writeUInt32BE(crc32(bytes), second + 8);
    writeFileSync(file, whole);
    expect(await failureOf(start())).to.include('was changed');
  });

  it('takes its contract along when it is killed', async () => {
    const { child, profile } = await launchLocalLedger(folder);
    const contract = await processOf(profile);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await untilGone(contract);
  });

  it('ends, and its contract too, when whoever started it closes its standard input', async () => {
    const { child, profile } = await launchLocalLedger(folder);
    const contract = await processOf(profile);
    child.stdin?.end();
    const [code] = await once(child, 'exit');
    expect(code).to.equal(0);
    expect(isAlive(contract)).to.equal(false);
  });

  it('stops, saying why, when somebody else writes to its block file', async () => {
    const { child, profile } = await launchLocalLedger(folder);
    const contract = await processOf(profile);
    let complaint = '';
    child.stderr?.on('data', (text: Buffer) => (complaint += text.toString()));
    appendFileSync(join(folder, 'blocks'), 'x');
    const client = connectTo({ profile });
    const closed = once(child, 'close');
    const submitted = await failureOf(client.contract.submitTransaction('create', 'key', 'value'));
    const [code] = await closed;
    client.close();
    expect(code).to.equal(1);
    expect(complaint).to.include('is being written by another process');
    expect(submitted).not.to.equal('it did not fail');
    await untilGone(contract);
  });

  it('says why it does not start', async () => {
    const broken = mkdtempSync(join(tmpdir(), 'yaoji-broken-'));
    writeFileSync(join(broken, 'package.json'), '{}');
    expect(await failureOf(start({ chaincode: broken }))).to.include('names no "main"');
    rmSync(broken, { recursive: true });
    expect(await failureOf(launchLocalLedger(folder, '--port', 'http'))).to.include('--port takes a number');
  });
});

function connectTo({ profile }: { profile: string }): LedgerClient {
  const network = readProfile(profile);
  return connectAs(servicePerson(organisation(network, 'hospital')), network);
}

async function processOf(profile: string): Promise<number> {
  const client = connectTo({ profile });
  const id = Number(Buffer.from(await client.contract.evaluateTransaction('processId')).toString());
  client.close();
  expect(isAlive(id)).to.equal(true);
  return id;
}

function isAlive(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch {
    return false;
  }
}

async function untilGone(id: number): Promise<void> {
  for (const deadline = Date.now() + 20 * SECOND_MS; isAlive(id);) {
    if (Date.now() > deadline) throw new Error(`process ${id} is still there`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function failureOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  return error instanceof Error ? error.message : String(error);
}
