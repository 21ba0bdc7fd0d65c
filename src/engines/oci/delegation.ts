import { randomBytes } from 'node:crypto';
import { posix } from 'node:path';

import { dataFile } from '../../system/data-file.ts';
import { visible } from '../../base/text.ts';
import { run } from '../../system/process.ts';

/**
 * Limits for an ordinary user on a host with cgroup v2: the user's own systemd makes a scope for each sandbox and leaves what is
 * below it to us (systemd's CGROUP_DELEGATION.md). The scope goes with its last process, so nothing is left behind.
 */

export interface Delegation {
  /** cgroup of the slice that holds the scopes, from the root of the hierarchy */
  readonly slice: string;
  /** controllers that were switched on below a scope when it was tried */
  readonly controllers: readonly string[];
  /** swap is accounted, so that it can be limited */
  readonly swap: boolean;
}

export interface Program {
  readonly file: string;
  readonly args: readonly string[];
}

interface DelegationHost {
  readonly env: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

const slice = 'casemate';

/** Makes a scope and groups below it, which end with the probe. What is missing is said as text. */
export async function examineDelegation({ env, signal }: DelegationHost): Promise<Delegation | string> {
  const probe = inScope({ file: 'perl', args: [stageProgram(), process.arch, String(process.pid)] }, newUnit('probe'));
  const options = { env, signal, input: `${groupLine(wanted)}\ngroups\n`, timeoutMs: 10_000 };
  const result = await run(probe.file, probe.args, options).catch((error: unknown) => {
    signal?.throwIfAborted();
    return error instanceof Error ? error.message : String(error);
  });
  if (typeof result === 'string') {
    return result;
  }
  if (result.exitCode !== 0) {
    return visible(result.stderr.toString('utf8').trim().split('\n').at(-1) ?? '').slice(0, 300);
  }
  return parseGroups(result.stdout.toString('utf8')) ?? 'the answer of the probe is unreadable';
}

/** What `stage.pl` answers to `groups`: its scope, the controllers below it, whether swap has a limit; tab-separated. */
export function parseGroups(text: string): Delegation | undefined {
  const [scope, controllers, swap] = text.trimEnd().split('\t');
  if (scope === undefined || !scope.startsWith('/') || controllers === undefined || swap === undefined) {
    return undefined;
  }
  const given = controllers.split(' ');
  return { slice: posix.dirname(scope), controllers: wanted.filter((name) => given.includes(name)), swap: swap === 'swap' };
}

const wanted = ['memory', 'cpu', 'pids'];

/** Line of a stage plan: leave the scope's own group empty and switch these controllers on below it. */
export function groupLine(controllers: readonly string[]): string {
  return ['group', ...controllers].join('\t');
}

/** A name that no earlier scope of the same sandbox has: that one may still be ending. */
export function newUnit(id: string): string {
  return `casemate-${id}-${randomBytes(4).toString('hex')}.scope`;
}

/** The group that the runtime makes for the container itself. */
export function containerGroup(delegation: Delegation, unit: string): string {
  return posix.join(delegation.slice, unit, 'box');
}

/** From `/proc/PID/cgroup` of a sandbox's first process: whether it was made in a scope of ours. */
export function isDelegated(text: string | undefined): boolean {
  return /^0::\/.*\/casemate-[^/]+\.scope\/box$/m.test(text ?? '');
}

/**
 * A program with its children in a scope of its own, from wherever its caller runs; it replaces systemd-run, so that
 * process id, streams and signals are its own. Only from within the user's own tree may a process move to another group.
 */
export function inScope({ file, args }: Program, unit?: string): Program {
  const own = unit === undefined ? [] : [`--unit=${unit}`, '--property=Delegate=yes'];
  return {
    file: 'systemd-run',
    args: ['--user', '--scope', '--quiet', '--collect', `--slice=${slice}`, ...own, '--', file, ...args],
  };
}

function stageProgram(): string {
  return dataFile('engines/oci/stage.pl');
}
