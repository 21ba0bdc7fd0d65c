/** Kernel and runtime boundary (KRN rows): what code in a sandbox can reach of the kernel. Each refusal has a legal twin. */
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { asked, python } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('the surface of the kernel inside a sandbox', () => {
  let lab: OciLab;
  let spec: SandboxSpec;
  const ask = (expression: string): Promise<unknown> => asked(lab, spec.id, expression);

  beforeAll(async () => {
    lab = await ociLab();
    spec = await lab.started();
  });
  afterAll(async () => {
    await lab.remove();
  });

  it('holds no capability, no privilege to gain and one filter, in the first process and in a command (KRN-09, LIF-09)', async () => {
    const [first = 0] = await lab.engine.processes(spec.id);
    const { out } = await lab.inside(spec.id, ['cat', '/proc/self/status']);
    for (const status of [await readFile(`/proc/${first}/status`, 'utf8'), out]) {
      const field = (name: string): string => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1] ?? 'none';
      expect(['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(field)).toEqual(Array(5).fill('0000000000000000'));
      expect(field('NoNewPrivs')).toBe('1');
      expect(field('Seccomp')).toBe('2');
      expect(field('Uid')).not.toMatch(/\b0\b/);
    }
  });

  it('opens sockets of the declared families only (KRN-01, KRN-04, NET-10, NET-11, NET-13)', async () => {
    const open = '[f for f in range(1, 64) if any(family(f, t) == "DONE" for t in (1, 2, 3, 5))]';
    expect(await ask(open)).toEqual([1, 2, 10, 16]);
    expect(
      await ask(
        '[family(38, 5), family(2, 3, 255), family(17, 3, 768), family(2, 2, 1), family(10, 2, 58), family(40, 1), family(16, 3, 12)]',
      ),
    ).toEqual(Array(7).fill('EPERM'));
    expect(await ask('[family(2, 1), family(2, 2), family(10, 1), family(1, 1), family(16, 3, 0)]')).toEqual(
      Array(5).fill('DONE'),
    );
  });

  it.runIf(process.arch === 'x64')('does not answer the 32-bit call gate (KRN-02)', async () => {
    const program = `
m = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
m.write(b"\\x53\\xb8" + struct.pack("<I", 359) + b"\\xbb" + struct.pack("<I", 38) + b"\\xb9" + struct.pack("<I", 5) + b"\\x31\\xd2\\xcd\\x80\\x5b\\xc3")
answer(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))())`;
    const { code, out } = await python(lab, spec.id, program);
    // killed by the filter: 128 + SIGSYS
    expect([code, out]).toEqual([159, '']);
    const control = program.replaceAll('359', '20').replace('answer(', 'print("reached") or answer(');
    expect((await python(lab, spec.id, control)).code).toBe(159);
  });

  it('makes no namespace (KRN-06)', async () => {
    expect(await ask('call("unshare", 0x10000000)')).toBe('EPERM');
    expect((await lab.inside(spec.id, ['unshare', '-Ur', 'true'])).code).not.toBe(0);
    expect(await ask('[call("clone3", 0, 0), call("io_uring_setup", 1, 0)]')).toEqual(['ENOSYS', 'ENOSYS']);
  });

  it('refuses each call of the list before the kernel reads its arguments (KRN-08, KRN-09, KRN-10, KRN-19, MNT-16)', async () => {
    const answers = await ask('{n: call(n, 0, 0, 0, 0, 0) for n in NUMBERS if n not in ("clone3", "reboot", "io_uring_setup")}');
    expect(new Set(Object.values(answers as object))).toEqual(new Set(['EPERM']));
    expect(await ask('attempt(os.getpid)')).toBe('DONE');
  });

  it('opens no file that steers the host for writing (KRN-14)', async () => {
    const files =
      '"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/fs/binfmt_misc/register", "/proc/sysrq-trigger", ' +
      '"/sys/kernel/uevent_helper", "/proc/sys/vm/panic_on_oom", "/sys/power/state", "/proc/sys/kernel/hostname"';
    expect(await ask(`[p for p in (${files}) if attempt(lambda: open(p, "r+")) == "DONE"]`)).toEqual([]);
    expect(await ask('attempt(lambda: open("/tmp/mine", "w"))')).toBe('DONE');
  });

  it('shows no process, socket, key, log or device tree of the host (KRN-10, KRN-19, KRN-20, KRN-22, MNT-07)', async () => {
    // A command before may not be buried yet.
    const pids = async () => await ask('len([p for p in os.listdir("/proc") if p.isdigit()])');
    await expect.poll(pids).toBeLessThanOrEqual(3);
    expect(await ask('[l.split()[-1] for l in open("/proc/net/unix").read().splitlines()[1:] if "@" in l]')).toEqual([]);
    expect(
      await ask(
        '[len(open(p).read()) for p in ("/proc/keys", "/proc/kallsyms", "/proc/timer_list", "/proc/modules", "/proc/cmdline", "/proc/partitions", "/proc/diskstats") if os.path.exists(p)]',
      ),
    ).toSatisfy((sizes: number[]) => sizes.every((size) => size === 0));
    expect(await ask('os.listdir("/sys")')).toEqual([]);
    const sockets = await lab.inside(spec.id, ['find', '/', '-xdev', '-type', 's']);
    expect(sockets.out).toBe('');
    expect(await ask('sorted(n for n in os.listdir("/dev") if n != "core")')).toEqual([
      'fd',
      'full',
      'mqueue',
      'null',
      'ptmx',
      'pts',
      'random',
      'shm',
      'stderr',
      'stdin',
      'stdout',
      'tty',
      'urandom',
      'zero',
    ]);
  });

  it('keeps its first process out of reach of the agent (G24)', async () => {
    expect(
      await ask('[attempt(os.kill, 1, 9), attempt(lambda: open("/proc/1/mem", "rb")), attempt(os.readlink, "/proc/1/fd/0")]'),
    ).toEqual(['EPERM', 'EACCES', 'EACCES']);
    expect(await lab.engine.list(lab.owner)).toContainEqual({ id: spec.id, state: 'running' });
  });

  it('types into no terminal (KRN-21)', async () => {
    const program = `
import pty
main, side = pty.openpty()
answer([attempt(fcntl.ioctl, side, 0x5412, b"x"), attempt(fcntl.ioctl, side, 0x541c, b"x"), attempt(fcntl.ioctl, side, 0x5413, bytes(8))])`;
    expect(JSON.parse((await python(lab, spec.id, program)).out)).toEqual(['EPERM', 'EPERM', 'DONE']);
  });

  it('writes nothing but its own places, and none of them lets a program gain ids', async () => {
    const { out } = await lab.inside(spec.id, ['cat', '/proc/self/mountinfo']);
    for (const line of out.trim().split('\n')) {
      const [, , , , target = '', options = ''] = line.split(' ');
      const isDevice = target.startsWith('/dev/') || target.startsWith('/proc/');
      expect(isDevice || (options.includes('nosuid') && options.includes('nodev')), line).toBe(true);
    }
    expect(
      await ask('[attempt(lambda: open(p + "/x", "w")) for p in ("/", "/etc", "/usr/bin", "/run", "/dev", "/proc")]'),
    ).toSatisfy((answers: string[]) => answers.every((text) => ['EROFS', 'EACCES', 'ENOENT'].includes(text)));
    expect(
      await ask('[attempt(lambda: open(p + "/x", "w")) for p in ("/workspace", "/home/agent", "/tmp", "/var/tmp", "/dev/shm")]'),
    ).toEqual(Array(5).fill('DONE'));
  });

  it('leaves ordinary programs working: git, pipes, threads, name lookup, temporary files', async () => {
    const script =
      'set -e; cd /workspace; git init -q t; cd t; git config user.email a@example.com; git config user.name a; echo x > f; git add f; ' +
      'git commit -qm one; git log --oneline | wc -l; perl -e "print 1+1"; python3 -c "import threading,tempfile,subprocess,multiprocessing; ' +
      "t=threading.Thread(target=print,args=('thread',)); t.start(); t.join(); tempfile.TemporaryFile().close(); print(subprocess.check_output(['echo','sub']))\"";
    expect(await lab.inside(spec.id, ['sh', '-c', script])).toMatchObject({ code: 0, out: "1\n2thread\nb'sub\\n'\n" });
  });
});
