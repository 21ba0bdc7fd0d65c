import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { EngineLayout } from '../folders.ts';
import type { GvisorChoice } from './gvisor-calls.ts';

/** The part of a sandbox's folder that gVisor reads and writes, and how it gets there. */

export interface FolderFacts {
  readonly id: string;
  readonly memoryBytes: number;
  /** kept for the commands to come, also for those of a later daemon */
  readonly choice: GvisorChoice;
}

/**
 * The sandbox's folder as gVisor's processes may use it, which are nobody on this host: they are handed the folder itself.
 * The folders above it stay closed, so that nobody else comes here.
 */
export async function openFolder(layout: EngineLayout, { id, memoryBytes, choice }: FolderFacts): Promise<void> {
  const { folder, bundle, config, executions } = layout.sandbox(id);
  const [state, memory] = [join(folder, 'runsc'), join(folder, 'meminfo')];
  await mkdir(state);
  await writeFile(memory, `MemTotal: ${Math.floor(memoryBytes / 1024)} kB\n`);
  await writeFile(join(folder, choiceName), JSON.stringify(choice), { mode: 0o600 });
  await Promise.all([
    chmod(folder, 0o711),
    chmod(bundle, 0o755),
    ...[config, memory].map((path) => chmod(path, 0o644)),
    ...[state, executions].map((path) => chmod(path, 0o777)),
    ...['log', 'call.log', 'kernel.pid'].map((name) => emptyFile(join(folder, name))),
  ]);
}

const choiceName = 'gvisor.json';

/** How the sandbox was started. The folder is ours, and the file was written whole before it began. */
export async function choiceOf(layout: EngineLayout, id: string): Promise<GvisorChoice> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- written above
  return JSON.parse(await readFile(join(layout.sandbox(id).folder, choiceName), 'utf8')) as GvisorChoice;
}

async function emptyFile(path: string): Promise<void> {
  await writeFile(path, '', { flag: 'wx' });
  await chmod(path, 0o666);
}

/** A file that a call of gVisor reads or writes; `dirname` is open to it already. */
export async function sharedFile(path: string, text: string): Promise<void> {
  await writeFile(path, text);
  await chmod(path, 0o644);
}
