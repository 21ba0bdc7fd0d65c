/** Caps on what a sandbox uses (DOS rows, G22). Every attempt is bounded; beside each the host and another sandbox go on. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { asked, python } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const MiB = 1024 * 1024;

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('limits of a sandbox', () => {
  let lab: OciLab;
  let spec: SandboxSpec;
  let peer: SandboxSpec;
  let has: (layer: string) => boolean;

  beforeAll(async () => {
    lab = await ociLab();
    const reports = await lab.engine.examine('runc');
    has = (layer) => reports.some((report) => report.layer === layer && report.available);
    const base = await lab.spec();
    const limits = { memoryBytes: 128 * MiB, cpus: 1, pids: 60, diskBytes: 64 * MiB, fileBytes: 32 * MiB, openFiles: 256 };
    spec = await lab.started({ ...base, limits });
    peer = await lab.started();
  });
  afterAll(async () => {
    await lab.remove();
  });

  const peerWorks = async (): Promise<void> => {
    expect(await lab.inside(peer.id, ['echo', 'here'])).toMatchObject({ code: 0, out: 'here\n' });
    expect(await lab.engine.list(lab.owner)).toContainEqual({ id: spec.id, state: 'running' });
  };

  it('processes: a bounded fork bomb stops at the limit (DOS-01)', async () => {
    const bomb = `
import time
n = 0
stopped = 'never'
while n < 500:
    try:
        if os.fork() == 0:
            time.sleep(2); os._exit(0)
        n += 1
    except OSError as error:
        stopped = name(error.errno); break
answer([n, stopped])`;
    const [forked, stopped] = JSON.parse((await python(lab, spec.id, bomb)).out);
    expect(stopped).toBe('EAGAIN');
    expect(forked).toBeGreaterThan(30);
    expect(forked).toBeLessThanOrEqual(60);
    await peerWorks();
  });

  it('orphans do not stay as zombies: the first process buries them', async () => {
    const left = async () => (await lab.engine.processes(spec.id)).length;
    // Those of the bomb before are in nobody's way.
    await expect.poll(left, { timeout: 20_000 }).toBe(1);
    const orphans = 'for i in 1 2 3 4 5; do (sleep 0.05 &) ; done';
    expect(await lab.inside(spec.id, ['sh', '-c', orphans])).toMatchObject({ code: 0, err: '' });
    await expect.poll(left, { timeout: 20_000 }).toBe(1);
  });

  it('memory: the one who takes it is killed, and nobody else (DOS-02)', async ({ skip }) => {
    skip(!has('memory-limit'), 'no memory controller for this user here');
    const grab = 'b = []\nfor i in range(64):\n    b.append(bytearray(os.urandom(1 << 16) * 64)); print(i, flush=True)';
    const { code, out } = await python(lab, spec.id, grab);
    expect(code).toBe(137);
    expect(out.trim().split('\n').length).toBeLessThan(40);
    await peerWorks();
    expect((await lab.engine.stats(spec.id)).memoryPeakBytes).toBeLessThanOrEqual(128 * MiB);
  });

  it('memory of the kernel: buffers of connections that nobody reads are bounded, and counted', async ({ skip }) => {
    skip(!has('memory-limit'), 'no memory controller for this user here');
    const stuff = `
import socket, struct
listener = socket.create_server(('127.0.0.1', 0))
held, whole = [], 0
for i in range(100):
    near = socket.create_connection(listener.getsockname()); far = listener.accept()[0]
    for one, other in ((near, far), (far, near)):
        one.setblocking(False)
        try:
            while True: one.send(bytes(65536))
        except BlockingIOError: pass
    for one in (near, far):
        kept = struct.unpack('9I', one.getsockopt(socket.SOL_SOCKET, 55, 36))
        whole += kept[0] + kept[5]
    held += [near, far]
answer(whole >> 20)`;
    const { code, out } = await python(lab, spec.id, stuff);
    // A quarter of the memory beside it where they are counted apart; where they are memory, who takes too much is killed.
    expect(code === 137 || Number(out) < 64).toBe(true);
    await peerWorks();
  });

  it('files: one file, all files of the home, and files in memory are bounded (DOS-04)', async () => {
    expect(await asked(lab, spec.id, 'attempt(lambda: os.posix_fallocate(os.open("/workspace/big", 66), 0, 60 << 30))')).toBe(
      'EFBIG',
    );
    const fill = (folder: string) => `
done = 0
try:
    for i in range(20):
        with open('${folder}/fill%d' % i, 'wb') as f:
            for j in range(16): f.write(bytes(1 << 20)); f.flush(); done += 1
except OSError as error: print(name(error.errno))
for i in range(20):
    try: os.unlink('${folder}/fill%d' % i)
    except OSError: pass
print(done)`;
    const shared = await python(lab, spec.id, fill('/dev/shm'));
    expect(shared.out).toMatch(/ENOSPC\n\d+\n$/);
    if (has('disk-limit')) {
      expect((await python(lab, spec.id, fill('/home/agent'))).out).toMatch(/ENOSPC\n[1-6]\d\n$/);
    }
    await peerWorks();
  });

  it('descriptors, terminals, timers and priorities are bounded (DOS-08, DOS-09)', async () => {
    const open = (path: string) => `
l = []
try:
    while len(l) < 5000: l.append(os.open('${path}', os.O_RDWR | os.O_NOCTTY))
except OSError as error: answer([len(l), name(error.errno)])`;
    expect(JSON.parse((await python(lab, spec.id, open('/dev/null'))).out)).toEqual([253, 'EMFILE']);
    expect(JSON.parse((await python(lab, spec.id, open('/dev/ptmx'))).out)).toEqual([64, 'ENOSPC']);
    expect(
      await asked(
        lab,
        spec.id,
        '[attempt(os.nice, -5), attempt(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50)))]',
      ),
    ).toEqual(['EPERM', 'EPERM']);
    expect(await asked(lab, peer.id, 'attempt(lambda: os.open("/dev/ptmx", os.O_RDWR))')).toBe('DONE');
    const timers = `
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
n = 0
while n < 20000 and libc.syscall(222 if os.uname().machine == 'x86_64' else 107, 1, None, ctypes.byref(ctypes.c_int())) == 0: n += 1
answer([n, name(ctypes.get_errno())])`;
    expect(JSON.parse((await python(lab, spec.id, timers)).out)).toEqual([1024, 'EAGAIN']);
  });

  it('processor time: busy loops get their share and no more (DOS-09)', async ({ skip }) => {
    skip(!has('cpu-limit'), 'no cpu controller for this user here');
    const before = (await lab.engine.stats(spec.id)).cpuMs ?? 0;
    const started = performance.now();
    await lab.inside(spec.id, ['sh', '-c', 'for i in 1 2 3 4; do timeout 2 sh -c "while :; do :; done" & done; wait']);
    const share = ((await lab.engine.stats(spec.id)).cpuMs ?? 0) - before;
    expect(share / (performance.now() - started)).toBeLessThan(1.15);
  });
});
