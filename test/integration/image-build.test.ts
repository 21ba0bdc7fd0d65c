/** Real builds of a small image: the same bytes every time, for everybody, whatever happens in between. */
import { once } from 'node:events';
import { chmod, cp, lstat, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { hashFile } from '../../src/images/tools/hash-file.ts';
import { lastOf } from '../../src/images/recipes/find-recipe.ts';
import type { NpmPackage, Recipe, RecipeChain } from '../../src/images/image.ts';
import type { StoredImage } from '../../src/images/stored/open-image.ts';
import { imageStore } from '../../src/images/stored/store.ts';
import { verifyImage } from '../../src/images/verify-image.ts';
import { buildImage } from '../../src/images/build.ts';
import { environmentOf } from '../../src/system/environment.ts';
import { run, spawnProcess } from '../../src/system/process.ts';
import { imageLab, seed, tools, uid, type ImageLab } from '../helpers/image-lab.ts';

const minutes = (count: number): number => count * 60_000;

let lab: ImageLab;
let tiny: RecipeChain;
let first: StoredImage;

beforeAll(async () => {
  lab = await imageLab();
  tiny = await lab.tiny();
  first = await lab.build(tiny);
}, minutes(8));

afterAll(async () => {
  await lab.remove();
});

const leftovers = async (): Promise<readonly string[]> =>
  (await readdir(lab.deps.paths.images)).filter((name) => name.startsWith('.build-'));

test('a build again is up to date without fetching or installing, and find gives its image', async () => {
  lab.lines.length = 0;
  const again = await lab.build(tiny);
  expect(again.digest).toBe(first.digest);
  expect(lab.lines.join('\n')).not.toMatch(/fetching|installing/);
  const store = imageStore({ folder: lab.deps.paths.images });
  expect((await store.find('tiny'))?.rootfs).toBe(join(lab.deps.paths.images, first.digest.replace(':', '-'), 'rootfs'));
  expect(await store.find('base')).toBeUndefined();
});

test('lock, materials, record and manifest name no address of a package source', async () => {
  for (const name of ['lock.json', 'bom.json', 'image.json']) {
    expect(await readFile(join(first.folder, name), 'utf8')).not.toMatch(/[a-z]:\/\//);
  }
  const found = await tools.run('grep', ['-rIlF', lab.folder, join(first.rootfs, 'etc'), join(first.rootfs, 'var')], {
    anyExit: true,
  });
  expect(found.stdout.toString()).toBe('');
});

test(
  'built again from its lock on a host without package sources it has the same digest; a second build waits for it',
  async () => {
    const etcApt = join(lab.folder, 'no-apt');
    await mkdir(etcApt, { recursive: true });
    const said: string[] = [];
    const building = buildImage(
      tiny,
      { ...lab.deps, etcApt, progress: (line) => void said.push(line) },
      { locked: true, noCache: true },
    );
    await expect.poll(() => said, { timeout: minutes(1) }).toContainEqual(expect.stringMatching(/^installing/));
    lab.lines.length = 0;
    const [rebuilt, waited] = await Promise.all([building, lab.build(tiny, { locked: true })]);
    expect([rebuilt.digest, waited.digest]).toEqual([first.digest, first.digest]);
    expect(said.join('\n')).not.toMatch(/fetching|reading/);
    expect(lab.lines[0]).toBe('waiting for another build to end');
  },
  minutes(8),
);

test(
  'a build killed in the middle leaves nothing running and nothing usable, and the next one cleans up',
  async () => {
    const entry = join(import.meta.dirname, '../../src/cli/main.ts');
    const env = { ...tools.env, CASEMATE_HOME: lab.folder };
    const child = spawnProcess(process.execPath, [entry, 'image', 'build', lab.tinyFile, '--locked', '--no-cache'], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr?.on('data', (piece: Buffer) => (said += piece.toString()));
    await expect.poll(() => said, { timeout: minutes(1) }).toMatch(/installing/);
    await expect.poll(async () => (await running(lab.folder)).length, { timeout: minutes(1) }).toBeGreaterThan(0);
    child.kill('SIGKILL');
    await once(child, 'close');
    await expect.poll(() => running(lab.folder), { timeout: minutes(1) }).toEqual([]);
    expect(await leftovers()).toHaveLength(1);
    expect((await imageStore({ folder: lab.deps.paths.images }).list()).map((image) => image.digest)).toEqual([first.digest]);
    lab.lines.length = 0;
    await lab.build(tiny, { locked: true });
    expect(lab.lines).toContain('removing what an interrupted build left');
    expect(await leftovers()).toEqual([]);
  },
  minutes(4),
);

/** Command lines of processes that name `text`, other than those of this test. */
async function running(text: string): Promise<readonly string[]> {
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const lines = await Promise.all(names.map((name) => readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line.includes(text) && /mmdebstrap|dpkg|unshare/.test(line));
}

describe('a recipe on top of another', () => {
  const child = (more: Partial<Recipe>): RecipeChain => [
    tiny[0],
    { name: 'child', from: 'tiny', debian: undefined, npm: [], files: [], bin: {}, checks: [], ...more },
  ];

  test(
    'shares its files by hard links and changes none of them',
    async () => {
      lab.lines.length = 0;
      const image = await lab.build(child({ files: [{ path: '/etc/tiny.conf', content: 'second', mode: 0o644 }] }));
      expect(lab.lines.join('\n')).not.toMatch(/fetching|installing/);
      const inode = async (rootfs: string, path: string): Promise<number> => (await lstat(join(rootfs, path))).ino;
      expect(await inode(image.rootfs, 'usr/bin/jq')).toBe(await inode(first.rootfs, 'usr/bin/jq'));
      expect(await inode(image.rootfs, 'etc/tiny.conf')).not.toBe(await inode(first.rootfs, 'etc/tiny.conf'));
      const { rows } = await verifyImage(first.digest, lab.deps);
      expect(rows.filter((row) => row.verdict === 'fail')).toEqual([]);
    },
    minutes(2),
  );

  test(
    'a failing check, a missing program or a link out of the image stores nothing',
    async () => {
      const before = (await readdir(lab.deps.paths.images)).toSorted();
      const refused: readonly (readonly [Partial<Recipe>, RegExp])[] = [
        [{ checks: [{ command: ['tq', '--version'], contains: 'jq-9' }] }, /fails its checks: tq --version: expected "jq-9"/],
        [{ bin: { x: '/usr/bin/absent' } }, /\/usr\/bin\/absent for "x" is not in the image/],
        // /bin is a link; read on the host, /etc/alternatives/… and /etc/mtab are absolute ones.
        [{ files: [{ path: '/bin/x', content: '', mode: 0o755 }] }, /\/bin is not a folder in the image/],
        [{ files: [{ path: '/etc/apt', content: '', mode: 0o644 }] }, /it is a folder in the image/],
        [{ files: [{ path: '/opt/app/.env', content: 'KEY=1', mode: 0o644 }] }, /secrets: \/opt\/app\/\.env \(by name\)/],
      ];
      for (const [more, message] of refused) {
        await expect(lab.build(child(more))).rejects.toMatchObject({
          code: 'IMAGE_BUILD_FAILED',
          message: expect.stringMatching(message),
        });
      }
      expect((await readdir(lab.deps.paths.images)).toSorted()).toEqual(before);
    },
    minutes(3),
  );

  test(
    'an npm package is unpacked without its privileges, and one with another hash is refused',
    async () => {
      const { npmPackage, env } = await packageOffered();
      const deps = { ...lab.deps, env };
      const bin = { tool: '/usr/local/lib/node_modules/tool/cli.sh' };
      const checks = [{ command: ['tool'], contains: 'from the package' }];
      const image = await buildImage(child({ name: 'with-tool', npm: [npmPackage], bin, checks }), deps);
      const stats = await lstat(join(image.rootfs, bin.tool));
      expect(stats.mode & 0o7777).toBe(0o755);
      expect(tools.imageId(stats.uid) === 0 || uid !== 0).toBe(true);
      const wrong = { ...npmPackage, integrity: `sha512-${Buffer.alloc(64, 7).toString('base64')}` };
      await expect(buildImage(child({ name: 'wrong', npm: [wrong] }), deps)).rejects.toMatchObject({
        code: 'IMAGE_BUILD_FAILED',
        message: 'tool 1.0.0 from npm has another hash than the recipe pins',
      });
    },
    minutes(2),
  );
});

/** An `npm` that offers one package, set-id and writable for all as no package should be. */
async function packageOffered(): Promise<{ npmPackage: NpmPackage; env: typeof lab.deps.env }> {
  const source = join(lab.folder, 'offer');
  await mkdir(join(source, 'package'), { recursive: true });
  await mkdir(join(source, 'bin'), { recursive: true });
  await writeFile(join(source, 'package/cli.sh'), '#!/bin/sh\necho from the package\n');
  await chmod(join(source, 'package/cli.sh'), 0o6777);
  const tarball = join(source, 'tool.tgz');
  const packed = await run('tar', ['-czf', tarball, '-C', source, 'package'], { env: tools.env });
  expect(packed.exitCode).toBe(0);
  await writeFile(
    join(source, 'bin/npm'),
    `#!/bin/sh\nwhile [ "$1" != --pack-destination ]; do shift; done\ncp '${tarball}' "$2"\n`,
    { mode: 0o755 },
  );
  const integrity = `sha512-${(await hashFile(tarball, 'sha512')).toString('base64')}`;
  return {
    npmPackage: { name: 'tool', version: '1.0.0', integrity },
    env: environmentOf({ ...tools.env, PATH: `${join(source, 'bin')}:${tools.env['PATH'] ?? ''}` }),
  };
}

test(
  "a package Debian does not have is the recipe's fault, and told by name",
  async () => {
    const [recipe] = tiny;
    const chain: RecipeChain = [
      { ...recipe, name: 'unknown', debian: { suite: lab.deps.target.suite, packages: ['no-such-package-anywhere'] } },
    ];
    await expect(lab.build(chain)).rejects.toMatchObject({
      code: 'RECIPE_INVALID',
      message: expect.stringContaining('"no-such-package-anywhere"'),
    });
  },
  minutes(2),
);

test('--locked is refused where there is no lock, and where the recipe is another', async () => {
  const [recipe] = tiny;
  await expect(lab.build([{ ...recipe, name: 'never' }], { locked: true })).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' });
  await expect(lab.build([{ ...recipe, files: [] }], { locked: true })).rejects.toMatchObject({
    message: 'the recipe "tiny" has changed since its lock was written',
  });
  expect(lastOf(tiny).name).toBe('tiny');
});

test.skipIf(uid !== 0)(
  'a full disk is told in one line, and what was built so far is gone',
  async () => {
    const small = join(lab.folder, 'small');
    await mkdir(small, { mode: 0o700 });
    await tools.run('mount', ['-t', 'tmpfs', '-o', 'size=48m,mode=700', 'tmpfs', small]);
    try {
      const lock = join(lab.deps.paths.images, 'locks');
      await cp(lock, join(small, 'locks'), { recursive: true });
      const failed = buildImage(tiny, { ...lab.deps, paths: { ...lab.deps.paths, images: small } }, { locked: true });
      await expect(failed).rejects.toMatchObject({ code: 'IMAGE_BUILD_FAILED', message: 'the disk is full' });
      expect((await readdir(small)).filter((name) => name.startsWith('.build-') || name.startsWith('sha256-'))).toEqual([]);
    } finally {
      await tools.run('umount', [small]);
    }
  },
  minutes(4),
);

describe.skipIf(uid !== 0)('an ordinary user', () => {
  test(
    "builds the same image, and on disk no file of it is root's",
    async () => {
      const user = await ordinaryUser();
      const home = join(user.home, 'image-test');
      await tools.run('rm', ['-rf', home]);
      await seed(lab.deps.paths.cache, join(home, 'cache'));
      await cp(join(import.meta.dirname, '../../src'), join(home, 'program/src'), { recursive: true });
      for (const name of ['yaml', 'zod', 'canonicalize']) {
        await cp(join(import.meta.dirname, '../../node_modules', name), join(home, 'program/node_modules', name), {
          recursive: true,
        });
      }
      await cp(process.execPath, join(home, 'node'));
      await writeFile(join(home, 'program/package.json'), '{"type":"module"}');
      await cp(lab.tinyFile, join(home, 'tiny.yaml'));
      await cp(join(lab.deps.paths.images, 'locks'), join(home, 'images/locks'), { recursive: true });
      await tools.run('chmod', ['700', join(home, 'images')]);
      await tools.run('chown', ['-R', `${user.uid}:${user.gid}`, home]);
      try {
        const built = await run(
          join(home, 'node'),
          [join(home, 'program/src/cli/main.ts'), 'image', 'build', join(home, 'tiny.yaml'), '--locked', '--json'],
          {
            uid: user.uid,
            gid: user.gid,
            cwd: home,
            env: { PATH: tools.env['PATH'] ?? '', HOME: user.home, USER: user.name, CASEMATE_HOME: home },
          },
        );
        expect(built.stderr.toString()).not.toMatch(/fetching/);
        const { digest, rootfs } = JSON.parse(built.stdout.toString()) as { digest: string; rootfs: string };
        expect(digest).toBe(first.digest);
        const owners = await tools.run('find', [rootfs, '-printf', '%U:%G\n']);
        expect(new Set(owners.stdout.toString().split('\n'))).not.toContain('0:0');
        expect((await lstat(join(rootfs, 'home/agent'))).uid).toBe(user.uid);
      } finally {
        await tools.run('rm', ['-rf', '--one-file-system', home]);
      }
    },
    minutes(8),
  );
});

/** The suite's own user, made if absent, with subordinate ids. */
async function ordinaryUser(): Promise<{ name: string; uid: number; gid: number; home: string }> {
  const name = 'casemate-test';
  await run('useradd', ['--create-home', '--shell', '/bin/sh', name], { env: tools.env });
  const line =
    (await readFile('/etc/passwd', 'utf8'))
      .split('\n')
      .find((each) => each.startsWith(`${name}:`))
      ?.split(':') ?? [];
  if (!(await readFile('/etc/subuid', 'utf8')).includes(`${name}:`)) {
    await run('usermod', ['--add-subuids', '400000-465535', '--add-subgids', '400000-465535', name], { env: tools.env });
  }
  return { name, uid: Number(line[2]), gid: Number(line[3]), home: line[5] ?? '' };
}
