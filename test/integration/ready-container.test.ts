/** A container that waits for its sandbox: who gets it, what it shows then, and that nothing of it stays behind. */
import { mkdir, readFile, readdir, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import type { Engine, SandboxSpec } from '../../src/engines/engine.ts';
import { engineLayout } from '../../src/engines/oci/folders.ts';
import type { ReadyTimes } from '../../src/engines/oci/ready-place.ts';
import { emptyJson } from '../../src/engines/workspace/cover-files.ts';
import { engineRecords, type EngineRecord } from '../../src/engines/records.ts';
import { identifyProcess } from '../../src/system/process-identity.ts';
import { run, spawnProcess } from '../../src/system/process.ts';
import { ociLab, ociLacks, uid, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const fixture = resolve(import.meta.dirname, '../fixtures/hold-ready.ts');
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('a container that is made ahead', () => {
  let lab: OciLab;

  beforeEach(async () => {
    lab = await ociLab('runc', { prepares: true });
  });
  afterEach(async () => {
    await lab.remove();
    expect(await remains()).toEqual(nothing);
  });

  const nothing = { records: [], slots: [], runtime: [], folders: [], homes: [] };
  const folderOf = (path: string): Promise<readonly string[]> => readdir(join(lab.folder, path)).catch(() => []);

  async function remains() {
    return {
      records: await folderOf('state/sandboxes'),
      slots: await folderOf('state/slots'),
      runtime: await folderOf('run/runc'),
      folders: await folderOf('run/sandboxes'),
      homes: (await folderOf('state/blanks')).filter((name) => name.startsWith('held-')),
    };
  }

  const records = () => engineRecords(engineLayout(lab.options.folders).records);

  interface Waiting {
    readonly record: EngineRecord;
    readonly pid: number;
  }

  /** The one that waits, once its first process is known. */
  async function waiting(): Promise<Waiting> {
    const { promise, resolve: found } = Promise.withResolvers<Waiting>();
    const look = async (): Promise<boolean> => {
      const record = (await records().all()).find(({ ready }) => ready === true);
      const file = join(lab.folder, 'run/sandboxes', record?.spec.id ?? 'none', 'init.json');
      const text = await readFile(file, 'utf8').catch(() => '');
      if (record !== undefined && text !== '') {
        found({ record, pid: JSON.parse(text).pid });
      }
      return text !== '';
    };
    await expect.poll(look, { timeout: 50_000, interval: 20 }).toBe(true);
    return await promise;
  }

  async function madeReady(changes: Partial<SandboxSpec> = {}): Promise<Waiting> {
    const spec = await lab.spec(changes);
    await lab.engine.create(spec);
    await lab.engine.remove(spec.id);
    return await waiting();
  }

  const containerOf = async (spec: SandboxSpec): Promise<string | undefined> => (await records().get(spec.id)).container;

  it('waits with nothing of a sandbox in it, and is no sandbox', async () => {
    const { record, pid } = await madeReady({ env: { SECRET: 'phantom' }, hostname: 'first' });
    expect(await lab.engine.list(lab.owner)).toEqual([]);
    const read = (name: string): Promise<string> => readFile(`/proc/${pid}/${name}`, 'utf8');
    expect(await read('environ')).not.toContain('phantom');
    expect(JSON.stringify(record)).not.toContain('phantom');
    expect(await read('mountinfo')).not.toContain(join(lab.folder, 'work-'));
    expect(await read('mountinfo')).not.toContain(join(lab.folder, 'home-'));
    expect((await run('nsenter', ['--target', String(pid), '--uts', '--user', 'hostname'], { env })).stdout.toString()).toBe(
      'ready\n',
    );
  });

  it('becomes the next sandbox of its kind, with that one’s name, mounts and protections, and goes with it', async () => {
    const { record, pid } = await madeReady();
    const base = await lab.spec({ hostname: 'second', env: { PATH: '/usr/bin:/bin', MARK: 'm' } });
    const spec = { ...base, workspace: { ...base.workspace, protect: ['.git/hooks', '.mcp.json'] } };
    await mkdir(spec.home);
    await writeFile(join(spec.home, 'settings'), 'mine');
    await writeFile(join(spec.workspace.path, 'file'), 'work');
    await lab.engine.create(spec);
    await lab.engine.start(spec.id);
    expect(await containerOf(spec)).toBe(record.spec.id);
    expect((await lab.engine.processes(spec.id))[0]).toBe(pid);
    const script =
      'hostname; cat /home/agent/settings file /etc/resolv.conf; echo; echo $MARK; mkdir -p .git/hooks && touch .git/hooks/x; echo x > .mcp.json; cat .mcp.json; touch made /home/agent/made; stat -c %u made';
    const { out } = await lab.inside(spec.id, ['sh', '-c', script]);
    expect(out).toBe(`second\nmineworknameserver 127.0.0.1\n\nm\n${emptyJson}1000\n`);
    expect(await lab.engine.stats(spec.id)).toMatchObject({ pids: expect.any(Number) });
    await lab.engine.stop(spec.id, { graceMs: 500 });
    await lab.engine.start(spec.id);
    expect(await containerOf(spec)).toBeUndefined();
    expect((await lab.inside(spec.id, ['cat', 'file', '/home/agent/settings'])).out).toBe('workmine');
    await lab.engine.remove(spec.id);
    expect((await readdir(spec.workspace.path)).toSorted()).toEqual(['file', 'made']);
  });

  it('has a blank home mounted, which the next sandbox gets with its own files in it', async () => {
    const { record } = await madeReady();
    const held = await stat(join(lab.folder, 'state/blanks', `held-${record.spec.id}.ext4`)).catch(() => undefined);
    if (held === undefined) {
      process.stderr.write('not tried: this host limits no home\n');
      return;
    }
    const spec = await lab.spec();
    await mkdir(join(spec.home, '.agent/inner'), { recursive: true, mode: 0o700 });
    await writeFile(join(spec.home, '.agent/inner/secret'), 'x'.repeat(600_000), { mode: 0o400 });
    await writeFile(join(spec.home, '.agent/run.sh'), '', { mode: 0o755 });
    await symlink('/etc/passwd', join(spec.home, 'link'));
    await lab.engine.create(spec);
    await lab.engine.start(spec.id);
    expect(await containerOf(spec)).toBe(record.spec.id);
    expect((await stat(`${spec.home}.ext4`)).ino).toBe(held.ino);
    const look = 'cd; find . -mindepth 1 | sort | xargs stat -c "%n %a %U %s" ; readlink link; ls -d lost+found';
    expect((await lab.inside(spec.id, ['sh', '-c', look])).out.replaceAll(/ (?:4096|1024)$/gm, '')).toBe(
      './.agent 700 agent\n./.agent/inner 700 agent\n./.agent/inner/secret 400 agent 600000\n./.agent/run.sh 755 agent 0\n./link 777 agent 11\n/etc/passwd\n',
    );
    await lab.engine.stop(spec.id, { graceMs: 0 });
    await lab.engine.start(spec.id);
    expect((await lab.inside(spec.id, ['wc', '-c', '/home/agent/.agent/inner/secret'])).out).toMatch(/^600000 /);
    await lab.engine.remove(spec.id);
  });

  const ports = { tcp: [8080, 8443], udp: [5353] };

  /** Ports that are listened on in the network of a process, as the kernel lists them. */
  async function listening(pid: number): Promise<readonly number[]> {
    const rows = async (name: string, state: string): Promise<readonly number[]> =>
      (await readFile(`/proc/${pid}/net/${name}`, 'utf8').catch(() => ''))
        .split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter((fields) => fields[3] === state)
        .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16));
    return [...(await rows('tcp', '0A')), ...(await rows('udp', '07'))].toSorted((a, b) => a - b);
  }

  it('is listened in ahead where its sandbox will be, and whoever connects before is served by nobody', async () => {
    const { record, pid } = await madeReady({ ports });
    await expect.poll(() => listening(pid), { timeout: 30_000, interval: 20 }).toEqual([5353, 8080, 8443]);
    const connect =
      'open(my $own, "<", "/proc/$ARGV[0]/ns/net"); syscall($ARGV[1], fileno $own, 0) == 0 or die; socket(my $socket, 2, 1, 0); connect($socket, pack("SnC4x8", 2, 8080, 127, 0, 0, 1)) or die; print sysread($socket, my $bytes, 1) ? "served" : "cut"';
    const setns = process.arch === 'arm64' ? '268' : '308';
    if (uid === 0) {
      expect((await run('perl', ['-e', connect, String(pid), setns], { env })).stdout.toString()).toBe('cut');
    }
    const spec = await lab.spec({ ports });
    await lab.engine.create(spec);
    expect(await containerOf(spec)).toBe(record.spec.id);
    const ingress = await lab.engine.ingress(spec.id, ports);
    ingress.serve({ connection: ({ socket, localPort }) => void socket.end(`port ${localPort}`), datagram: () => undefined });
    await lab.engine.start(spec.id);
    const read = 'use IO::Socket::INET; print IO::Socket::INET->new("127.0.0.1:8443")->getline';
    expect((await lab.inside(spec.id, ['perl', '-e', read])).out).toBe('port 8443');
    await ingress.close();
    await expect.poll(() => listening(pid), { timeout: 30_000 }).toEqual([]);
  });

  it('is not given to a sandbox that is listened to elsewhere, and other ports than were said are bound anew', async () => {
    const { record } = await madeReady({ ports });
    const other = await lab.spec({ ports: { tcp: [8081], udp: [] } });
    await lab.engine.create(other);
    expect(await containerOf(other)).toBeUndefined();
    const spec = await lab.spec({ ports });
    await lab.engine.create(spec);
    expect(await containerOf(spec)).toBe(record.spec.id);
    const ingress = await lab.engine.ingress(spec.id, { tcp: [8082], udp: [] });
    const pid = (await lab.engine.processes(spec.id))[0] ?? 0;
    expect(await listening(pid)).toEqual([8082]);
    await ingress.close();
  });

  it('is listened in anew where its first process is gone before it is asked for', async () => {
    const { record, pid } = await madeReady({ ports });
    const spec = await lab.spec({ ports });
    await lab.engine.create(spec);
    expect(await containerOf(spec)).toBe(record.spec.id);
    const before = await identifyProcess(pid);
    process.kill(pid, 'SIGKILL');
    await expect.poll(async () => await identifyProcess(pid), { timeout: 30_000 }).not.toEqual(before);
    const ingress = await lab.engine.ingress(spec.id, ports);
    const now = (await lab.engine.processes(spec.id))[0] ?? 0;
    expect(now).not.toBe(pid);
    expect(await listening(now)).toEqual([5353, 8080, 8443]);
    await ingress.close();
  });

  it('serves one sandbox of two that ask at the same moment', async () => {
    const { record } = await madeReady();
    const specs = [await lab.spec(), await lab.spec()];
    await Promise.all(specs.map((spec) => lab.engine.create(spec)));
    const names = await Promise.all(specs.map(containerOf));
    expect(new Set(names)).toEqual(new Set([record.spec.id, undefined]));
    const pids = await Promise.all(specs.map(async ({ id }) => (await lab.engine.processes(id))[0]));
    expect(new Set(pids).size).toBe(2);
  });

  const waitingPids = async (): Promise<readonly number[]> => {
    const ready = (await records().all()).filter((record) => record.ready === true);
    const texts = await Promise.all(
      ready.map(({ spec }) => readFile(join(lab.folder, 'run/sandboxes', spec.id, 'init.json'), 'utf8').catch(() => '')),
    );
    return texts.filter((text) => text !== '').map((text): number => JSON.parse(text).pid);
  };

  const untilWaiting = (count: number) =>
    expect.poll(async () => (await waitingPids()).length, { timeout: 30_000, interval: 20 }).toBe(count);

  async function anew(times: ReadyTimes): Promise<void> {
    await lab.remove();
    lab = await ociLab('runc', { prepares: true, times });
  }

  const never = 3_600_000;

  it('are as many as were asked for, are all given out, and are made anew while their sandboxes run', async () => {
    await anew({ refillMs: 1, lookMs: never, idleMs: never });
    lab.engine.holdReady?.(3);
    await madeReady();
    await untilWaiting(3);
    const pids = await waitingPids();
    const specs = [await lab.spec(), await lab.spec(), await lab.spec()];
    await Promise.all(specs.map((spec) => lab.engine.create(spec)));
    const taken = await Promise.all(specs.map(async ({ id }) => (await lab.engine.processes(id))[0] ?? 0));
    expect(new Set(taken)).toEqual(new Set(pids));
    await Promise.all(specs.map(({ id }) => lab.engine.start(id)));
    await untilWaiting(3);
    expect(await lab.engine.list(lab.owner)).toHaveLength(3);
    expect((await Promise.all(specs.map(({ id }) => lab.inside(id, ['hostname'])))).map(({ out }) => out)).toEqual(
      specs.map(() => 'box\n'),
    );
  });

  it('end when fewer may wait', async () => {
    lab.engine.holdReady?.(2);
    await madeReady();
    await untilWaiting(2);
    lab.engine.holdReady?.(0);
    await untilWaiting(0);
    const spec = await lab.started();
    expect(await containerOf(spec)).toBeUndefined();
  });

  it('end when nobody has asked for one for long', async () => {
    await anew({ refillMs: 1, lookMs: 20, idleMs: 6000 });
    const { pid } = await madeReady();
    await untilWaiting(0);
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  it('end when their image is gone, or their first process, though nobody asks', async () => {
    await anew({ refillMs: never, lookMs: 20, idleMs: never });
    const { pid } = await madeReady();
    process.kill(pid, 'SIGKILL');
    await untilWaiting(0);
    const { rootfs: built } = await lab.spec();
    const rootfs = join(lab.folder, 'rootfs');
    if ((await run('cp', ['-a', '--link', built, rootfs], { env, timeoutMs: 60_000 })).exitCode !== 0) {
      process.stderr.write('not tried: the image lies on another file system\n');
      return;
    }
    const { pid: next } = await madeReady({ rootfs });
    await rename(rootfs, `${rootfs}.old`);
    await untilWaiting(0);
    expect(await identifyProcess(next)).toBeUndefined();
  });

  const others: readonly (readonly [string, (spec: SandboxSpec) => SandboxSpec])[] = [
    ['other limits', (spec) => ({ ...spec, limits: { ...spec.limits, pids: spec.limits.pids + 1 } })],
    ['another owner', (spec) => ({ ...spec, owner: 'somebody-else' })],
    ['other files', (spec) => ({ ...spec, files: [] })],
  ];

  it.each(others)('is not given to a sandbox with %s', async (_, change) => {
    await madeReady();
    const spec = change(await lab.spec());
    await lab.engine.create(spec);
    expect(await containerOf(spec)).toBeUndefined();
    await lab.engine.remove(spec.id);
  });

  it('is not given out once its image was removed and made anew', async () => {
    const { rootfs: built } = await lab.spec();
    const rootfs = join(lab.folder, 'rootfs');
    const copy = (from: string, to: string) => run('cp', ['-a', '--link', from, to], { env, timeoutMs: 60_000 });
    if ((await copy(built, rootfs)).exitCode !== 0) {
      process.stderr.write('not tried: the image lies on another file system\n');
      return;
    }
    await madeReady({ rootfs });
    await rename(rootfs, `${rootfs}.old`);
    await copy(`${rootfs}.old`, rootfs);
    const spec = await lab.spec({ rootfs });
    await lab.engine.create(spec);
    expect(await containerOf(spec)).toBeUndefined();
  });

  it('is not given out once its first process is gone', async () => {
    const { pid } = await madeReady();
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => identifyProcess(pid)).toBeUndefined();
    const spec = await lab.spec();
    await lab.engine.create(spec);
    expect(await containerOf(spec)).toBeUndefined();
    expect((await lab.engine.processes(spec.id)).length).toBe(1);
  });

  it.skipIf(uid !== 0)('leaves nothing where its record cannot be removed for a moment', async () => {
    await anew({ refillMs: never, lookMs: 20, idleMs: never });
    const { record, pid } = await madeReady();
    const file = join(engineLayout(lab.options.folders).records, `${record.spec.id}.json`);
    // Nobody removes what something is mounted on.
    expect((await run('mount', ['--bind', file, file], { env })).exitCode).toBe(0);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => folderOf('run/sandboxes'), { timeout: 30_000, interval: 10 }).toEqual([]);
    expect(await folderOf('state/sandboxes')).toEqual([`${record.spec.id}.json`]);
    expect((await run('umount', [file], { env })).exitCode).toBe(0);
    await expect.poll(() => folderOf('state/sandboxes'), { timeout: 30_000 }).toEqual([]);
  });

  it('ends with whoever made it, and the next one clears away what is left', async () => {
    const spec = await lab.spec();
    const child = spawnProcess(process.execPath, [fixture, JSON.stringify({ options: lab.options, spec })], {
      env: lab.options.env,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const { record, pid } = await waiting();
    child.kill('SIGKILL');
    await expect.poll(() => identifyProcess(pid), { timeout: 30_000 }).toBeUndefined();
    expect((await records().all()).map(({ spec: { id } }) => id)).toEqual([record.spec.id]);
    const next: Engine = lab.other();
    expect(await next.list(lab.owner)).toEqual([]);
    await next.tidy();
    expect(await remains()).toEqual(nothing);
    await next.close?.();
  });

  it('is ended by an orderly end', async () => {
    const { pid } = await madeReady();
    await lab.engine.close?.();
    expect(await identifyProcess(pid)).toBeUndefined();
    expect(await remains()).toEqual(nothing);
  });
});
