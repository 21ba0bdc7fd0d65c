import { accessSync, constants } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { join } from 'node:path';

import { isCasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { run } from '../../system/process.ts';
import type { SandboxSpec } from '../engine.ts';
import { judgeGvisor, judgeRuntime, parseVersion } from './runtime-floors.ts';

/** Which runtime is installed, in which version, and whether that version is good enough. */

export interface RuntimeHost {
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** cgroups in two layouts at once, which crun refuses */
  readonly isHybrid: boolean;
}

export interface RuntimeAnswer {
  readonly available: boolean;
  readonly detail: string;
  readonly missingTool?: string | undefined;
}

export async function examineRuntime(name: SandboxSpec['runtime'], host: RuntimeHost): Promise<RuntimeAnswer> {
  if (name === 'crun' && host.isHybrid) {
    return { available: false, detail: 'crun refuses the hybrid cgroup layout of this host: use runc' };
  }
  const text = await versionText(name, host);
  if (text === undefined) {
    return { available: false, detail: `${name} is not installed; on Debian: apt-get install ${name}`, missingTool: name };
  }
  // The answer must come from the runtime that was asked for, not from another one under its name.
  if (!text.toLowerCase().startsWith(name)) {
    return { available: false, detail: `the program ${name} answers "${visible(text.slice(0, 60))}": it is another runtime` };
  }
  if (name === 'runsc') {
    return judgeGvisor(text);
  }
  const version = parseVersion(text);
  return version === undefined
    ? { available: false, detail: `${name} does not say its version` }
    : judgeRuntime({ name, version, package: await packageVersion(name, host) });
}

async function versionText(name: string, host: RuntimeHost): Promise<string | undefined> {
  const result = await tried(name, ['--version'], host);
  return result?.trim();
}

/** Version of the Debian package the program belongs to, which tells of fixes taken over from newer versions. */
async function packageVersion(name: string, host: RuntimeHost): Promise<string | undefined> {
  if (!(await isOfPackage(name, host))) {
    return undefined;
  }
  const text = await tried('dpkg-query', ['--show', '--showformat=${Version}', name], host);
  return text === undefined || text === '' ? undefined : text.trim();
}

/** Beside an installed package another program of its name may come first in `PATH`: that one has no fix of Debian's. */
async function isOfPackage(name: string, host: RuntimeHost): Promise<boolean> {
  const path = await onPath(name, host.env['PATH'] ?? '');
  // Packages list programs where they were before /bin and /sbin became links into /usr.
  for (const listed of path === undefined ? [] : [path, path.replace(/^\/usr(?=\/s?bin\/)/, '')]) {
    // oxlint-disable-next-line no-await-in-loop -- most often the first
    const owners = await tried('dpkg-query', ['--search', listed], host);
    if (owners?.split('\n').includes(`${name}: ${listed}`) === true) {
      return true;
    }
  }
  return false;
}

/** As execvp(3) finds it, with links resolved. */
export async function onPath(name: string, path: string): Promise<string | undefined> {
  const found = path.split(':').map((folder) => join(folder, name));
  const first = found.find(canBeRun);
  return first === undefined ? undefined : await realpath(first).catch(() => undefined);
}

/** Looked at in place: so does every start of a program, with which the whole process waits. */
function canBeRun(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function tried(file: string, args: readonly string[], { env, signal }: RuntimeHost): Promise<string | undefined> {
  try {
    const result = await run(file, args, { env, timeoutMs: 10_000, signal });
    return result.exitCode === 0 ? result.stdout.toString('utf8') : undefined;
  } catch (error) {
    if (isCasemateError(error) && error.code === 'TOOL_MISSING') {
      return undefined;
    }
    throw error;
  }
}
