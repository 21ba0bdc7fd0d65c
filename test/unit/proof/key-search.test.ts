import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import { joinReports, regionsOf, searchFolder } from '../../../src/proof/outside/key-search.ts';

describe('key search', () => {
  it('reads heap, stack and anonymous memory, and leaves program text and kernel pages out', () => {
    const maps = [
      '00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/dbus-daemon',
      '00652000-00655000 rw-p 00052000 08:02 173521 /usr/bin/dbus-daemon',
      '00e03000-00e24000 rw-p 00000000 00:00 0 [heap]',
      '7f0000000000-7f0000001000 ---p 00000000 00:00 0 ',
      '7f0000001000-7f0000002000 r--p 00000000 00:00 0 ',
      'ffffffffff600000-ffffffffff601000 r-xp 00000000 00:00 0 [vsyscall]',
    ].join('\n');
    expect(regionsOf(maps).map(({ start }) => start)).toEqual([0x652000, 0xe03000, 0x7f0000001000]);
  });

  it('joins what was seen without repeating a place', () => {
    const one = { seen: { key: ['a'], phantom: [] }, bytes: 1, places: 1 };
    expect(joinReports(one, { seen: { key: ['a', 'b'], phantom: ['c'] }, bytes: 2, places: 1 })).toEqual({
      seen: { key: ['a', 'b'], phantom: ['c'] },
      bytes: 3,
      places: 2,
    });
  });

  it('finds files of any name and depth, beside what is closed, and follows no link', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'casemate-search-'));
    try {
      const deep = join(folder, 'a/b');
      await mkdir(deep, { recursive: true });
      // An ordinary user cannot read the folder; root is let in, and sees that it is empty.
      await mkdir(join(folder, '0-closed'), { mode: 0 });
      const odd = Buffer.concat([Buffer.from(`${deep}/odd-`), Buffer.from([0xff])]);
      await writeFile(odd, 'here: needle-1');
      await writeFile(join(folder, 'other'), 'needle-2');
      await symlink(join(folder, 'other'), join(deep, 'link'));
      const needles = ['needle-1', 'needle-2', 'needle-3'].map((text) => ({ name: text, text }));
      const { seen, places } = await searchFolder(folder, needles);
      expect(seen).toEqual({ 'needle-1': [odd.toString('utf8')], 'needle-2': [join(folder, 'other')], 'needle-3': [] });
      expect(places).toBe(2);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
