import { expect, test } from 'vitest';

import { newSandboxId } from '../../../src/base/ids.ts';
import type { Engine, SandboxSpec } from '../../../src/engines/engine.ts';
import { memoryEngine, type MemoryEngine } from '../../../src/engines/memory.ts';
import { routedEngine } from '../../../src/engines/routed.ts';

function specOf(id: string): SandboxSpec {
  return {
    id,
    owner: 'test',
    hostname: 'box',
    runtime: 'runc',
    rootfs: '/r',
    workspace: { path: '/w', mode: 'direct', protect: [] },
    home: '/h',
    files: [],
    env: {},
    limits: { memoryBytes: 1, cpus: 1, pids: 1, diskBytes: 1, fileBytes: 1, openFiles: 1 },
    waived: [],
  };
}

test('each sandbox is the concern of the engine it was planned for, and one that nobody planned of the engine that has it', async () => {
  const engines: Record<string, MemoryEngine> = { one: memoryEngine(), two: memoryEngine() };
  const planned = new Map<string, string>();
  const load = async (name: string): Promise<Engine> => ({ ...(engines[name] ?? memoryEngine()), name });
  const routed = routedEngine({ names: ['one', 'two'], load, engineOf: (id) => planned.get(id) });
  const [first, second, stray] = [newSandboxId(), newSandboxId(), newSandboxId()];
  planned.set(first, 'one').set(second, 'two');
  await routed.create(specOf(first));
  await routed.create(specOf(second));
  await engines['two']?.create(specOf(stray));
  expect(engines['one']?.spec(first)?.id).toBe(first);
  expect(engines['one']?.spec(second)).toBeUndefined();
  expect(engines['two']?.spec(second)?.id).toBe(second);
  expect((await routed.list('test')).map(({ id }) => id).toSorted()).toEqual([first, second, stray].toSorted());
  await routed.remove(stray);
  expect(engines['two']?.spec(stray)).toBeUndefined();
  await routed.start(second);
  expect(await engines['two']?.list('test')).toEqual([{ id: second, state: 'running' }]);
});

test('an engine that could not be loaded is loaded by who needs it next', async () => {
  let times = 0;
  const load = async (name: string): Promise<Engine> => {
    times += 1;
    if (times === 1) {
      throw new Error('no room');
    }
    return { ...memoryEngine(), name };
  };
  const routed = routedEngine({ names: ['one'], load, engineOf: () => 'one' });
  const id = newSandboxId();
  await expect(routed.create(specOf(id))).rejects.toThrow('no room');
  await routed.create(specOf(id));
  expect(await routed.list('test')).toEqual([{ id, state: 'created' }]);
  expect(times).toBe(2);
  await routed.close?.();
});
