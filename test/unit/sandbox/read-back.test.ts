import { describe, expect, it } from 'vitest';

import { judge, type Readings } from '../../../src/sandbox/read-back.ts';

const none = '0000000000000000';
const good: Readings = {
  status: `Name:\tsleep\nUid:\t1000\t1000\t1000\t1000\nCapInh:\t${none}\nCapPrm:\t${none}\nCapEff:\t${none}\nCapBnd:\t${none}\nCapAmb:\t${none}\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n`,
  uidMap: '         0     100000       1000\n      1000       1000          1\n',
  mounts: [
    '1 0 0:1 / / rw,relatime - ext4 /dev/sda1 rw',
    '2 1 0:2 / / ro,nosuid,nodev,relatime - overlay overlay rw',
    '3 2 0:3 /p /workspace rw,nosuid,nodev,relatime - ext4 /dev/sda1 rw',
    '4 2 0:4 / /workspace/.git rw - tmpfs tmpfs rw',
  ].join('\n'),
  devices: 'Inter-|   Receive\n face |bytes\n    lo:  12 0 0\n',
};

/** names of what is not as planned */
function wrong(changes: Partial<Readings>, planned: { uid?: number; mode?: 'direct' | 'readonly' } = {}): readonly string[] {
  return judge({ ...good, ...changes }, { uid: 0, mode: 'direct', ...planned })
    .filter((row) => !row.asPlanned)
    .map((row) => row.what);
}

const status = (from: string, to: string) => ({ status: good.status.replace(from, to) });

describe('what is read back', () => {
  it('is as planned where the kernel says so', () => {
    expect(wrong({})).toEqual([]);
    expect(judge(good, { uid: 0, mode: 'direct' }).find((row) => row.what === 'id mapping')?.value).toBe(
      '0 100000 1000 1000 1000 1',
    );
  });

  it.each<[string, Partial<Readings>, readonly string[]]>([
    ['root of the host', status('Uid:\t1000\t1000', 'Uid:\t1000\t0'), ['host user ids']],
    ['a capability that is left in the bounding set', status(`CapBnd:\t${none}`, 'CapBnd:\t0000000000000400'), ['capabilities']],
    ['a capability set that the kernel does not tell', status(`CapAmb:\t${none}\n`, ''), ['capabilities']],
    ['new privileges', status('NoNewPrivs:\t1', 'NoNewPrivs:\t0'), ['no new privileges']],
    ['no filter', status('Seccomp:\t2', 'Seccomp:\t0'), ['seccomp mode']],
    ['a mapping of root', { uidMap: '0 0 4294967295\n' }, ['id mapping']],
    ['a second interface', { devices: `${good.devices}  eth0: 1 2\n` }, ['network interfaces']],
    ['a writable root', { mounts: good.mounts.replace('/ ro,nosuid', '/ rw,nosuid') }, ['root file system']],
    ['another mount over the root', { mounts: `${good.mounts}\n9 1 0:9 / / rw - tmpfs tmpfs rw` }, ['root file system']],
    [
      'programs of the workspace that change their user',
      { mounts: good.mounts.replace('/workspace rw,nosuid', '/workspace rw') },
      ['workspace'],
    ],
    ['no workspace', { mounts: good.mounts.split('\n').slice(0, 2).join('\n') }, ['workspace']],
  ])('has no tick for %s', (_, changes, expected) => {
    expect(wrong(changes)).toEqual(expected);
  });

  it('has no tick for a workspace that can be written though it was to be read only', () => {
    expect(wrong({}, { mode: 'readonly' })).toEqual(['workspace']);
  });

  it('has no tick for what could not be read', () => {
    expect(wrong({ status: '', uidMap: '', mounts: '', devices: '' })).toHaveLength(8);
  });

  it('takes the mapping of an ordinary caller to itself for what it is', () => {
    expect(wrong({ uidMap: '0 1000 1\n' }, { uid: 1000 })).toEqual([]);
  });
});
