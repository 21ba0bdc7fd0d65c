import type { SandboxSpec } from '../../engine.ts';
import type { OciConfig, OciMount, OciProcess } from '../bundle.ts';
import type { Seccomp } from '../../kernel/seccomp.ts';

/**
 * The bundle in the form that gVisor needs. Pure. `keep.pl` has made the user, network and process namespaces and the cgroups,
 * so the bundle names none. Workspace, home and files are separate mounts, so that gVisor revalidates the host's files.
 */
export interface GvisorConfig extends Omit<OciConfig, 'root' | 'linux' | 'process'> {
  /** `keep.pl` sets how soon all of it is ended where memory is short: who lets a waiting kernel begin has no right to. */
  readonly process: Omit<OciProcess, 'oomScoreAdj'>;
  /** The mount itself is read-only; gVisor would mount it again without `nosuid` and `nodev`. */
  readonly root: { readonly path: string; readonly readonly: false };
  readonly linux: Pick<OciConfig['linux'], 'maskedPaths' | 'readonlyPaths'> & {
    readonly namespaces: readonly { readonly type: string }[];
    readonly seccomp?: object;
  };
}

/** One name for all: gVisor's kernel takes it when it is made, which may be before anybody asks for the sandbox. */
export const gvisorHostname = 'sandbox';

const namespaces = ['ipc', 'uts', 'mount', 'pid'];

export function gvisorConfig(config: OciConfig, { workspace, files }: SandboxSpec): GvisorConfig {
  const { oomScoreAdj: _, ...process } = config.process;
  const { seccomp, maskedPaths, readonlyPaths } = config.linux;
  const stage = config.root.path;
  const shown = (destination: string, mode: 'ro' | 'rw'): OciMount => ({
    destination,
    type: 'bind',
    source: `${stage}${destination}`,
    // with the mounts below it, which protect names
    options: ['rbind', mode, 'nosuid', 'nodev'],
  });
  return {
    ...config,
    root: { path: stage, readonly: false },
    hostname: gvisorHostname,
    process,
    mounts: [
      ...config.mounts,
      // of itself gVisor shows one there
      { destination: '/sys', type: 'tmpfs', source: 'tmpfs', options: ['ro', 'nosuid', 'nodev', 'noexec', 'size=4096'] },
      shown('/home/agent', 'rw'),
      shown('/workspace', workspace.mode === 'readonly' ? 'ro' : 'rw'),
      ...files.map(({ target }) => shown(target, 'ro')),
    ],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(seccomp === undefined ? {} : { seccomp: listFor(seccomp) }),
      maskedPaths,
      readonlyPaths,
    },
  };
}

/**
 * gVisor knows one error for what is refused. What a libc must take for a call that does not exist is given to a tracer
 * instead: nobody inside can be one, and a call that has none answers ENOSYS (seccomp(2), SECCOMP_RET_TRACE).
 */
function listFor(seccomp: Seccomp): object {
  const { defaultErrnoRet } = seccomp;
  const syscalls = seccomp.syscalls.map((rule) => {
    const { names, args, errnoRet = defaultErrnoRet } = rule;
    if (errnoRet === 0) {
      // A crash inside stays inside: its own kernel starts nothing on the host.
      return { names, args, action: 'SCMP_ACT_ALLOW' };
    }
    return errnoRet === defaultErrnoRet ? rule : { names, action: 'SCMP_ACT_TRACE' };
  });
  return { ...seccomp, syscalls };
}
