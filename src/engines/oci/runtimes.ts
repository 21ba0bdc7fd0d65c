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
  const text = await tried('dpkg-query', ['--show', '--showformat=${Version}', name], host);
  return text === undefined || text === '' ? undefined : text.trim();
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
