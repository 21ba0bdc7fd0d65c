/** Removing what a sandbox built, as an ordinary user: modes and depths that stop `rm -r`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { removeTree } from '../../src/system/remove-tree.ts';
import { run } from '../../src/system/process.ts';

const source = resolve(import.meta.dirname, '../../src/system/remove-tree.ts');
const env = { PATH: '/usr/bin:/bin' };
/** an ordinary user that every Debian has; root passes over modes, so as root the removal is done as this one */
const nobody = 65_534;
const isRoot = process.geteuid?.() === 0;
const asUser = isRoot ? { uid: nobody, gid: nobody } : {};

describe('removeTree', () => {
  let folder: string;

  beforeEach(async () => {
    folder = await mkdtemp('/var/tmp/casemate-remove-');
    if (isRoot) {
      await chown(folder, nobody, nobody);
    }
  });

  afterEach(async () => {
    await run('chmod', ['-R', 'u+rwx', folder], { env });
    await run('rm', ['-rf', folder], { env });
  });

  /** In a process of its own, as the ordinary user. */
  async function build(script: string): Promise<void> {
    expect((await run('perl', ['-e', script, folder], { env, ...asUser })).stderr.toString()).toBe('');
  }

  async function removed(): Promise<string> {
    // Read by us and handed over as text: the checkout may lie where an ordinary user cannot go.
    const text = (await readFile(source, 'utf8')).replace(
      "'./files.ts'",
      "'data:text/javascript,export const isErrno = (error, code) => error.code === code;'",
    );
    const code = `${text}\nawait removeTree(${JSON.stringify(join(folder, 'home'))});`;
    const { stderr } = await run(process.execPath, ['--input-type=module-typescript', '-e', code], {
      env,
      cwd: '/',
      ...asUser,
      timeoutMs: 30_000,
    });
    return stderr.toString();
  }

  const exists = async (path: string): Promise<boolean> =>
    await lstat(path).then(
      () => true,
      () => false,
    );

  it('removes folders that their owner may not enter, list or change', async () => {
    await build(
      'chdir shift; mkdir "home"; for my $m (0, 0100, 0400, 0500) { my $d = "home/$m"; mkdir $d; mkdir "$d/in"; open F, ">", "$d/in/file"; chmod 0, "$d/in"; chmod $m, $d } mkdir "home/\\xff\\xfe"; open F, ">", "home/\\xff\\xfe/\\x80"; chmod 0, "home"',
    );
    expect(await removed()).toBe('');
    expect(await exists(join(folder, 'home'))).toBe(false);
  });

  it('removes folders deeper than a path can name', async () => {
    await build(
      'chdir shift; mkdir "home"; chdir "home"; for (1 .. 60) { mkdir "x" x 200; chdir "x" x 200 or die $! } open F, ">", "deepest"',
    );
    expect(await removed()).toBe('');
    expect(await exists(join(folder, 'home'))).toBe(false);
  });

  it('removes links and leaves what they lead to', async () => {
    const outside = join(folder, 'outside');
    await build('chdir shift; mkdir "home"; mkdir "home/closed"; mkdir "outside"');
    await writeFile(join(outside, 'kept'), 'kept');
    await symlink(outside, join(folder, 'home/closed/link'));
    await symlink('/nowhere', join(folder, 'home/dangling'));
    await build('chdir shift; chmod 0, "home/closed"');
    expect(await removed()).toBe('');
    expect(await exists(join(folder, 'home'))).toBe(false);
    expect(await readFile(join(outside, 'kept'), 'utf8')).toBe('kept');
    expect((await lstat(outside)).mode & 0o777).not.toBe(0o700);
  });

  it('follows no link that takes the place of a folder while it is removed', async () => {
    const names = 400;
    const inside = join(folder, 'home');
    const outside = join(folder, 'outside');
    const swaps = `my ($at, $outside) = @ARGV; $| = 1; my $n = 0; my $end = time + 60;
      while (time < $end) { rename "$at/d", "$at/e" or last; symlink $outside, "$at/d"; unlink "$at/d"; mkdir "$at/f"; rename "$at/e", "$at/d"; print "." if ++$n == 50 }`;
    for (let round = 0; round < 6; round += 1) {
      await build(
        `chdir shift; mkdir "outside"; mkdir "home"; mkdir "home/d"; for my $f (1 .. ${names}) { for my $d ("home/d", "outside") { open F, ">", "$d/$f" } }`,
      );
      const swapping = spawn('perl', ['-e', swaps, inside, outside], { env, ...asUser, stdio: ['ignore', 'pipe', 'ignore'] });
      const ended = once(swapping, 'close');
      await once(swapping.stdout, 'data');
      // The one that swaps ends by itself where the folder is gone, and is ended otherwise: then it was never empty.
      await removeTree(inside).catch(() => undefined);
      swapping.kill('SIGKILL');
      await ended;
      expect(await readdir(outside)).toHaveLength(names);
      await removeTree(inside);
      await removeTree(outside);
    }
  });

  it('removes what was put there as it went, once that has an end', async () => {
    await build('chdir shift; mkdir "home"; mkdir "home/d"; for my $f (1 .. 300) { open F, ">", "home/d/$f" }');
    const adds = 'my $d = shift; for my $n (1 .. 200) { mkdir "$d/home/d/new$n" or last; print "." if $n == 1 }';
    const adding = spawn('perl', ['-e', adds, folder], { env, ...asUser, stdio: ['ignore', 'pipe', 'ignore'] });
    const ended = once(adding, 'close');
    await once(adding.stdout, 'data');
    await Promise.all([removeTree(join(folder, 'home')).catch(() => undefined), ended]);
    await removeTree(join(folder, 'home'));
    expect(await exists(join(folder, 'home'))).toBe(false);
  });

  it('has nothing to do where there is nothing', async () => {
    await expect(removeTree(join(folder, 'absent'))).resolves.toBeUndefined();
    await rm(folder, { recursive: true });
  });
});
