import { CasemateError } from '../../base/errors.ts';
import { visible } from '../../base/text.ts';
import { dataFile } from '../../system/data-file.ts';
import { run, type RunResult } from '../../system/process.ts';
import type { Abortable, SandboxSpec } from '../engine.ts';
import { inScope, type Program } from './delegation.ts';

/** The command line of an OCI runtime (runc, crun, runsc), called with argument lists. */

export interface RuntimeOptions {
  readonly name: SandboxSpec['runtime'];
  /** where the runtime keeps its own state */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  /** Host process in the sandbox's user namespace, when the caller is an ordinary user: the runtime is started beside it. */
  readonly beside?: number | undefined;
  /** An ordinary user's sandbox has limits by its cgroup: what is started beside it must get into that group. */
  readonly limitsMust?: boolean | undefined;
}

export interface ContainerState {
  readonly status: 'creating' | 'created' | 'running' | 'paused' | 'stopped';
  /** of the first process, host side; 0 when there is none */
  readonly pid: number;
}

/** Options before the runtime's command. */
export function globalArgs({ name, root, limitsMust }: RuntimeOptions, logFile?: string): readonly string[] {
  const log = logFile === undefined ? [] : ['--log', logFile];
  // Of itself runc takes a cgroup that cannot be made or entered by an ordinary user as a trifle, and goes on without limits.
  const strict = name === 'runc' && limitsMust === true ? ['--rootless', 'false'] : [];
  return ['--root', root, ...log, ...strict];
}

export async function runtimeCall(
  options: RuntimeOptions,
  args: readonly string[],
  { signal }: Abortable = {},
): Promise<RunResult> {
  const { file, args: all } = runtimeCommand(options, args);
  return run(file, all, { env: options.env, timeoutMs: 30_000, signal });
}

/** The program and the arguments that call the runtime. */
export function runtimeCommand(options: RuntimeOptions, args: readonly string[]): Program {
  const { name, beside, limitsMust } = options;
  const own = [...globalArgs(options), ...args];
  if (beside === undefined) {
    return { file: name, args: own };
  }
  const program = { file: 'perl', args: [dataFile('engines/oci/enter.pl'), process.arch, String(beside), name, ...own] };
  // A caller may sit in a login session's group, from where nothing of the user's may move into a sandbox's.
  return limitsMust === true && args.includes('exec') ? inScope(program) : program;
}

/** Throws `ENGINE_FAILED` with what the runtime said. */
export async function runtimeMust(options: RuntimeOptions, args: readonly string[], abort: Abortable = {}): Promise<RunResult> {
  const result = await runtimeCall(options, args, abort);
  if (result.exitCode !== 0) {
    throw runtimeFailure(options.name, args[0] ?? '', result.stderr.toString('utf8'));
  }
  return result;
}

export function runtimeFailure(name: string, action: string, text: string): CasemateError {
  return new CasemateError('ENGINE_FAILED', `${name} ${action} failed: ${visible(lastLine(text)).slice(0, 600)}`);
}

/** runtimes write a line of log, and the error last, each as text, as `level=error msg="…"` or as JSON */
function lastLine(text: string): string {
  const line = text.trim().split('\n').at(-1) ?? '';
  const [, message] = [...line.matchAll(/msg(?:=|":)"((?:[^"\\]|\\.)*)"/g)].at(-1) ?? [];
  return message?.replaceAll('\\"', '"') ?? line;
}

/** `undefined` when the runtime knows no such container. */
export async function containerState(
  options: RuntimeOptions,
  id: string,
  abort: Abortable = {},
): Promise<ContainerState | undefined> {
  const result = await runtimeCall(options, ['state', id], abort);
  if (result.exitCode !== 0) {
    const text = result.stderr.toString('utf8');
    if (/does not exist|not found|no such|file does not exist/i.test(text)) {
      return undefined;
    }
    throw runtimeFailure(options.name, 'state', text);
  }
  return parseState(result.stdout.toString('utf8'), options.name);
}

function parseState(text: string, name: string): ContainerState {
  const value: unknown = JSON.parse(text);
  if (typeof value === 'object' && value !== null && 'status' in value && isStatus(value.status)) {
    return { status: value.status, pid: 'pid' in value && typeof value.pid === 'number' ? value.pid : 0 };
  }
  throw runtimeFailure(name, 'state', 'unreadable answer');
}

function isStatus(value: unknown): value is ContainerState['status'] {
  return typeof value === 'string' && ['creating', 'created', 'running', 'paused', 'stopped'].includes(value);
}
