import { randomBytes } from 'node:crypto';
import { lstat, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

import { CasemateError } from '../../../base/errors.ts';
import { visible } from '../../../base/text.ts';
import { isErrno } from '../../../system/files.ts';
import { inPlainFolder } from '../../../system/plain-folder.ts';
import type { ProcessIdentity } from '../../../system/process-identity.ts';
import type { SandboxSpec } from '../../engine.ts';
import type { Mounted } from '../../workspace/protections.ts';
import type { BindMount } from '../container-bodies.ts';
import type { EngineKernel } from './engine-kernel.ts';

/**
 * Checks by trying that a container shows this host's files, for an engine on another kernel, whose mount table says nothing
 * about them. A folder that the sandbox may write to is the same one if a file created here appears there. A mount over a path
 * of the workspace is compared with that path in the mounted workspace. A single file is compared by content.
 */
export interface Shown {
  readonly kernel: EngineKernel;
  readonly init: ProcessIdentity;
  /** what the container has mounted */
  readonly inside: readonly Mounted[];
}

const workspaceTarget = '/workspace';
const folders: readonly string[] = [workspaceTarget, '/home/agent'];

/** Throws `ENGINE_FAILED` with the place that is another one, before anything but our sleeping process has run. */
export async function requireSharedFiles(shown: Shown, spec: SandboxSpec, mounts: readonly BindMount[]): Promise<void> {
  for (const mount of mounts) {
    // oxlint-disable-next-line no-await-in-loop -- the first that is another one is told
    if (!(await isShown(shown, spec, mount))) {
      const { Source, Target } = mount;
      throw new CasemateError(
        'ENGINE_FAILED',
        `the engine does not show ${visible(Source)} of this host at ${visible(Target)}, but something else`,
        {
          hint: 'Have that folder shared with its machine at the same path (Docker Desktop: Settings, Resources, File sharing), or use one that is.',
        },
      );
    }
  }
}

async function isShown({ kernel, init, inside }: Shown, spec: SandboxSpec, { Source, Target }: BindMount): Promise<boolean> {
  const there = inside.findLast(({ place }) => place === Target);
  if (there === undefined) {
    return false;
  }
  if (folders.includes(Target)) {
    return showsNewFile(Source, spec.id, (name) => kernel.shown(init, `${Target}/${name}`));
  }
  const below = relative(spec.workspace.path, Source);
  const workspace = inside.findLast(({ place }) => place === workspaceTarget);
  // A path that leads to the workspace's own place is no file of ours.
  if (Target.startsWith(`${workspaceTarget}/`) && below !== '' && !below.startsWith('..')) {
    return there.device === workspace?.device && there.root === join(workspace.root, below);
  }
  const [here, told] = await Promise.all([readFile(Source), kernel.shown(init, Target).catch(refused)]);
  return told !== undefined && here.equals(told);
}

/** Made with `O_EXCL`, so that nothing that somebody put there is followed; an earlier one that was left is removed. */
async function showsNewFile(folder: string, id: string, read: (name: string) => Promise<Buffer>): Promise<boolean> {
  const name = nameFor(id);
  const path = join(folder, name);
  const content = randomBytes(32).toString('hex');
  await rm(path, { force: true });
  try {
    await writeFile(path, content, { flag: 'wx', mode: 0o600 });
    return (await read(name).catch(refused))?.toString('latin1') === content;
  } catch (error) {
    if (isErrno(error, 'EACCES') || isErrno(error, 'EROFS') || isErrno(error, 'EPERM')) {
      throw new CasemateError(
        'ENGINE_FAILED',
        `cannot tell whether the engine shows ${visible(folder)}: no file can be made there`,
        {
          cause: error,
        },
      );
    }
    throw error;
  } finally {
    await rm(path, { force: true });
  }
}

function nameFor(id: string): string {
  return `.casemate-shared-${id}`;
}

/** What a process that was killed in that moment left in the workspace. No link is followed, and what is no file of ours stays. */
export async function removeLeftFile(workspace: string, id: string): Promise<void> {
  await inPlainFolder(workspace, async (at) => {
    const path = join(at, nameFor(id));
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.isFile() === true) {
      await rm(path, { force: true });
    }
  });
}

/** The observer says that there is none. */
function refused(error: unknown): undefined {
  if (error instanceof CasemateError && error.code === 'ENGINE_FAILED') {
    return undefined;
  }
  throw error;
}
