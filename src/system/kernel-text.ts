import { readFileSync, readlinkSync } from 'node:fs';

/**
 * What the kernel tells from its own tables (proc(5), cgroups(7)), read in place: some 15 microseconds of a processor. Through
 * the pool of threads it is ten times that, for a read is four or five turns of it, and on a busy machine each turn waits.
 *
 * Not for what a process or another part of the system can hold up, since here everybody would wait: `cmdline`, `environ` and
 * `maps` look into memory, which may be a file of the process's own file system (FUSE); `cgroup` and `mountinfo` wait for
 * whoever changes groups or mounts.
 */

/** Content of the file at `path`, `undefined` where it cannot be read. */
export function kernelText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Target of the link at `path`, such as `pid:[4026531836]` of a namespace; `undefined` where it cannot be read. */
export function kernelLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
