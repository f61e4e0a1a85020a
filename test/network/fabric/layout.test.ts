import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  chaincodeNode,
  majorityOf,
  newLayout,
  newMember,
  ordererNode,
  peerNode,
  placesIn,
  readLayout,
  writeLayout,
} from '@yaoji/network/fabric/layout';
import { DEFAULT_ORGANISATIONS } from '@yaoji/network/organisations';
import { expect } from 'chai';

describe("A Fabric network's layout", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-layout-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('gives every member nodes with names and ports of their own', async () => {
    const { members } = await newLayout(DEFAULT_ORGANISATIONS, 'bft');
    const ports = members.flatMap(({ orderer, peer }) => [
      ...Object.values(orderer),
      ...Object.values(peer),
    ]) as number[];
    expect(new Set(ports).size).to.equal(24);
    // Not among those that systems give to outgoing connections.
    for (const port of ports) expect(port).to.be.within(20_000, 32_000);
    const [hospital] = members;
    expect([
      ordererNode(hospital!),
      peerNode(hospital!),
      chaincodeNode(hospital!, 'abcdef0123'),
    ]).to.deep.equal(['orderer-hospital', 'peer-hospital', 'chaincode-hospital-abcdef01']);
  });

  it('is the same again after a restart, and only its owner may read it', async () => {
    const places = placesIn(join(folder, 'network'));
    expect(readLayout(places)).to.equal(undefined);
    const layout = await newLayout(DEFAULT_ORGANISATIONS, 'raft');
    writeLayout(places, layout);
    expect(readLayout(places)).to.deep.equal(layout);
    expect(statSync(places.layout).mode & 0o077).to.equal(0);
    writeFileSync(places.layout, JSON.stringify({ ...layout, version: 2 }));
    expect(() => readLayout(places)).to.throw('another version');
  });

  it('takes in a member that is like the others', async () => {
    const layout = await newLayout(DEFAULT_ORGANISATIONS, 'bft');
    const member = await newMember(layout, { mspId: 'SecondCourierMSP', kind: 'courier' });
    expect(member).to.include({ mspId: 'SecondCourierMSP', kind: 'courier', name: 'secondcourier' });
    expect(Object.keys(member)).to.deep.equal(Object.keys(layout.members[0]!));
    const again = await newMember(layout, { mspId: 'CourierMSP', kind: 'courier' }).catch(
      (error: Error) => error.message,
    );
    expect(again).to.equal('two organisations would both be called courier');
  });

  it('refuses members that could not be told apart', async () => {
    for (const mspIds of [
      ['HospitalMSP', 'hospital'],
      ['OrdererHospitalMSP', 'HospitalMSP'],
    ]) {
      const organisations = mspIds.map((mspId) => ({ mspId, kind: 'hospital' as const }));
      const refused = await newLayout(organisations, 'bft').catch((error: Error) => error.message);
      expect(refused).to.match(/two organisations would both be called/);
    }
  });

  it("counts a majority as Fabric's policies do", () => {
    expect([1, 2, 3, 4, 5].map(majorityOf)).to.deep.equal([1, 2, 2, 3, 3]);
  });
});
