/** A home as one file: copied with its holes, never while it is mounted, and put back whole or not at all. */
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { keepHome, putHomeBack } from '../../src/engines/oci/home-copy.ts';
import { homeImage } from '../../src/engines/oci/home-disk.ts';
import { run } from '../../src/system/process.ts';

const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
const size = 64 * 1024 * 1024;

let folder: string;
let home: string;

function writeImage(path: string, text: string): void {
  const file = openSync(path, 'w', 0o600);
  ftruncateSync(file, size);
  writeSync(file, text, size / 2);
  closeSync(file);
}

function textOf(path: string): string {
  return readFileSync(path)
    .subarray(size / 2, size / 2 + 8)
    .toString()
    .replaceAll('\0', '');
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'home-copy-'));
  home = join(folder, 'home');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a copy of a home', () => {
  it('is as large as the home may become and takes no more of the disk than the home does', async () => {
    writeImage(homeImage(home), 'first');
    const bytes = await keepHome(home, join(folder, 'kept'), { env });
    expect(bytes).toBeLessThan(1024 * 1024);
    expect(statSync(join(folder, 'kept')).size).toBe(size);
    writeImage(homeImage(home), 'second');
    await putHomeBack(home, join(folder, 'kept'), { env });
    expect(textOf(homeImage(home))).toBe('first');
    expect(readdirSync(folder).toSorted()).toEqual(['home.ext4', 'kept']);
  });

  it('is refused where the home is no file', async () => {
    await expect(keepHome(home, join(folder, 'kept'), { env })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    await expect(putHomeBack(home, join(folder, 'kept'), { env })).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it('that fails leaves nothing, and the home as it was', async () => {
    writeImage(homeImage(home), 'first');
    writeImage(join(folder, 'kept'), 'other');
    await expect(keepHome(home, join(folder, 'new'), { env: { PATH: '/nowhere' } })).rejects.toThrow();
    await expect(putHomeBack(home, join(folder, 'kept'), { env: { PATH: '/nowhere' } })).rejects.toThrow();
    expect(textOf(homeImage(home))).toBe('first');
    expect(readdirSync(folder).toSorted()).toEqual(['home.ext4', 'kept']);
  });

  it.each(['home', 'link/home'])('is not begun while the home is mounted: %s', async (name) => {
    writeImage(homeImage(home), 'first');
    symlinkSync('.', join(folder, 'link'));
    const { exitCode, stdout } = await run('losetup', ['--find', '--show', homeImage(home)], { env });
    if (exitCode !== 0) {
      process.stderr.write('not tried: loop devices take root\n');
      return;
    }
    const device = stdout.toString().trim();
    let isReleased = false;
    const kept = keepHome(join(folder, name), join(folder, 'kept'), { env }).then(() => isReleased);
    // Where it does not wait, it is done well before this.
    for (let look = 0; look < 20 && !readdirSync(folder).includes('kept'); look += 1) {
      await run('losetup', ['--list'], { env });
    }
    writeFileSync(join(folder, 'seen'), readdirSync(folder).join(' '));
    isReleased = true;
    await run('losetup', ['--detach', device], { env });
    expect(await kept).toBe(true);
    expect(readFileSync(join(folder, 'seen'), 'utf8')).toBe('home.ext4 link');
  });
});
