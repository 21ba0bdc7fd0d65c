import { setIdBits, type Machine } from '../../kernel/seccomp.ts';
import { callNumber } from './call-numbers.ts';
import {
  allow,
  ENOSYS,
  EPERM,
  fail,
  filterHex,
  filterProgram,
  ifAny,
  ifEqual,
  loadArgument,
  type Instruction,
} from './filter-code.ts';

/**
 * A seccomp program around gVisor's own processes that lets none of them make a set-user-ID or set-group-ID file. gVisor's file
 * server creates the sandbox's files on this host with the mode requested inside, and such a file would outlive the sandbox.
 * Pure; every other call is left to gVisor's own filters, which apply in addition.
 */

/** O_CREAT and the bit O_TMPFILE adds to O_DIRECTORY: only then is there a mode to judge. */
const creates = 0o100 | 0o20000000;

/** calls and which of their arguments is a mode */
const modes = { chmod: 1, fchmod: 1, creat: 1, mknod: 1, mknodat: 2, fchmodat: 2, fchmodat2: 2 } as const;
/** calls, their flags and their mode */
const opens = { open: [1, 2], openat: [2, 3] } as const;
/** openat2 has its mode in memory, and io_uring makes calls that no filter sees; gVisor uses neither. */
const unseen = ['openat2', 'io_uring_setup'];

/** In hex. */
export function setIdFilter(machine: Machine): string {
  const judge = (mode: number): readonly Instruction[] => [loadArgument(mode), ...ifAny(setIdBits, [fail(EPERM)]), allow];
  const forCall = (name: string, block: readonly Instruction[]): readonly Instruction[] => {
    const number = callNumber(name, machine);
    return number === undefined ? [] : ifEqual(number, block);
  };
  return filterHex(
    filterProgram(machine, [
      ...unseen.flatMap((name) => forCall(name, [fail(ENOSYS)])),
      ...Object.entries(modes).flatMap(([name, mode]) => forCall(name, judge(mode))),
      ...Object.entries(opens).flatMap(([name, [flags, mode]]) =>
        forCall(name, [loadArgument(flags), ...ifAny(creates, judge(mode)), allow]),
      ),
      allow,
    ]),
  );
}
