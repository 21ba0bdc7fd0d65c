/** Whether a container on another kernel shows this host's files. */
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { CasemateError } from '../../../src/base/errors.ts';
import type { SandboxSpec } from '../../../src/engines/engine.ts';
import { bindMount } from '../../../src/engines/docker/container-bodies.ts';
import type { EngineKernel } from '../../../src/engines/docker/kernel/engine-kernel.ts';
import { removeLeftFile, requireSharedFiles } from '../../../src/engines/docker/kernel/shared-files.ts';
import { parseMounts } from '../../../src/engines/workspace/protections.ts';

const init = { pid: 7, startTicks: '1' };
let folder: string;
let spec: SandboxSpec;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'casemate-shared-'));
  await Promise.all(['work', 'home', 'elsewhere'].map((name) => mkdir(join(folder, name))));
  await writeFile(join(folder, 'passwd'), 'agent:x:1000\n');
  spec = { id: 'cm-1', workspace: { path: join(folder, 'work'), mode: 'direct', protect: [] } } as unknown as SandboxSpec;
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A container that has these folders and files of this host at its places. */
function kernelShowing(places: Readonly<Record<string, string>>): EngineKernel {
  const shown = async (_: unknown, path: string): Promise<Buffer> => {
    const [place, source] = Object.entries(places).find(([one]) => path === one || path.startsWith(`${one}/`)) ?? ['', ''];
    return readFile(source + path.slice(place.length)).catch(() => {
      throw new CasemateError('ENGINE_FAILED', 'there is none');
    });
  };
  return { shown } as unknown as EngineKernel;
}

const row = (root: string, place: string, device = '0:40') => `1 2 ${device} ${root} ${place} rw - 9p share rw`;
const mounted = [row('/w/work', '/workspace'), row('/w/home', '/home/agent'), row('/w/passwd', '/etc/passwd')];
const mounts = () => [
  bindMount(join(folder, 'work'), '/workspace', 'write'),
  bindMount(join(folder, 'home'), '/home/agent', 'write'),
  bindMount(join(folder, 'passwd'), '/etc/passwd', 'read'),
];
const places = (changes: Readonly<Record<string, string>> = {}) => ({
  '/workspace': join(folder, 'work'),
  '/home/agent': join(folder, 'home'),
  '/etc/passwd': join(folder, 'passwd'),
  ...changes,
});
const check = async (shown: Readonly<Record<string, string>>, rows: readonly string[] = mounted, more = mounts()) =>
  requireSharedFiles({ kernel: kernelShowing(shown), init, inside: parseMounts(rows.join('\n')) }, spec, more);

describe('files of this host in a container on another kernel', () => {
  test('are there where a new file is seen and contents are the same; no file stays', async () => {
    await check(places());
    expect(await readdir(join(folder, 'work'))).toEqual([]);
    expect(await readdir(join(folder, 'home'))).toEqual([]);
  });

  test.each([
    ['/workspace', 'work'],
    ['/home/agent', 'home'],
  ])('another folder at %s is told by the folder and what to do', async (target, name) => {
    await expect(check(places({ [target]: join(folder, 'elsewhere') }))).rejects.toMatchObject({
      code: 'ENGINE_FAILED',
      message: `the engine does not show ${join(folder, name)} of this host at ${target}, but something else`,
      hint: expect.stringContaining('shared'),
    });
    expect(await readdir(join(folder, name))).toEqual([]);
  });

  test('a file with other content, and a place where nothing is mounted, are told', async () => {
    await writeFile(join(folder, 'elsewhere', 'passwd'), 'root:x:0\n');
    await expect(check(places({ '/etc/passwd': join(folder, 'elsewhere', 'passwd') }))).rejects.toThrow('at /etc/passwd');
    await expect(check(places(), mounted.slice(0, 2))).rejects.toThrow('at /etc/passwd');
  });

  test('a protection is that very path of the mounted workspace', async () => {
    const hooks = bindMount(join(folder, 'work/.git/hooks'), '/workspace/.git/hooks', 'read');
    const withHooks = (text: string) => [...mounted, text];
    await check(places(), withHooks(row('/w/work/.git/hooks', '/workspace/.git/hooks')), [...mounts(), hooks]);
    for (const text of [row('/w/other', '/workspace/.git/hooks'), row('/w/work/.git/hooks', '/workspace/.git/hooks', '0:41')]) {
      await expect(check(places(), withHooks(text), [...mounts(), hooks])).rejects.toThrow('at /workspace/.git/hooks');
    }
  });

  test('a link that waits under the name of the new file is not written through', async () => {
    const target = join(folder, 'elsewhere', 'victim');
    await writeFile(target, 'as it was');
    await symlink(target, join(folder, 'work', '.casemate-shared-cm-1'));
    await check(places());
    expect(await readFile(target, 'utf8')).toBe('as it was');
    expect(await readdir(join(folder, 'work'))).toEqual([]);
  });

  test('what a killed process left there goes later, and nothing that is no file of ours', async () => {
    const work = join(folder, 'work');
    await Promise.all(['cm-1', 'cm-2'].map((id) => writeFile(join(work, `.casemate-shared-${id}`), 'x')));
    await removeLeftFile(work, 'cm-1');
    await removeLeftFile(work, 'cm-1');
    expect(await readdir(work)).toEqual(['.casemate-shared-cm-2']);
    await symlink(work, join(folder, 'link'));
    await removeLeftFile(join(folder, 'link'), 'cm-2');
    await mkdir(join(work, '.casemate-shared-cm-3'));
    await removeLeftFile(work, 'cm-3');
    expect(await readdir(work)).toEqual(['.casemate-shared-cm-2', '.casemate-shared-cm-3']);
  });
});
