import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configtx } from '@yaoji/network/fabric/channel';
import { newLayout, newMember, placesIn } from '@yaoji/network/fabric/layout';
import { openMembers, type Member } from '@yaoji/network/fabric/members';
import { DEFAULT_ORGANISATIONS } from '@yaoji/network/organisations';
import { expect } from 'chai';

interface Configtx {
  Profiles: { Yaoji: { Capabilities: object; Orderer: Section; Application: Section } };
}
interface Section {
  OrdererType: string;
  Organizations: { ID: string; OrdererEndpoints?: string[]; AnchorPeers?: { Port: number }[] }[];
  ConsenterMapping?: { ID: number; Port: number; MSPID: string; Identity: string }[];
  EtcdRaft?: { Consenters: { Port: number }[] };
  Policies: Record<string, { Rule: string }>;
}

describe("A channel's configuration", () => {
  let folder: string;
  let members: Member[];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-channel-'));
    const layout = await newLayout(DEFAULT_ORGANISATIONS, 'bft');
    const late = await newMember(layout, { mspId: 'SecondCourierMSP', kind: 'courier' });
    members = await openMembers(placesIn(folder), [...layout.members, late], () => {});
  });
  after(() => rmSync(folder, { recursive: true }));

  const profile = (ordering: 'bft' | 'raft') => (configtx(ordering, members) as Configtx).Profiles.Yaoji;

  it('names every member, and an orderer organisation of each', () => {
    const { Orderer, Application } = profile('bft');
    expect(Application.Organizations.map(({ ID }) => ID)).to.deep.equal(
      members.map(({ layout }) => layout.mspId),
    );
    expect(Application.Organizations.map(({ AnchorPeers }) => AnchorPeers?.[0]?.Port)).to.deep.equal(
      members.map(({ layout }) => layout.peer.listen),
    );
    expect(Orderer.Organizations.map(({ ID }) => ID)).to.deep.equal([
      'OrdererHospitalMSP',
      'OrdererDecoctionMSP',
      'OrdererCourierMSP',
      'OrdererRegulatorMSP',
      'OrdererSecondCourierMSP',
    ]);
    expect(Application.Policies['Endorsement']?.Rule).to.equal('MAJORITY Endorsement');
  });

  it('names the consenters with their signing certificates for BFT', () => {
    const { Orderer, Capabilities } = profile('bft');
    expect([Orderer.OrdererType, Capabilities]).to.deep.equal(['BFT', { V3_0: true }]);
    expect(
      Orderer.ConsenterMapping?.map(({ ID, Port, MSPID, Identity }) => [ID, Port, MSPID, Identity]),
    ).to.deep.equal(
      members.map(({ layout, identities }, i) => [
        i + 1,
        layout.orderer.listen,
        identities.ordererMspId,
        identities.orderer.certificate,
      ]),
    );
  });

  it('has Raft as another profile of the same members', () => {
    const { Orderer, Capabilities } = profile('raft');
    expect([Orderer.OrdererType, Capabilities]).to.deep.equal(['etcdraft', { V2_0: true }]);
    expect(Orderer.ConsenterMapping).to.equal(undefined);
    expect(Orderer.EtcdRaft?.Consenters.map(({ Port }) => Port)).to.deep.equal(
      members.map(({ layout }) => layout.orderer.listen),
    );
  });
});
