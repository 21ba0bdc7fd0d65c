import type { Machine } from '../seccomp.ts';

/**
 * A seccomp program (seccomp(2)) around gVisor's own processes: none of them makes a file that gives ids to whoever runs it.
 * gVisor's file server makes the sandbox's files on this host with the mode that was asked for inside, and that would
 * outlive the sandbox. Pure; every other call is left to gVisor's own filters, which come on top.
 */

const setIdBits = 0o6000;
/** O_CREAT and the bit O_TMPFILE adds to O_DIRECTORY: only then is there a mode to judge. */
const creates = 0o100 | 0o20000000;

interface Calls {
  readonly architecture: number;
  /** number of a call and which of its arguments is a mode */
  readonly modes: readonly (readonly [number, number])[];
  /** number of a call, its flags, its mode */
  readonly opens: readonly (readonly [number, number, number])[];
}

/** openat2 has its mode in memory, and io_uring makes calls that no filter sees; gVisor uses neither. */
const refused = [437, 425];

const calls: Readonly<Record<Machine, Calls>> = {
  x64: {
    architecture: 0xc000_003e,
    // chmod, fchmod, creat, mknod, mknodat, fchmodat, fchmodat2
    modes: [
      [90, 1],
      [91, 1],
      [85, 1],
      [133, 1],
      [259, 2],
      [268, 2],
      [452, 2],
    ],
    // open, openat
    opens: [
      [2, 1, 2],
      [257, 2, 3],
    ],
  },
  arm64: {
    architecture: 0xc000_00b7,
    // fchmod, mknodat, fchmodat, fchmodat2
    modes: [
      [52, 1],
      [33, 2],
      [53, 2],
      [452, 2],
    ],
    // openat
    opens: [[56, 2, 3]],
  },
};

interface Instruction {
  readonly code: number;
  readonly yes?: number;
  readonly no?: number;
  readonly value: number;
}

const offset = { number: 0, architecture: 4, arguments: 16 } as const;
const load = (at: number): Instruction => ({ code: 0x20, value: at });
const loadArgument = (index: number): Instruction => load(offset.arguments + 8 * index);
const answer = (value: number): Instruction => ({ code: 0x06, value });
const allow = answer(0x7fff_0000);
const fail = (errno: number): Instruction => answer(0x0005_0000 + errno);
const EPERM = 1;
const ENOSYS = 38;

/** `block` for one call, skipped for every other; it ends with an answer. */
function forCall(number: number, block: readonly Instruction[]): readonly Instruction[] {
  return [{ code: 0x15, yes: 0, no: block.length, value: number }, ...block];
}

/** Answers for an argument: `then` where one of the bits is set, else what follows. */
function ifAny(bits: number, then: readonly Instruction[]): readonly Instruction[] {
  return [{ code: 0x45, yes: 0, no: then.length, value: bits }, ...then];
}

/** The program as the kernel reads it (struct sock_filter), in hex. */
export function setIdFilter(machine: Machine): string {
  const { architecture, modes, opens } = calls[machine];
  const program = [
    load(offset.architecture),
    { code: 0x15, yes: 1, no: 0, value: architecture },
    fail(ENOSYS),
    load(offset.number),
    // the x32 table of calls has numbers of its own
    { code: 0x35, yes: 0, no: 1, value: 0x4000_0000 },
    fail(ENOSYS),
    ...refused.flatMap((number) => forCall(number, [fail(ENOSYS)])),
    ...modes.flatMap(([number, mode]) => forCall(number, [loadArgument(mode), ...ifAny(setIdBits, [fail(EPERM)]), allow])),
    ...opens.flatMap(([number, flags, mode]) =>
      forCall(number, [
        loadArgument(flags),
        ...ifAny(creates, [loadArgument(mode), ...ifAny(setIdBits, [fail(EPERM)]), allow]),
        allow,
      ]),
    ),
    allow,
  ];
  return Buffer.concat(program.map(encode)).toString('hex');
}

/** Little-endian, as both machines are. */
function encode({ code, yes = 0, no = 0, value }: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(yes, 2);
  bytes.writeUInt8(no, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
