/** A blank home that lies ready is used once, only for an empty home, and only for its size. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import {
  ensureHomeDisk,
  heldImage,
  holdBlank,
  homeImage,
  keepBlanks,
  removeBlankDrafts,
} from '../../src/engines/oci/home-disk.ts';

const hasTool = ['/usr/sbin/mke2fs', '/sbin/mke2fs', '/usr/bin/mke2fs'].some((path) => existsSync(path));
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
const sizeBytes = 64 * 1024 * 1024;

let folder: string;
let blanks: string;
const options = () => ({ env, sizeBytes, mountPoint: join(folder, 'mounted'), blanks });

function newHome(name: string): string {
  const home = join(folder, name);
  mkdirSync(home, { mode: 0o700 });
  return home;
}

function filesIn(image: string): string {
  return execFileSync('debugfs', ['-R', 'ls -p /', image], { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'home-disk-'));
  blanks = join(folder, 'blanks');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

if (!hasTool) {
  process.stderr.write('skipped: there is no mke2fs here\n');
}

describe.skipIf(!hasTool)('a home with a file system of its own', () => {
  it('takes the blank one away, so that no two homes share it', async () => {
    await keepBlanks(blanks, { env, sizeBytes, count: 1 });
    const blank = statSync(join(blanks, `${sizeBytes}-0.ext4`)).ino;
    const [first, second] = [newHome('first'), newHome('second')];
    expect((await ensureHomeDisk(first, options())).isFresh).toBe(true);
    await ensureHomeDisk(second, options());
    expect(statSync(homeImage(first)).ino).toBe(blank);
    expect(readdirSync(blanks)).toEqual([]);
    expect(statSync(homeImage(second)).size).toBe(sizeBytes);
  });

  it('is blank and still to be filled where the home has files, and made with them where no blank one lies ready', async () => {
    await keepBlanks(blanks, { env, sizeBytes, count: 1 });
    const [first, second] = [newHome('first'), newHome('second')];
    for (const home of [first, second]) {
      writeFileSync(join(home, 'settings'), 'x');
    }
    expect(await ensureHomeDisk(first, options())).toMatchObject({ isFresh: true, isToFill: true });
    expect(readdirSync(blanks)).toEqual([]);
    expect((await ensureHomeDisk(second, options())).isToFill).toBeUndefined();
    expect(filesIn(homeImage(second))).toContain('settings');
  });

  it('is that of the container that waited, once, and else this goes', async () => {
    const held = heldImage(blanks, 'cm-1');
    await holdBlank(held, options());
    await keepBlanks(blanks, { env, sizeBytes, count: 1 });
    const blank = statSync(held).ino;
    const home = newHome('home');
    expect(await ensureHomeDisk(home, { ...options(), held })).toMatchObject({ isMounted: true, isToFill: false });
    expect(statSync(homeImage(home)).ino).toBe(blank);
    await holdBlank(held, options());
    expect((await ensureHomeDisk(home, { ...options(), held })).isMounted).toBeUndefined();
    expect(statSync(homeImage(home)).ino).toBe(blank);
    expect(existsSync(held)).toBe(false);
  });

  it('leaves none that nobody took behind', async () => {
    await holdBlank(heldImage(blanks, 'cm-1'), options());
    await removeBlankDrafts(blanks);
    expect(readdirSync(blanks)).toEqual([]);
  });

  it('is not taken from a blank one of another size, and only the last size is kept', async () => {
    await keepBlanks(blanks, { env, sizeBytes: 2 * sizeBytes, count: 1 });
    const home = newHome('small');
    await ensureHomeDisk(home, options());
    expect(statSync(homeImage(home)).size).toBe(sizeBytes);
    await keepBlanks(blanks, { env, sizeBytes, count: 1 });
    expect(readdirSync(blanks)).toEqual([`${sizeBytes}-0.ext4`]);
  });

  it('is there for as many as may come at once, each taken once', async () => {
    await keepBlanks(blanks, { env, sizeBytes, count: 3 });
    const made = readdirSync(blanks).map((name) => statSync(join(blanks, name)).ino);
    const homes = ['a', 'b', 'c'].map(newHome);
    await Promise.all(homes.map((home) => ensureHomeDisk(home, options())));
    expect(new Set(homes.map((home) => statSync(homeImage(home)).ino))).toEqual(new Set(made));
    expect(readdirSync(blanks)).toEqual([]);
  });

  it('leaves no draft where mke2fs fails', async () => {
    await expect(keepBlanks(blanks, { env: { PATH: '/nowhere' }, sizeBytes, count: 1 })).rejects.toMatchObject({
      code: 'TOOL_MISSING',
    });
    expect(readdirSync(blanks)).toEqual([]);
  });
});
