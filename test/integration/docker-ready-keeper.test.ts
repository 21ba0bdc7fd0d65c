/** Keepers under Docker and Podman that wait for their sandboxes: whoever comes next gets one, and none is left behind. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { ownContainers } from '../../src/engines/docker/containers.ts';
import { dockerContext } from '../../src/engines/docker/context.ts';
import { dockerEngine } from '../../src/engines/docker/engine.ts';
import type { Engine } from '../../src/engines/engine.ts';
import { dockerLab, dockerLacks, type DockerLab } from '../helpers/docker-lab.ts';
import { engineOrSkip } from '../helpers/require-engine.ts';

const patience = { timeout: 60_000, interval: 100 };

const names = ['docker', 'podman'] as const;
const present = await Promise.all(names.map(async (name) => engineOrSkip(name, await dockerLacks(name))));

describe.each(names.filter((_, index) => present[index] === true))('a keeper of %s that waits', (name) => {
  let lab: DockerLab;
  let engine: Engine;
  beforeAll(async () => {
    lab = await dockerLab(name);
    engine = dockerEngine({ ...lab.options, prepares: true });
  });
  afterAll(async () => {
    await engine.close?.();
    await lab.remove();
  });

  const started = async () => {
    const spec = await lab.spec({ hostname: 'mine' });
    await engine.create(spec);
    await engine.start(spec.id);
    return spec;
  };
  const waiting = async () => (await lab.context.records.all()).filter(({ ready }) => ready === true).map(({ spec }) => spec.id);
  /** of this state folder, as the engine has them */
  const there = async () =>
    (await ownContainers(dockerContext(lab.options))).map(({ sandbox, part }) => `${sandbox} ${part}`).toSorted();
  const isRunning = async (id: string) =>
    (await ownContainers(lab.context)).some(
      ({ sandbox, part, state }) => sandbox === id && part === 'keeper' && state === 'running',
    );

  test('is taken by the sandbox that is made next, which has a name of its own and is alone in the list', async () => {
    const first = await started();
    await expect.poll(async () => (await waiting()).length, patience).toBe(1);
    const [ready = ''] = await waiting();
    await expect.poll(() => isRunning(ready), patience).toBe(true);
    const second = await started();
    expect((await lab.context.records.get(second.id)).container).toBe(ready);
    expect((await lab.inside(second.id, ['sh', '-c', 'cat /proc/sys/kernel/hostname /etc/hostname'])).out).toBe('mine\nmine\n');
    const listener = await engine.ingress(second.id, { tcp: [443], udp: [] });
    await listener.close();
    expect((await engine.list(lab.owner)).map(({ id }) => id).toSorted()).toEqual([first.id, second.id].toSorted());
    await engine.remove(first.id);
    // After a restart of ours it is still found, by the record alone.
    const other = lab.other();
    expect((await other.list(lab.owner)).map(({ id, state }) => [id, state])).toEqual([[second.id, 'running']]);
    await other.remove(second.id);
    expect((await there()).filter((row) => row.startsWith(second.id) || row.startsWith(ready))).toEqual([]);
  }, 180_000);

  test('goes with the process that made it, or with the next one', async () => {
    const spec = await started();
    await expect.poll(async () => (await waiting()).length, patience).toBe(1);
    const [ready = ''] = await waiting();
    await expect.poll(() => isRunning(ready), patience).toBe(true);
    await lab.other().tidy();
    expect(await there()).toEqual([`${spec.id} keeper`, `${spec.id} sandbox`]);
    expect(await waiting()).toEqual([]);
    await engine.close?.();
    await engine.remove(spec.id);
    expect(await there()).toEqual([]);
  }, 180_000);
});
