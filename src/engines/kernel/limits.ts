import type { EngineLimits } from '../engine-limits.ts';

/** The limits of a sandbox besides its cgroup, the same under every engine that uses this host's kernel. */

export const MiB = 1024 * 1024;

/** Of a process and its children; soft and hard are the same. Names without `RLIMIT_`. */
export function processLimits(limits: EngineLimits): Readonly<Record<string, number>> {
  return {
    // Not 0: only with this one is no program of the host (`core_pattern` with a `|`) started, as root, for whoever crashes
    // inside, and one byte is too little for a file (core(5), `do_coredump` of Linux). seccomp.ts keeps it so.
    CORE: 1,
    FSIZE: limits.fileBytes,
    // Of these two the caller has so much for all sandboxes and for itself (getrlimit(2), 8 MiB and 800 KiB): each gets a quarter.
    MEMLOCK: 2 * MiB,
    MSGQUEUE: 200 * 1024,
    // What a caller may do to the order of processes, a sandbox may not.
    NICE: 0,
    RTPRIO: 0,
    NOFILE: limits.openFiles,
    // Counted by user namespace since Linux 5.14: the bound where no cgroup can give one.
    NPROC: limits.pids,
    // Timers of a process are kept in one table of the host, and each of them is one of these.
    SIGPENDING: 1024,
  };
}

/**
 * Least, first and greatest size of a TCP connection's buffers, of both ends inside (tcp(7)). All of a host share one amount of
 * memory for them, and with the usual 4 to 32 MiB a few hundred connections that nobody reads take it from every program.
 */
export const socketBuffers = {
  'net.ipv4.tcp_rmem': '4096 131072 1048576',
  'net.ipv4.tcp_wmem': '4096 65536 524288',
};

/** With SIGCHLD ignored, which survives `exec`, the kernel itself buries orphans. */
export const firstProgram = ['/usr/bin/env', '--ignore-signal=CHLD', 'sleep', 'infinity'];

export const defaultEnv = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/home/agent' };

/** Of the program that asks; a sandbox goes first when the host has no memory left. */
export const outOfMemoryScore = 500;

/** Pseudo-terminals come from one pool of the host (4096 by default): a sandbox gets a bounded part. */
export const maximumTerminals = 64;

export interface MemoryFolder {
  readonly destination: string;
  readonly bytes: number;
  readonly options: readonly string[];
}

export function sharedMemoryBytes({ memoryBytes }: EngineLimits): number {
  return Math.min(Math.floor(memoryBytes / 2), 256 * MiB);
}

/** Folders whose files are in memory and end with the sandbox. */
export function memoryFolders({ memoryBytes }: EngineLimits): readonly MemoryFolder[] {
  const bytes = Math.floor(memoryBytes / 2);
  return [
    { destination: '/run', bytes: 16 * MiB, options: ['noexec', 'mode=0755'] },
    { destination: '/tmp', bytes, options: ['mode=1777'] },
    { destination: '/var/tmp', bytes, options: ['mode=1777'] },
  ];
}

/** Bounded in bytes and in number. */
export function memoryOptions(bytes: number, options: readonly string[]): readonly string[] {
  return ['nosuid', 'nodev', ...options, ...sizeOptions(bytes)];
}

/** Of a file system in memory: its bytes, and as many files as would fill them with a page each. */
export function sizeOptions(bytes: number): readonly string[] {
  return [`size=${bytes}`, `nr_inodes=${Math.max(256, Math.floor(bytes / 4096))}`];
}
