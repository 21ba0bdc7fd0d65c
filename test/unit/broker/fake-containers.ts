/** Containers of a sandbox that are entries of a list: what a broker has made of requests can be read here. */
import { Readable } from 'node:stream';

import type { ContainerSpec, NestedContainer, SandboxContainers } from '../../../src/engines/containers.ts';

export interface FakeContainers extends SandboxContainers {
  readonly made: ContainerSpec[];
  readonly calls: string[];
  /** what goes wrong from now on */
  readonly faults: { start?: Error | undefined };
}

export const sandboxImage = `sha256:${'a'.repeat(64)}`;
export const offeredImage = `sha256:${'b'.repeat(64)}`;

const GiB = 1024 ** 3;

export function fakeContainers(): FakeContainers {
  const made: ContainerSpec[] = [];
  const calls: string[] = [];
  const rows: NestedContainer[] = [];
  const note = async (call: string): Promise<void> => void calls.push(call);
  const faults: FakeContainers['faults'] = {};
  const never = async (): Promise<never> => {
    throw new Error('not part of this test');
  };
  return {
    made,
    calls,
    agent: { uid: 1000, gid: 1000 },
    share: { memoryBytes: GiB, cpus: 1, pids: 100, diskBytes: GiB, fileBytes: GiB, openFiles: 1024 },
    list: async () => rows,
    async create(spec) {
      const id = String(made.length).padStart(64, '0');
      made.push(spec);
      rows.push({ id, state: 'created', status: 'Created', createdS: 1, note: spec.note, imageId: spec.image, command: '' });
      return id;
    },
    faults,
    async start(id) {
      await note(`start ${id}`);
      if (faults.start !== undefined) {
        throw faults.start;
      }
    },
    stop: (id) => note(`stop ${id}`),
    kill: (id, signal) => note(`kill ${id} ${signal}`),
    remove: (id) => note(`remove ${id}`),
    resize: never,
    inspect: async () => ({ Config: {}, HostConfig: {}, State: {} }),
    wait: never,
    logs: never,
    attach: never,
    newCommand: never,
    startCommand: never,
    events: async () => Readable.from([]),
    makeVolume: (name) => note(`volume ${name}`),
    removeVolume: (name) => note(`no volume ${name}`),
    images: {
      sandbox: async () => sandboxImage,
      named: async () => offeredImage,
      own: async () => [],
      keep: never,
      inspect: async () => ({ Config: {} }),
      history: never,
      removeOwn: never,
      commit: never,
      assemble: never,
    },
  };
}
