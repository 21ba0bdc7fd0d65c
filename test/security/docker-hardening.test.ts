/** What holds a sandbox under Docker, asked of the kernel and from inside; and that an engine which does other than asked is stopped. */
import { mkdir, readFile, rename, symlink, writeFile, chown, lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { dockerClient } from '../../src/engines/docker/docker-client.ts';
import { dockerEngine } from '../../src/engines/docker/engine.ts';
import { fieldsOf } from '../../src/engines/docker/read-json.ts';
import { run } from '../../src/system/process.ts';
import { dockerLab, dockerLacks, dockerSocket, workspaceOwner, type DockerLab } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';
import { tamperingEngine } from '../helpers/tampering-engine.ts';

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('a sandbox under Docker', () => {
  let lab: DockerLab;
  let spec: SandboxSpec;
  beforeAll(async () => {
    lab = await dockerLab();
    const made = await lab.spec();
    await git(made.workspace.path);
    spec = {
      ...made,
      workspace: { ...made.workspace, protect: ['.git/config', '.git/hooks', '.npmrc', '.claude/settings.json'] },
    };
    await lab.engine.create(spec);
    await lab.engine.start(spec.id);
  });
  afterAll(async () => {
    await lab.remove();
  });
  /** Empty of one that ended meanwhile, as what carried the command before may. */
  const statusOf = async (pid: number) => await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const inside = async (command: string) => lab.inside(spec.id, ['bash', '-c', command]);
  const perl = async (program: string) => lab.inside(spec.id, ['perl', '-e', program]);

  test('has no right, no way to one, and a filter of system calls, in every process', async () => {
    const { out } = await inside('cat /proc/self/status');
    const statuses = [
      out,
      ...(await Promise.all((await lab.engine.processes(spec.id)).map(statusOf))).filter((status) => status !== ''),
    ];
    expect(statuses.length).toBeGreaterThan(1);
    for (const status of statuses) {
      expect(status.match(/^Cap\w+:\s*0+$/gm)).toHaveLength(5);
      expect(status).toMatch(/^NoNewPrivs:\s*1$/m);
      expect(status).toMatch(/^Seccomp:\s*2$/m);
      expect(status).not.toMatch(/^Uid:.*\b0\b/m);
    }
    expect(out).toMatch(new RegExp(`^Uid:\\s*${workspaceOwner}\\s`, 'm'));
  });

  test('finds the system read-only, memory for temporary files, and nothing of the host below /sys', async () => {
    expect((await inside('echo x > /etc/x')).code).not.toBe(0);
    const { out } = await inside('cat /proc/self/mountinfo');
    const options = (place: string): string =>
      out
        .split('\n')
        .find((row) => row.split(' ')[4] === place)
        ?.split(' ')[5] ?? '';
    for (const place of ['/tmp', '/var/tmp', '/run', '/dev/shm']) {
      expect(options(place)).toMatch(/nosuid,nodev/);
    }
    expect(options('/')).toMatch(/^ro\b/);
    for (const place of [
      '/',
      '/workspace',
      '/workspace/.git',
      '/workspace/.git/config',
      '/home/agent',
      '/etc/hosts',
      '/etc/passwd',
    ]) {
      expect(options(place), place).toMatch(/nosuid,nodev/);
    }
    expect((await inside('ls -A /sys | wc -l')).out).toBe('0\n');
    expect((await inside('cat /proc/kallsyms /proc/keys /proc/timer_list 2>/dev/null | wc -c')).out).toBe('0\n');
    expect((await inside('echo x > /proc/sys/kernel/core_pattern')).code).not.toBe(0);
  });

  test('has no interface but lo, and no socket of another family', async () => {
    expect((await inside("tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '")).out).toBe('lo\n');
    // AF_ALG, AF_VSOCK, AF_PACKET, AF_TIPC; AF_INET with raw
    const { out } = await perl(
      'print join " ", map { socket(my $s, $_->[0], $_->[1], 0) ? "open" : 0 + $! } [38,5],[40,1],[17,3],[30,1],[2,3]',
    );
    expect(out.split(' ')).toEqual(['1', '1', '1', '1', '1']);
    expect((await perl('print socket(my $s, 2, 1, 0) ? "open" : 0 + $!')).out).toBe('open');
  });

  test('is answered "not implemented" where a program can do without, and refused elsewhere', async () => {
    // clone3, unshare of a user namespace, mount, bpf
    const { out } = await perl(
      'print join " ", map { my ($n, @a) = @$_; syscall($n, @a) < 0 ? 0 + $! : "done" } [435, 0, 0], [272, 0x10000000], [165, 0, 0, 0, 0, 0], [321, 0, 0, 0]',
    );
    expect(out).toBe(process.arch === 'x64' ? '38 1 1 1' : out);
  });

  test('cannot write, replace or make a protected name', async () => {
    for (const command of [
      'echo x >> .git/config',
      'rm -f .git/config',
      'mv .git .git2',
      'echo x > .git/hooks/pre-commit',
      'rm -rf .npmrc && echo x > .npmrc',
      'echo x > .npmrc',
      'mkdir -p .claude && echo x > .claude/settings.json',
    ]) {
      expect((await inside(command)).code, command).not.toBe(0);
    }
    expect((await inside('echo x > .git/HEAD && cat .npmrc && git status --short | wc -l')).code).toBe(0);
    expect(await readFile(join(spec.workspace.path, '.git/config'), 'utf8')).toBe('[core]\n');
  });

  test('finds its limits in the kernel', async () => {
    const [pid] = await lab.engine.processes(spec.id);
    const limits = await readFile(`/proc/${pid}/limits`, 'utf8');
    expect(limits).toMatch(/Max core file size\s+1\s+1\s/);
    expect(limits).toMatch(new RegExp(`Max open files\\s+${spec.limits.openFiles}\\s`));
    const forks = await perl(
      'my $n = 0; for (1..400) { my $p = fork(); last unless defined $p; if (!$p) { sleep 30; exit } $n++ } print $n; kill 9, -$$',
    );
    expect(forks.code).not.toBe(0);
    // Those that were killed count until they are buried.
    await expect.poll(async () => (await inside('true')).code).toBe(0);
    const { memoryBytes } = await lab.engine.stats(spec.id);
    expect(memoryBytes).toBeGreaterThan(0);
    expect(memoryBytes).toBeLessThan(spec.limits.memoryBytes);
  });

  test('says why a command could not be started, and shows its message to nobody', async () => {
    const { file, args, env, errorLog } = await lab.engine.attach(spec.id, {
      command: ['no-such-program'],
      tty: false,
      executionId: 'absent',
    });
    const result = await run(file, args, { env, timeoutMs: 50_000 });
    expect(result.exitCode).not.toBe(0);
    expect(result.stdout.toString('utf8')).toBe('');
    expect(await readFile(errorLog, 'utf8')).toMatch(/exec failed: .*executable file not found/s);
  });

  test('gives a command a terminal where it asks for one', async () => {
    const { out } = await lab.inside(spec.id, ['sh', '-c', 'test -t 0 && test -t 1 && echo yes'], { tty: true });
    expect(out).toBe('yes\r\n');
  });
});

describe.skipIf(!engineOrSkip('docker', await dockerLacks()))('the docker engine', () => {
  let lab: DockerLab;
  beforeAll(async () => {
    lab = await dockerLab();
  });
  afterAll(async () => {
    await lab.remove();
  });

  test('starts nothing that lacks a layer until a human waives it by name', async () => {
    const spec = await lab.spec({ waived: ['disk-limit'] });
    await expect(lab.engine.create(spec)).rejects.toMatchObject({
      code: 'LAYER_MISSING',
      message: expect.stringContaining('user-namespace'),
    });
  });

  test.runIf(workspaceOwner === 1000)('never runs as root: a workspace of root is refused', async () => {
    const spec = await lab.spec();
    await chown(spec.workspace.path, 0, 0);
    await expect(lab.engine.create(spec)).rejects.toMatchObject({ code: 'PATH_INVALID' });
    expect(await lab.engine.list(lab.owner)).toEqual([]);
  });

  test.each<[string, (host: Record<string, unknown>) => Record<string, unknown>]>([
    ['HostConfig.CapDrop', (host) => ({ ...host, CapDrop: [] })],
    ['HostConfig.SecurityOpt', (host) => ({ ...host, SecurityOpt: ['no-new-privileges', 'seccomp=unconfined'] })],
    ['HostConfig.ReadonlyRootfs', (host) => ({ ...host, ReadonlyRootfs: false })],
    ['HostConfig.MaskedPaths', (host) => ({ ...host, MaskedPaths: [] })],
    ['HostConfig.PidsLimit', (host) => ({ ...host, PidsLimit: 100_000 })],
    ['HostConfig.IpcMode', (host) => ({ ...host, IpcMode: 'shareable' })],
    ['HostConfig.Ulimits', (host) => ({ ...host, Ulimits: [] })],
    ['HostConfig.CapAdd', (host) => ({ ...host, CapAdd: ['SYS_ADMIN'] })],
  ])('stops a container that was made with another %s', async (name, change) => {
    const tampering = await tamperingEngine(dockerSocket, join(lab.folder, `t${Math.random().toString(36).slice(2)}`), change);
    const engine = dockerEngine({ ...lab.options, socket: tampering.socket });
    const spec = await lab.spec();
    await expect(engine.create(spec)).rejects.toThrow(`other than asked: ${name}`);
    expect((await lab.engine.list(lab.owner)).filter(({ id }) => id === spec.id)).toEqual([]);
    await tampering.close();
  });

  test('stops a sandbox that shows another folder than it was made for', async () => {
    const spec = await lab.spec();
    await lab.engine.create(spec);
    const secret = join(lab.folder, 'secret');
    await mkdir(secret);
    await chown(secret, workspaceOwner, workspaceOwner);
    await rename(spec.workspace.path, `${spec.workspace.path}-away`);
    await symlink(secret, spec.workspace.path);
    await expect(lab.engine.start(spec.id)).rejects.toThrow('shows something else at /workspace');
    expect(await lab.engine.processes(spec.id)).toEqual([]);
    await lab.engine.remove(spec.id);
  });

  test('neither lists nor touches a container of somebody else, whatever its labels say', async () => {
    const spec = await lab.started();
    const client = dockerClient(dockerSocket);
    const [own] = await containersOf(spec.id);
    const Image = String(fieldsOf(await client.must('GET', `/containers/${String(own)}/json`))['Image']);
    const foreign = async (Labels: Record<string, string>): Promise<string> =>
      String(fieldsOf(await client.must('POST', '/containers/create', { body: { Image, Cmd: ['true'], Labels } }))['Id']);
    const strangers = [
      await foreign({}),
      await foreign({ 'casemate.sandbox': spec.id, 'casemate.owner': lab.owner, 'casemate.part': 'sandbox' }),
      await foreign({ 'casemate.engine': 'f'.repeat(32), 'casemate.sandbox': spec.id, 'casemate.part': 'keeper' }),
    ];
    try {
      await lab.engine.stop(spec.id, { graceMs: 0 });
      await lab.engine.tidy();
      await lab.engine.remove(spec.id);
      const left = await Promise.all(strangers.map(async (id) => (await client.call('GET', `/containers/${id}/json`)).status));
      expect(left).toEqual([200, 200, 200]);
      expect(await containersOf(spec.id)).toEqual(expect.not.arrayContaining([own]));
    } finally {
      await Promise.all(strangers.map((id) => client.call('DELETE', `/containers/${id}`)));
    }
  });

  test('removes what a killed process left: containers without a record, placeholders with the sandbox', async () => {
    const made = await lab.spec();
    const spec = { ...made, workspace: { ...made.workspace, protect: ['.npmrc', '.claude'] } };
    await lab.engine.create(spec);
    expect((await lstat(join(spec.workspace.path, '.npmrc'))).isSocket()).toBe(true);
    const lost = await lab.spec();
    await lab.engine.create(lost);
    await lab.context.records.remove(lost.id);
    const other = lab.other();
    await other.tidy();
    expect(await containersOf(lost.id)).toEqual([]);
    expect(await containersOf(spec.id)).toHaveLength(2);
    await other.remove(spec.id);
    await expect(lstat(join(spec.workspace.path, '.npmrc'))).rejects.toThrow('ENOENT');
    expect(await containersOf(spec.id)).toEqual([]);
  });
});

async function containersOf(sandbox: string): Promise<readonly unknown[]> {
  const filters = JSON.stringify({ label: [`casemate.sandbox=${sandbox}`, 'casemate.owner=test'] });
  const rows = await dockerClient(dockerSocket).must('GET', '/containers/json', { query: { all: true, filters } });
  return Array.isArray(rows) ? rows.map((row) => fieldsOf(row)['Id']) : [];
}

/** The few files that make a folder a repository. */
async function git(workspace: string): Promise<void> {
  await mkdir(join(workspace, '.git/hooks'), { recursive: true });
  await mkdir(join(workspace, '.git/objects'));
  await mkdir(join(workspace, '.git/refs'));
  await writeFile(join(workspace, '.git/HEAD'), 'ref: refs/heads/main\n');
  await writeFile(join(workspace, '.git/config'), '[core]\n');
  await Promise.all(
    ['.git', '.git/hooks', '.git/objects', '.git/refs', '.git/HEAD', '.git/config'].map((path) =>
      chown(join(workspace, path), workspaceOwner, workspaceOwner),
    ),
  );
}
