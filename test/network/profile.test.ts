import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readProfile, writeProfile, type NetworkProfile } from '@yaoji/network/profile';
import { expect } from 'chai';

describe('The connection profile', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'yaoji-profile-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const sample = (): NetworkProfile => ({
    channel: 'channel',
    chaincode: 'trace',
    development: true,
    endorsements: 1,
    organisations: [
      {
        mspId: 'HospitalMSP',
        kind: 'hospital',
        gateway: '127.0.0.1:7051',
        ca: 'PEM',
        identities: {
          service: { certificate: join(folder, 'a.pem'), key: join(folder, 'a.key') },
          admin: { certificate: join(folder, 'b.pem'), key: join(folder, 'b.key') },
        },
      },
    ],
  });

  it('is read as it was written, and its folder may be moved', () => {
    const path = join(folder, 'network.json');
    writeProfile(path, sample());
    expect(readProfile(path)).to.deep.equal(sample());
    expect(readFileSync(path, 'utf8')).not.to.include(folder);
  });

  it('is refused, with the reason, when anything is missing, unknown or out of place', () => {
    const path = join(folder, 'network.json');
    const refused: [object, string][] = [
      [{ ...sample(), channel: '' }, 'channel'],
      [{ ...sample(), extra: 1 }, 'extra'],
      [{ ...sample(), endorsements: 2 }, 'endorsements'],
      [{ ...sample(), development: 'yes' }, 'development'],
      [{ ...sample(), organisations: [] }, 'organisations'],
      [{ ...sample(), organisations: [{ ...sample().organisations[0], kind: 'clinic' }] }, 'kind'],
      [{ ...sample(), organisations: [{ ...sample().organisations[0], identities: {} }] }, 'service'],
    ];
    for (const [profile, reason] of refused) {
      writeFileSync(path, JSON.stringify(profile));
      expect(() => readProfile(path)).to.throw(reason);
    }
  });
});
