/** The in-memory engine keeps the contract: what works with it works with the others. */
import { describe, expect, it } from 'vitest';

import { newSandboxId } from '../../src/base/ids.ts';
import type { SandboxSpec } from '../../src/engines/engine.ts';
import { memoryEngine } from '../../src/engines/memory.ts';
import { engineContract } from './engine.ts';

function memorySpec(changes: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    id: newSandboxId(),
    owner: 'test',
    hostname: 'box',
    runtime: 'runc',
    rootfs: '/rootfs',
    workspace: { path: '/work', mode: 'direct', protect: [] },
    home: '/home',
    files: [],
    env: {},
    limits: { memoryBytes: 1, cpus: 1, pids: 1, diskBytes: 1, fileBytes: 1, openFiles: 1 },
    waived: [],
    ...changes,
  };
}

const make = async () => ({
  engine: memoryEngine(),
  owner: 'test',
  spec: async (changes = {}) => memorySpec(changes),
  remove: async () => undefined,
});

engineContract('memory', make, { runs: false });

describe('the memory engine', () => {
  it('refuses a start that lacks a layer until a human waives it by name', async () => {
    const engine = memoryEngine({ lacking: ['seccomp'] });
    await expect(engine.create(memorySpec())).rejects.toMatchObject({ code: 'LAYER_MISSING' });
    await engine.create(memorySpec({ waived: ['seccomp'] }));
  });

  it('hands out what the gateway was given', async () => {
    const engine = memoryEngine();
    const spec = memorySpec();
    await engine.create(spec);
    const ingress = await engine.ingress(spec.id, { tcp: [80], udp: [53] });
    const receiver = { connection: () => undefined, datagram: () => undefined };
    ingress.serve(receiver);
    expect(engine.receiver(spec.id)).toBe(receiver);
    await ingress.close();
    expect(engine.receiver(spec.id)).toBeUndefined();
  });
});
