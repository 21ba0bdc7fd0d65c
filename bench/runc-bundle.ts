/** A bare bundle for `runc`: what its own default specification gives, on our root file system. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { run, type RunResult } from '../src/system/process.ts';
import { attempt, hostEnv } from './measure.ts';

interface BundleOptions {
  readonly rootfs: string;
  readonly command: readonly string[];
}

/** Makes the bundle in `folder` and answers with its path. */
export async function bareBundle(folder: string, { rootfs, command }: BundleOptions): Promise<string> {
  await mkdir(folder, { recursive: true });
  await attempt('runc', ['spec', '--bundle', folder]);
  const file = join(folder, 'config.json');
  const spec = JSON.parse(await readFile(file, 'utf8')) as {
    process: { terminal: boolean; args: readonly string[] };
    root: { path: string; readonly: boolean };
  };
  const changed = {
    ...spec,
    process: { ...spec.process, terminal: false, args: command },
    root: { path: rootfs, readonly: true },
  };
  await writeFile(file, JSON.stringify(changed));
  return folder;
}

/** Runs `work` while a bare container sleeps; it is removed whatever happens. Throws where it does not start. */
export async function withBareContainer<T>(folder: string, rootfs: string, work: (id: string) => Promise<T>): Promise<T> {
  const id = `casemate-bench-${process.pid}`;
  await bareBundle(folder, { rootfs, command: ['sleep', '600'] });
  // Not detached: a detached container would keep our end of its output pipes open.
  const running = run('runc', ['run', '--bundle', folder, id], { env: hostEnv });
  try {
    await Promise.race([untilRunning(id), running.then(endedEarly)]);
    return await work(id);
  } finally {
    await attempt('runc', ['delete', '--force', id]);
    await running;
  }
}

async function untilRunning(id: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const state = await attempt('runc', ['state', id]);
    if (state?.stdout.includes('"status": "running"') === true) {
      return;
    }
    await sleep(50);
  }
  throw new Error('a bare container did not start within 5 s');
}

function endedEarly({ stderr }: RunResult): never {
  throw new Error(`a bare container did not start: ${stderr.toString('utf8').trim().slice(-200)}`);
}
