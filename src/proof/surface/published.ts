import { callNames } from '../../engines/oci/system-call-numbers.ts';
import { seccompProfile, type Machine, type SeccompArgument, type SeccompRule } from '../../engines/kernel/seccomp.ts';

/** Which parts of the kernel a sandbox may reach, as published: read from the seccomp profile itself. Pure. */
export interface PublishedSurface {
  /** calls allowed whatever their arguments */
  readonly calls: readonly string[];
  /** calls allowed with some arguments only */
  readonly judged: readonly string[];
  /** calls answered "not implemented" */
  readonly absent: readonly string[];
  /** what `socket` may be asked for */
  readonly sockets: readonly PublishedSocket[];
}

/** `undefined`: any */
export interface PublishedSocket {
  readonly family: number;
  readonly type?: number | undefined;
  readonly protocol?: number | undefined;
}

export const thisMachine: Machine = process.arch === 'arm64' ? 'arm64' : 'x64';

export function publishedSurface(machine: Machine): PublishedSurface {
  const { syscalls } = seccompProfile(machine);
  const known = callNames(machine);
  const names = (rules: readonly SeccompRule[]): readonly string[] =>
    [...new Set(rules.flatMap((rule) => rule.names))].filter((name) => known.has(name)).toSorted();
  const allowing = syscalls.filter(({ action }) => action === 'SCMP_ACT_ALLOW');
  const calls = names(allowing.filter(({ args }) => args === undefined));
  const judged = names(allowing.filter(({ args }) => args !== undefined)).filter((name) => !calls.includes(name));
  return {
    calls,
    judged,
    absent: names(syscalls.filter(({ action, args }) => action === 'SCMP_ACT_ERRNO' && args === undefined)),
    sockets: allowing.filter((rule) => rule.names.includes('socket')).map(({ args = [] }) => socketOf(args)),
  };
}

function socketOf(args: readonly SeccompArgument[]): PublishedSocket {
  const value = (index: number): number | undefined => {
    const found = args.find((argument) => argument.index === index);
    return found?.op === 'SCMP_CMP_MASKED_EQ' ? found.valueTwo : found?.value;
  };
  return { family: value(0) ?? -1, type: value(1), protocol: value(2) };
}

export function isPublishedCall(name: string, { calls, judged }: PublishedSurface): boolean {
  return calls.includes(name) || judged.includes(name);
}
