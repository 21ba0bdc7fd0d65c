/** What the labs of all engines have in common: sandboxes that run, commands in them, and the end of all of it. */
import { rm } from 'node:fs/promises';

import type { CommandSpec, Engine, SandboxSpec } from '../../src/engines/engine.ts';
import { run } from '../../src/system/process.ts';

export interface EngineLab {
  readonly engine: Engine;
  readonly folder: string;
  readonly owner: string;
  readonly spec: (changes?: Partial<SandboxSpec>) => Promise<SandboxSpec>;
  /** a sandbox that runs */
  readonly started: (changes?: Partial<SandboxSpec>) => Promise<SandboxSpec>;
  readonly inside: (id: string, command: readonly string[], options?: InsideOptions) => Promise<Inside>;
  readonly remove: () => Promise<void>;
}

export type InsideOptions = Partial<Omit<CommandSpec, 'command'>> & { readonly input?: string; readonly timeoutMs?: number };

export interface Inside {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export function engineLab(parts: Pick<EngineLab, 'engine' | 'folder' | 'owner' | 'spec'>): EngineLab {
  const { engine, folder, owner, spec } = parts;
  let executions = 0;
  return {
    ...parts,
    async started(changes) {
      const made = await spec(changes);
      await engine.create(made);
      await engine.start(made.id);
      return made;
    },
    async inside(id, command, { input, timeoutMs = 30_000, ...rest } = {}) {
      executions += 1;
      const invocation = await engine.attach(id, { command, tty: false, executionId: `t${executions}`, ...rest });
      const result = await run(invocation.file, invocation.args, { env: invocation.env, input, timeoutMs });
      return { code: result.exitCode, out: result.stdout.toString('utf8'), err: result.stderr.toString('utf8') };
    },
    async remove() {
      const left = await engine.list(owner);
      await Promise.all(left.map(({ id }) => engine.remove(id)));
      await engine.close?.();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A spec as every engine takes it; `parts` says what is different for each. */
export type SpecParts = Pick<SandboxSpec, 'id' | 'owner' | 'runtime' | 'waived'> & {
  readonly rootfs: string | undefined;
  readonly workspace: string;
  readonly resolvConf: string;
  readonly home: string;
};

const MiB = 1024 * 1024;

export function labSpec({ rootfs, workspace, resolvConf, ...parts }: SpecParts): SandboxSpec {
  return {
    ...parts,
    hostname: 'box',
    rootfs: rootfs ?? '/nonexistent',
    workspace: { path: workspace, mode: 'direct', protect: [] },
    files: [{ source: resolvConf, target: '/etc/resolv.conf' }],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/home/agent', LANG: 'C.UTF-8' },
    limits: { memoryBytes: 512 * MiB, cpus: 1, pids: 200, diskBytes: 1024 * MiB, fileBytes: 64 * MiB, openFiles: 1024 },
  };
}
