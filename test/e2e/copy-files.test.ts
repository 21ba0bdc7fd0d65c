import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('casemate cp', () => {
  let home: Home;
  let outside: string;
  const inside = async (script: string) => await home.casemate(['exec', 'box', '--no-tty', '--', 'sh', '-c', script]);

  beforeAll(async () => {
    home = await makeHome();
    outside = join(home.root, 'outside');
    await mkdir(outside);
    expect(await home.casemate(['create', 'box'])).toMatchObject({ code: 0 });
    expect(await home.casemate(['start', 'box'])).toMatchObject({ code: 0 });
  });
  afterAll(async () => await home.remove());

  it('copies a folder out and in again, byte for byte', async () => {
    await inside('mkdir -p ~/made/deep && head -c 300000 /dev/urandom > ~/made/deep/bytes && echo text > ~/made/text');
    const out = await home.casemate(['cp', 'box:/home/agent/made', '.', '--json'], { cwd: outside });
    expect(out).toMatchObject({ code: 0, err: '' });
    expect(JSON.parse(out.out)).toMatchObject({ files: 2, bytes: 300_005 });
    expect(await home.casemate(['cp', join(outside, 'made'), 'box:/tmp/'])).toMatchObject({
      code: 0,
      out: '2 files, 293 KiB, the same at both ends\n',
    });
    expect(await inside('diff -r ~/made /tmp/made')).toMatchObject({ code: 0, out: '' });
  });

  it('replaces what is there only when told to', async () => {
    await writeFile(join(outside, 'text'), 'mine\n');
    const args = ['cp', 'box:/home/agent/made/text', './text'];
    const refused = await home.casemate(args, { cwd: outside });
    expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('exists') });
    expect(await readFile(join(outside, 'text'), 'utf8')).toBe('mine\n');
    expect(await home.casemate([...args, '--overwrite'], { cwd: outside })).toMatchObject({ code: 0 });
    expect(await readFile(join(outside, 'text'), 'utf8')).toBe('text\n');
  });

  it('follows no link that a sandbox made, and writes nothing that programs of the host act on', async () => {
    const secret = join(home.root, 'secret');
    await mkdir(secret);
    await writeFile(join(secret, 'key'), 'canary\n');
    await symlink(secret, join(home.project, 'link'));
    const into = await home.casemate(['cp', 'box:/home/agent/made/text', 'link/']);
    const read = await home.casemate(['cp', 'link/key', 'box:/tmp/']);
    const hook = await home.casemate(['cp', 'box:/home/agent/made/text', join(outside, '.envrc')]);
    expect([into.code, read.code, hook.code]).toEqual([2, 2, 125]);
    expect(hook.err).toContain('programs of the host act on .envrc');
    expect(await readdir(secret)).toEqual(['key']);
    expect(await inside('ls /tmp')).toMatchObject({ out: expect.not.stringContaining('key') });
    // The control: the same file under its own name goes.
    expect(await home.casemate(['cp', join(secret, 'key'), 'box:/tmp/'])).toMatchObject({ code: 0 });
  });

  it.each([
    [['cp', 'one', 'two'], 'neither argument is a path in a sandbox'],
    [['cp', 'box:one', 'box:two'], 'both arguments are paths in a sandbox'],
    [['cp', 'box:one'], 'DESTINATION'],
    [['cp', 'gone:one', '.'], 'no sandbox is named "gone"'],
    [['cp', 'box:nothing-there', '.'], '/workspace/nothing-there: No such file or directory'],
    [['cp', './nothing-here', 'box:'], 'nothing-here does not exist'],
  ])('says in a line what is wrong with %j', async (args, words) => {
    const { code, out, err } = await home.casemate(args);
    expect({ code, out, err }).toMatchObject({ code: 2, out: '', err: expect.stringContaining(words) });
  });
});
