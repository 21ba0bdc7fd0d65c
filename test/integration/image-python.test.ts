/** Python packages of an image: wheels by their hash, unpacked without a network, and nothing of them is run. */
import { link, lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { hashFile } from '../../src/images/tools/hash-file.ts';
import type { PythonPackage } from '../../src/images/image.ts';
import { imageTools } from '../../src/images/tools/image-tools.ts';
import { addPython } from '../../src/images/packages/python-packages.ts';
import { environmentOf, processEnvironment } from '../../src/system/environment.ts';
import { run } from '../../src/system/process.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const uid = process.getuid?.() ?? 0;
const { env: toolEnv } = imageTools({ uid, env: processEnvironment });

/** A wheel with a module, a program that names the packer's Python, and one that is set-id in the archive; and a source archive. */
const packing = `import io, sys, tarfile, zipfile
folder, touched = sys.argv[1:]
info = 'shown-1.0.dist-info/'
with zipfile.ZipFile(folder + '/shown-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('shown/__init__.py', 'text = "from the wheel"\\n')
    program = zipfile.ZipInfo('shown/program.sh'); program.external_attr = 0o106777 << 16
    wheel.writestr(program, '#!/bin/sh\\n')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: shown\\nVersion: 1.0\\nRequires-Dist: absent\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'entry_points.txt', '[console_scripts]\\nshown = shown:main\\n')
    wheel.writestr(info + 'RECORD', '')
with tarfile.open(folder + '/source-1.0.tar.gz', 'w:gz') as archive:
    for name, text in (('setup.py', 'open(%r, "w")' % touched), ('PKG-INFO', 'Metadata-Version: 2.1\\nName: source\\nVersion: 1.0\\n')):
        member = tarfile.TarInfo('source-1.0/' + name); member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
`;

async function pip(): Promise<string | undefined> {
  const { exitCode } = await run('pip3', ['--version'], { env: toolEnv }).catch(() => ({ exitCode: 1 }));
  return exitCode === 0 ? undefined : 'pip3 is not installed';
}

describe.skipIf(!engineOrSkip('pip', await pip()))('Python packages of an image', () => {
  let folder = '';
  let touched = '';
  let rootfs = '';
  const sha256 = async (name: string) => (await hashFile(join(folder, 'offer', name), 'sha256')).toString('hex');
  const add = async (packages: readonly PythonPackage[], offer = join(folder, 'offer')) => {
    const tools = imageTools({ uid, env: environmentOf({ ...toolEnv, PIP_NO_INDEX: '1', PIP_FIND_LINKS: offer }) });
    const places = { rootfs, scratch: join(folder, 'scratch'), folder: join(folder, 'wheels') };
    await addPython(packages, { ...places, tools, target: { platform: 'x64', suite: 'bookworm' }, progress: () => undefined });
    return tools;
  };
  const site = () => join(rootfs, 'usr/local/lib/python3.11/dist-packages');

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'casemate-python-'));
    touched = join(folder, 'touched');
    rootfs = join(folder, 'rootfs');
    await mkdir(join(folder, 'offer'));
    await mkdir(join(rootfs, 'usr/local/lib'), { recursive: true });
    const packed = await run('python3', ['-c', packing, join(folder, 'offer'), touched], { env: toolEnv });
    expect(packed.stderr.toString()).toBe('');
  }, 60_000);
  afterAll(async () => {
    await imageTools({ uid, env: processEnvironment }).run('rm', ['-rf', '--one-file-system', '--', folder]);
  });

  test('lie where its Python looks, without privileges, programs and places of this host, and shared files stay as they are', async () => {
    // Of the image below: its files are links to the same content.
    await mkdir(join(site(), 'shown'), { recursive: true });
    await writeFile(join(folder, 'below.py'), 'below\n');
    await link(join(folder, 'below.py'), join(site(), 'shown/__init__.py'));
    const shown = { name: 'shown', version: '1.0', sha256: await sha256('shown-1.0-py3-none-any.whl') };
    const tools = await add([shown]);
    expect((await readdir(site())).toSorted()).toEqual(['shown', 'shown-1.0.dist-info']);
    expect(await readFile(join(site(), 'shown/__init__.py'), 'utf8')).toContain('from the wheel');
    expect(await readFile(join(folder, 'below.py'), 'utf8')).toBe('below\n');
    const stats = await lstat(join(site(), 'shown/program.sh'));
    expect(stats.mode & 0o6022).toBe(0);
    expect(tools.imageId(stats.uid) === 0 || uid !== 0).toBe(true);
    const found = await tools.run('grep', ['-rlF', folder, site()], { anyExit: true });
    expect(found.stdout.toString()).toBe('');
    // Again from what is kept, where nobody offers it.
    await rm(join(site(), 'shown'), { recursive: true });
    await add([shown], join(folder, 'scratch'));
    expect(await readdir(join(site(), 'shown'))).toContain('__init__.py');
  }, 120_000);

  test('are refused where a wheel has another hash, or there is none, and nothing that builds is run', async () => {
    const wrong = { name: 'shown', version: '1.0', sha256: '7'.repeat(64) };
    const source = { name: 'source', version: '1.0', sha256: await sha256('source-1.0.tar.gz') };
    for (const one of [wrong, source]) {
      await expect(add([one])).rejects.toMatchObject({ code: 'IMAGE_BUILD_FAILED' });
    }
    await expect(lstat(touched)).rejects.toThrow('ENOENT');
  }, 120_000);
});
