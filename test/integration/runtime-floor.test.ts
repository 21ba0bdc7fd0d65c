import { chmod, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { examineRuntime } from '../../src/engines/oci/runtimes.ts';

/** G25: the floor is of the program that would run, not of a package that is installed beside it. */
let folder: string;

beforeEach(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'floor-')));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const program = async (name: string, text: string): Promise<void> => {
  await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(folder, name), 0o755);
};
const examine = () => examineRuntime('runc', { env: { PATH: `${folder}:/usr/bin:/bin` }, isHybrid: false });

describe('the version of a runtime', () => {
  beforeEach(async () => {
    await program('runc', 'echo "runc version 1.1.5"');
    await program('dpkg-query', 'case "$1" in --show) printf 1.1.5+ds1-1+deb12u1 ;; *) exit 1 ;; esac');
  });

  it('is not taken from a package whose program is another one', async () => {
    expect(await examine()).toMatchObject({ available: false, detail: expect.stringContaining('CVE-2024-21626') });
  });

  it('is that of the package where the program is of it, also through a link', async () => {
    await rm(join(folder, 'runc'));
    await program('runc-of-the-package', 'echo "runc version 1.1.5"');
    await symlink('runc-of-the-package', join(folder, 'runc'));
    await program(
      'dpkg-query',
      `case "$*" in "--search ${join(folder, 'runc-of-the-package')}") echo "runc: $2" ;; --show*) printf 1.1.5+ds1-1+deb12u1 ;; *) exit 1 ;; esac`,
    );
    expect(await examine()).toMatchObject({ available: true, detail: expect.stringContaining('package 1.1.5+ds1-1+deb12u1') });
  });

  it('of another runtime under its name is none', async () => {
    await program('runc', 'echo "crun version 1.8.1"');
    expect(await examine()).toMatchObject({ available: false, detail: expect.stringContaining('another runtime') });
  });
});
