import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { ownMark } from '../../src/system/owner-mark.ts';
import { run } from '../../src/system/process.ts';
import { makeHome, wholeWayLacks, type Home } from '../helpers/cli.ts';
import { startCaller, type McpCaller } from '../helpers/mcp-client.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

/** Files in and out of a session, by a caller and a sandbox that both want more than they may have. */
describe.skipIf(!engineOrSkip('oci', await wholeWayLacks()))('transfers', { timeout: 180_000 }, () => {
  let home: Home;
  let caller: McpCaller;
  let sessionId = '';
  let root = '';
  let secret = '';
  let place = '';

  beforeAll(async () => {
    home = await makeHome();
    root = join(home.root, 'projects');
    secret = join(home.root, 'secret.txt');
    await mkdir(join(root, 'project'), { recursive: true });
    await writeFile(secret, 'not for you');
    caller = await startCaller(home, { args: ['--root', root] });
    sessionId = String((await caller.call('create_session', { projectPath: join(root, 'project'), agent: 'none' }))['sessionId']);
  });
  afterAll(async () => {
    await caller.close();
    await home.remove();
  });
  beforeEach(async () => {
    await rm(join(root, 'project', 'there'), { recursive: true, force: true });
    place = await mkdtemp(join(root, 'place-'));
  });

  const into = (sourcePath: string, destPath: string, more: object = {}) => ({
    sessionId,
    direction: 'to_container',
    sourcePath,
    destPath,
    ...more,
  });
  const from = (sourcePath: string, destPath: string, more: object = {}) => ({
    sessionId,
    direction: 'from_container',
    sourcePath,
    destPath,
    ...more,
  });
  const shell = async (command: string) => {
    const answer = await caller.call('execute_command', { sessionId, command });
    expect(answer, JSON.stringify(answer)).toMatchObject({ exitCode: 0 });
    return String(answer['stdout']);
  };

  it('give back a folder byte by byte, with what can be run, and name each hash', async () => {
    const source = join(place, 'out');
    await mkdir(join(source, 'deep/er'), { recursive: true });
    await mkdir(join(source, 'empty'));
    const content = randomBytes(3_000_000);
    await writeFile(join(source, 'deep/er/data.bin'), content);
    await writeFile(join(source, 'it\'s; $(touch x) `y` "z" -rf'), 'odd name');
    await writeFile(join(source, 'nothing'), '');
    await writeFile(join(source, 'tool.sh'), '#!/bin/sh\n');
    await chmod(join(source, 'tool.sh'), 0o4755);
    const sent = await caller.call('transfer_files', into(source, '/home/agent/in'));
    expect(sent).toMatchObject({ files: 4, bytes: 3_000_018 });
    expect(await shell('cd ~/in; ls -A; stat -c %a tool.sh')).toBe(
      `deep\nempty\nit's; $(touch x) \`y\` "z" -rf\nnothing\ntool.sh\n755\n`,
    );
    const back = join(place, 'back');
    const taken = await caller.call('transfer_files', from('/home/agent/in', back));
    const hashes = (answer: Record<string, unknown>) =>
      (answer['entries'] as { sha256: string }[]).map(({ sha256 }) => sha256).toSorted();
    expect(hashes(taken)).toEqual(hashes(sent));
    expect((await readFile(join(back, 'deep/er/data.bin'))).equals(content)).toBe(true);
    const compared = await run('diff', ['-r', source, back], { env: { PATH: '/usr/bin:/bin' } });
    expect(compared.stdout.toString()).toBe('');
    expect((await stat(join(back, 'tool.sh'))).mode & 0o7777).toBe(0o755);
    expect((await readdir(place)).toSorted()).toEqual(['back', 'out']);
  });

  it('put a file into a folder that is there under its own name, and replace only where that is said', async () => {
    await writeFile(join(place, 'note.txt'), 'one');
    const sent = await caller.call('transfer_files', into(join(place, 'note.txt'), '/home/agent'));
    expect(sent).toMatchObject({ entries: [{ path: '/home/agent/note.txt' }] });
    expect(await shell('cat ~/note.txt')).toBe('one');
    expect(await caller.refusal('transfer_files', into(join(place, 'note.txt'), '/home/agent/note.txt'))).toContain(
      '/home/agent/note.txt exists',
    );
    await shell('echo two > ~/note.txt');
    expect(await caller.refusal('transfer_files', from('/home/agent/note.txt', place))).toMatch(
      /^PATH_INVALID: .*note\.txt exists/,
    );
    await caller.call('transfer_files', from('/home/agent/note.txt', place, { overwrite: true }));
    expect(await readFile(join(place, 'note.txt'), 'utf8')).toBe('two\n');
    const deep = await caller.call('transfer_files', into(join(place, 'note.txt'), 'there/deep/'));
    expect(deep).toMatchObject({ entries: [{ path: '/workspace/there/deep/note.txt' }] });
    expect(await readFile(join(root, 'project/there/deep/note.txt'), 'utf8')).toBe('two\n');
  });

  it('take away what a transfer that was killed had begun to write, and nothing of one that goes on', async () => {
    const [dead, living] = ['.x.casemate-999999999-1-0123456789ab', `.x.casemate-${await ownMark()}-0123456789ab`];
    await Promise.all([dead, living, '.x.casemate'].map(async (name) => await writeFile(join(place, name), 'half')));
    await shell('echo whole > ~/whole.txt');
    await caller.call('transfer_files', from('/home/agent/whole.txt', place));
    expect((await readdir(place)).toSorted()).toEqual(['.x.casemate', living, 'whole.txt'].toSorted());
  });

  it('take a whole project while a sandbox works in it, both ways', async () => {
    await shell('echo x > kept.txt');
    await caller.call('transfer_files', into(join(root, 'project'), '/home/agent/whole'));
    expect(await shell('cat ~/whole/kept.txt; find ~/whole -type s')).toBe('x\n');
    expect(await caller.refusal('transfer_files', from('/workspace', join(place, 'whole')))).toMatch(
      /NOT_ALLOWED.*\.claude|\.vscode/,
    );
    await shell('mkdir there && cp kept.txt there/');
    await caller.call('transfer_files', from('/workspace/there', join(place, 'other')));
    expect(await readFile(join(place, 'other/kept.txt'), 'utf8')).toBe('x\n');
  });

  it('follow no link that a sandbox made, on either side', async () => {
    await shell(
      `mkdir there && cd there && ln -s ${secret} leak && ln -s ${home.root} up && mkfifo pipe && mkdir real && echo x > real/x`,
    );
    const there = join(root, 'project/there');
    for (const [source, why] of [
      [join(there, 'leak'), 'symbolic link'],
      [join(there, 'up/secret.txt'), 'symbolic link'],
      [join(there, 'pipe'), 'neither a file nor a folder'],
      [there, 'symbolic link'],
    ] as const) {
      expect(await caller.refusal('transfer_files', into(source, '/home/agent/got')), source).toContain(why);
    }
    for (const dest of [join(there, 'up/planted'), join(there, 'up/projects/planted')]) {
      expect(await caller.refusal('transfer_files', from('/etc/debian_version', dest)), dest).toContain('symbolic link');
    }
    expect(
      await caller.refusal('transfer_files', from('/etc/debian_version', join(there, 'leak'), { overwrite: true })),
    ).toContain('no plain file');
    expect(await readFile(secret, 'utf8')).toBe('not for you');
    expect(await readdir(home.root)).not.toContain('planted');
    // Out of the sandbox, too, nothing but plain files comes.
    for (const [source, why] of [
      ['/workspace/there/leak', 'symbolic link'],
      ['/workspace/there', 'symbolic link'],
      ['/workspace/there/pipe', 'neither a file nor a folder'],
      ['/dev/null', 'neither a file nor a folder'],
      ['/no/such', 'No such file'],
    ] as const) {
      expect(await caller.refusal('transfer_files', from(source, join(place, 'got'))), source).toContain(why);
    }
    await shell('cd there && ln real/x real/hard');
    expect(await caller.refusal('transfer_files', from('/workspace/there/real', join(place, 'got')))).toContain('hard link');
    await link(secret, join(place, 'hard'));
    expect(await caller.refusal('transfer_files', into(join(place, 'hard'), '/home/agent/got'))).toContain('hard link');
  });

  it('cannot leave the roots, nor reach what is private in them', async () => {
    await symlink(home.root, join(place, 'out'));
    const outside = [
      secret,
      '/etc/passwd',
      `${root}/../secret.txt`,
      `${root}/./project`,
      `${root}-other/x`,
      'project/x',
      join(place, 'out/secret.txt'),
    ];
    for (const path of outside) {
      expect(await caller.refusal('transfer_files', into(path, '/home/agent/got')), path).toMatch(
        /^(?:NOT_ALLOWED|PATH_INVALID): /,
      );
      expect(await caller.refusal('transfer_files', from('/etc/debian_version', path, { overwrite: true })), path).toMatch(
        /^(?:NOT_ALLOWED|PATH_INVALID): /,
      );
    }
    const wide = await startCaller(home, { args: ['--root', home.root] });
    for (const path of [
      home.paths.state,
      join(home.paths.config, 'policy.yaml'),
      join(home.env['HOME'] ?? '', '.ssh/authorized_keys'),
    ]) {
      const { sessionId: own } = await wide.call('create_session', { projectPath: join(root, 'project'), agent: 'none' });
      expect(await wide.refusal('transfer_files', { ...into(path, '/home/agent/got'), sessionId: own }), path).toContain(
        'is refused',
      );
      expect(await wide.refusal('transfer_files', { ...from('/etc/debian_version', path), sessionId: own }), path).toContain(
        'is refused',
      );
    }
    await wide.close();
  });

  it('write nothing that programs of the host act on by themselves', async () => {
    await shell('mkdir -p ~/tree/.git/hooks ~/tree/sub && echo x > ~/tree/.git/hooks/pre-commit && echo x > ~/tree/.envrc');
    for (const dest of ['.git/hooks/post-checkout', '.envrc', 'sub/.vscode/tasks.json', '.MCP.json', '.git/config']) {
      expect(await caller.refusal('transfer_files', from('/etc/debian_version', join(place, dest))), dest).toContain(
        'NOT_ALLOWED',
      );
    }
    expect(await caller.refusal('transfer_files', from('/home/agent/tree', join(place, 'tree')))).toContain('NOT_ALLOWED');
    expect(await readdir(join(place, 'tree')).catch(() => [])).not.toContain('.envrc');
  });

  it('bring no repository out, nor what the settings of one name: git runs both by itself', async () => {
    const fsmonitor = String.raw`[core]\n\tbare = false\n\tworktree = .\n\tfsmonitor = touch ran; false\n`;
    await shell(
      'mkdir -p ~/bare/objects/x ~/bare/refs/heads ~/bare/src && cd ~/bare && echo x > objects/x/y && echo x > refs/heads/main && echo x > src/refs && ' +
        `echo "ref: refs/heads/main" > HEAD && printf '${fsmonitor}' > config`,
    );
    const whole = join(place, 'whole');
    expect(await caller.refusal('transfer_files', from('/home/agent/bare', whole))).toContain('is a git repository');
    const pieces = join(place, 'pieces');
    for (const name of ['config', 'objects', 'HEAD', 'src']) {
      expect(await caller.call('transfer_files', from(`/home/agent/bare/${name}`, join(pieces, name)))).toMatchObject({
        files: 1,
      });
    }
    for (const name of ['refs', 'refs/heads']) {
      expect(await caller.refusal('transfer_files', from(`/home/agent/bare/${name}`, join(pieces, name)))).toContain(
        'NOT_ALLOWED',
      );
    }
    for (const folder of [whole, pieces]) {
      const { exitCode } = await run('git', ['-C', folder, 'status'], { env: { PATH: '/usr/bin:/bin', HOME: '/nonexistent' } });
      expect([exitCode, await readdir(folder)]).toEqual([128, expect.not.arrayContaining(['ran'])]);
    }
    await mkdir(join(place, 'own/.git'), { recursive: true });
    await writeFile(join(place, 'own/.git/config'), '[core] hooksPath = tools/hooks\n');
    for (const name of ['own/tools/hooks', 'own/tools/hooks/pre-commit']) {
      const refusal = await caller.refusal('transfer_files', from('/home/agent/bare/config', join(place, name)));
      expect(refusal).toContain('the settings of git name');
    }
    for (const name of ['own/tools/h', `${'é'.repeat(120)}.txt`]) {
      expect(await caller.call('transfer_files', from('/home/agent/bare/config', join(place, name)))).toMatchObject({ files: 1 });
    }
  });

  it('bring no phantom out, however it is cut, and say so in the journal', async () => {
    const key = `cmph_${'Ab0'.repeat(14)}A`;
    await shell(
      `mkdir ~/kept; printf plain > ~/kept/a; printf '%s' 'x${'y'.repeat(70_000)}${key}' > ~/kept/b; printf '${key.slice(0, 20)} cmph_ ${key.slice(20)}' > ~/kept/c`,
    );
    const back = join(place, 'back');
    expect(await caller.refusal('transfer_files', from('/home/agent/kept', back))).toContain('would hold a phantom');
    expect((await readdir(back)).filter((name) => name !== 'a' && name !== 'c')).toEqual([]);
    expect(await caller.call('transfer_files', from('/home/agent/kept/c', join(place, 'c')))).toMatchObject({ files: 1 });
    const { out } = await home.casemate(['journal', 'query', '--json', '--action', 'alarm.']);
    expect(out).toContain(`"subject":"${back}/b"`);
    expect(out).not.toContain(key);
  });

  it('stop at their limits, and leave nothing half-written', async () => {
    await shell('mkdir ~/many && cd ~/many && seq 1 10001 | xargs touch');
    expect(await caller.refusal('transfer_files', from('/home/agent/many', join(place, 'many')))).toContain(
      'more than 10000 files',
    );
    await shell('truncate -s 1100M ~/large');
    expect(await caller.refusal('transfer_files', from('/home/agent/large', join(place, 'large')))).toContain('bytes');
    expect(await readdir(place)).not.toContain('large');
    await shell('rm ~/large; rm -r ~/many');
    expect((await readdir(place)).filter((name) => name.includes('casemate-'))).toEqual([]);
  });
});
