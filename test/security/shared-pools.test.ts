/** Pools of the kernel that every sandbox of a caller shares with its host (DOS-08, G22): taken by one, left to the others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import type { SandboxSpec } from '../../src/engines/engine.ts';
import { run } from '../../src/system/process.ts';
import type { Ingress } from '../../src/system/ingress.ts';
import { asked } from '../helpers/inside-python.ts';
import { ociLab, ociLacks, type OciLab } from '../helpers/oci-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const take = `
held = []
def instances(most):
    while len(held) < most and (fd := libc.inotify_init1(0)) >= 0: held.append(fd)
    return len(held)
`;

describe.skipIf(!engineOrSkip('oci', await ociLacks()))('pools of the kernel', () => {
  let lab: OciLab;
  const ingresses: Ingress[] = [];

  beforeAll(async () => {
    lab = await ociLab();
  });
  afterAll(async () => {
    await Promise.all(ingresses.map((ingress) => ingress.close()));
    await lab.remove();
  });

  async function started(): Promise<SandboxSpec> {
    const spec = await lab.spec();
    await lab.engine.create(spec);
    ingresses.push(await lab.engine.ingress(spec.id, { tcp: [80], udp: [53] }));
    await lab.engine.start(spec.id);
    return spec;
  }

  it('inotify: one sandbox that takes all it gets leaves some to another one and to the host', async () => {
    const [greedy, peer] = [await started(), await started()];
    const whole = Number(
      (await run('cat', ['/proc/sys/user/max_inotify_instances'], { env: { PATH: '/usr/bin:/bin' } })).stdout.toString(),
    );
    const holding = lab.inside(greedy.id, [
      'python3',
      '-c',
      `import ctypes, time\nlibc = ctypes.CDLL(None)\n${take}\nprint(instances(100000))\ntime.sleep(4)`,
    ]);
    const program = `import ctypes\nlibc = ctypes.CDLL(None)\n${take}\nprint(instances(1))`;
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await lab.inside(peer.id, ['python3', '-c', program])).toMatchObject({ out: '1\n' });
    const host = await run('python3', ['-c', program], { env: { PATH: '/usr/bin:/bin' } });
    expect(host.stdout.toString()).toBe('1\n');
    const taken = Number((await holding).out);
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThanOrEqual(whole / 4);
    // What programs of ordinary work need is there, and nobody inside can ask for more.
    expect(taken).toBeGreaterThanOrEqual(16);
    expect(await asked(lab, peer.id, 'attempt(lambda: open("/proc/sys/user/max_inotify_instances", "w"))')).not.toBe('DONE');
    await Promise.all([greedy, peer].map(({ id }) => lab.engine.remove(id)));
  });

  it('message queues and locked memory: the sandboxes of a caller share what it has, and one alone does not take it', async () => {
    const [greedy, peer] = [await started(), await started()];
    const takeBoth = (seconds: number): readonly string[] => [
      'python3',
      '-c',
      `
import ctypes, time
libc = ctypes.CDLL(None)
def some(most, one):
    n = 0
    while n < most and one(n): n += 1
    return n
queues = some(${seconds === 0 ? 1 : 100}, lambda n: libc.mq_open(b'/taken%d' % n, 0o102, 0o600, None) >= 0)
locked = some(${seconds === 0 ? 1 : 100}, lambda n: libc.shmctl(libc.shmget(0, 1 << 20, 0o600), 11, None) == 0)
print(queues, locked, flush=True)
time.sleep(${seconds})`,
    ];
    const holding = lab.inside(greedy.id, takeBoth(4));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(await lab.inside(peer.id, takeBoth(0))).toMatchObject({ out: '1 1\n' });
    const [queues = 0, locked = 0] = (await holding).out.split(' ').map(Number);
    expect(queues).toBeGreaterThan(0);
    expect(queues).toBeLessThan(5);
    expect(locked).toBe(2);
    await Promise.all([greedy, peer].map(({ id }) => lab.engine.remove(id)));
  });
});
