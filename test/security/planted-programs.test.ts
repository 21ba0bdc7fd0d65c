import { chmod, mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { readCommand } from '../../src/credentials/sources/command-source.ts';
import { resolveWorkspace } from '../../src/sandbox/project/workspace-path.ts';
import { baseEnvironment, environmentOf, withoutFolder } from '../../src/system/environment.ts';

/** G6: what a sandbox wrote into its workspace is not run on the host because the caller's PATH leads there first. */

let project: string;
beforeEach(async () => {
  project = await realpath(await mkdtemp(join(tmpdir(), 'planted-')));
});
afterEach(() => rm(project, { recursive: true, force: true }));

/** A program of the name of one that Casemate runs on the host, where a package manager or a virtual environment has its own. */
async function plant(folder: string): Promise<string> {
  const path = join(project, folder);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'print-token'), '#!/bin/sh\nprintf planted\n');
  await chmod(join(path, 'print-token'), 0o755);
  return path;
}

async function trusted(): Promise<string> {
  const path = join(project, '../', `${project.split('/').at(-1) ?? ''}-trusted`);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'print-token'), '#!/bin/sh\nprintf trusted\n');
  await chmod(join(path, 'print-token'), 0o755);
  return path;
}

describe('a program in the workspace that PATH finds first', () => {
  test.each(['node_modules/.bin', '.venv/bin', 'venv/bin', 'packages/one/node_modules/.bin', 'bin', 'tools/bin'])(
    'of %s is passed by',
    async (folder) => {
      const good = await trusted();
      const path = `${await plant(folder)}:${good}:/usr/bin:/bin`;
      const env = withoutFolder(environmentOf({ PATH: path, HOME: '/root' }), project);
      expect(await readCommand(['print-token'], { env })).toBe('trusted');
      await rm(good, { recursive: true });
    },
  );

  test.each(['node_modules/.bin', '.venv/bin'])('of %s is passed by wherever the command line was started', async (folder) => {
    const good = await trusted();
    const env = environmentOf({ PATH: `${await plant(folder)}:${good}:/usr/bin:/bin`, HOME: '/root' });
    expect(await readCommand(['print-token'], { env })).toBe('trusted');
    await rm(good, { recursive: true });
  });

  test.each(['', '.', 'bin', './node_modules/.bin', '/usr/bin/../../tmp'])('through the entry %j is passed by', (entry) => {
    expect(baseEnvironment(environmentOf({ PATH: `${entry}:/usr/bin` }))['PATH']).toBe('/usr/bin');
  });

  test('nothing usable left means the folders of the system', () => {
    expect(baseEnvironment(environmentOf({ PATH: '.:bin' }))['PATH']).toBe(baseEnvironment(environmentOf({}))['PATH']);
  });

  test('the own home and the root are no project, though commands are started there', () => {
    const env = environmentOf({ PATH: '/home/me/.local/bin:/usr/bin', HOME: '/home/me' });
    for (const folder of ['/', '/home', '/home/me']) {
      expect(baseEnvironment(withoutFolder(env, folder))['PATH']).toBe('/home/me/.local/bin:/usr/bin');
    }
  });
});

describe('a workspace that holds programs the daemon would run', () => {
  const bounds = (programFolders: readonly string[]) => {
    const paths = { state: '/s', config: '/c', images: '/i', cache: '/k', runtime: '/r', organisation: '/o' };
    return { paths, userHome: '/root', programFolders };
  };

  test('is refused, and the message says how to go on', async () => {
    const folder = await plant('bin');
    await expect(resolveWorkspace(project, bounds(['/usr/bin', folder]))).rejects.toMatchObject({
      code: 'PATH_INVALID',
      message: expect.stringContaining(folder),
      hint: expect.stringContaining('daemon stop'),
    });
  });

  test('also where the folder is yet to be made, or is a link', async () => {
    await expect(resolveWorkspace(project, bounds([join(project, 'later/bin')]))).rejects.toThrow('later/bin');
    await expect(resolveWorkspace(project, bounds(['/usr/bin']))).resolves.toBe(project);
  });
});
