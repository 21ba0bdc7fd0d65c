import { allowedCalls, fallbackCalls } from './system-calls.ts';

/**
 * The system calls that a sandbox may make, as an allowlist in the form of the OCI runtime specification 1.0.2. All others
 * answer EPERM; those that a libc tries first and can do without answer ENOSYS, so that it falls back.
 */

export type Machine = 'x64' | 'arm64';

export interface Seccomp {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly SeccompArgument[];
}

export interface SeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_MASKED_EQ';
}

const EPERM = 1;
const ENOSYS = 38;

// Only the machine's own ABI: i386 and x32 calls would pass every rule on arguments (CVE-2026-31431 through int 0x80).
const architectures = { x64: ['SCMP_ARCH_X86_64'], arm64: ['SCMP_ARCH_AARCH64'] } as const satisfies Record<
  Machine,
  readonly string[]
>;

export function seccompProfile(machine: Machine): Seccomp {
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: EPERM,
    architectures: architectures[machine],
    syscalls: [
      allow(allowedCalls),
      { names: fallbackCalls, action: 'SCMP_ACT_ERRNO', errnoRet: ENOSYS },
      ...socketRules(),
      ...cloneRules(),
      ...modeRules(),
      ...personalityRules(),
      ...terminalRules(),
      ...descriptorRules(),
      ...limitRules(),
    ],
  };
}

function allow(names: readonly string[], ...args: readonly SeccompArgument[]): SeccompRule {
  return args.length === 0 ? { names, action: 'SCMP_ACT_ALLOW' } : { names, action: 'SCMP_ACT_ALLOW', args };
}

/** `argument & mask === value`: judges only the bits the kernel looks at (the 64-bit register may hold more, CVE-2019-10063). */
function bits(index: number, mask: number, value: number): SeccompArgument {
  return { index, value: mask, valueTwo: value, op: 'SCMP_CMP_MASKED_EQ' };
}

/** The kernel reads these arguments as 32-bit numbers. */
function is(index: number, value: number): SeccompArgument {
  return bits(index, 0xffff_ffff, value);
}

const family = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
const socketType = { mask: 0xf, stream: 1, datagram: 2 } as const;
const protocol = { any: 0, tcp: 6, udp: 17, netlinkRoute: 0 } as const;

/**
 * Families by allowlist. Internet sockets carry TCP and UDP only (no raw, packet, ICMP, SCTP, MPTCP); of netlink only the
 * routing protocol, which `getifaddrs` of every libc and runtime asks; pairs only of the Unix family.
 */
function socketRules(): readonly SeccompRule[] {
  const internet = [family.inet, family.inet6].flatMap((name) => [
    [is(0, name), bits(1, socketType.mask, socketType.stream), is(2, protocol.any)],
    [is(0, name), bits(1, socketType.mask, socketType.stream), is(2, protocol.tcp)],
    [is(0, name), bits(1, socketType.mask, socketType.datagram), is(2, protocol.any)],
    [is(0, name), bits(1, socketType.mask, socketType.datagram), is(2, protocol.udp)],
  ]);
  return [
    allow(['socket', 'socketpair'], is(0, family.unix)),
    allow(['socket'], is(0, family.netlink), is(2, protocol.netlinkRoute)),
    ...internet.map((args) => allow(['socket'], ...args)),
  ];
}

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET; NEWTIME is out of reach of `clone`. */
const newNamespaces = 0x7e02_0000;

function cloneRules(): readonly SeccompRule[] {
  return [allow(['clone'], bits(0, newNamespaces, 0))];
}

/** S_ISUID and S_ISGID: `nosuid` holds inside, but files of a workspace outlive the sandbox. */
export const setIdBits = 0o6000;
/** O_CREAT and the bit O_TMPFILE adds to O_DIRECTORY: only then is there a mode to judge. */
const creates = 0o100 | 0o20000000;
const fileType = { mask: 0o170000, none: 0, fifo: 0o010000, regular: 0o100000, socket: 0o140000 } as const;

function modeRules(): readonly SeccompRule[] {
  return [
    allow(['chmod', 'fchmod'], bits(1, setIdBits, 0)),
    allow(['fchmodat', 'fchmodat2'], bits(2, setIdBits, 0)),
    allow(['creat'], bits(1, setIdBits, 0)),
    allow(['open'], bits(1, creates, 0)),
    allow(['open'], bits(2, setIdBits, 0)),
    allow(['openat'], bits(2, creates, 0)),
    allow(['openat'], bits(3, setIdBits, 0)),
    ...[fileType.none, fileType.fifo, fileType.regular, fileType.socket].flatMap((type) => [
      allow(['mknod'], bits(1, fileType.mask | setIdBits, type)),
      allow(['mknodat'], bits(2, fileType.mask | setIdBits, type)),
    ]),
  ];
}

/** PER_LINUX, PER_LINUX32 and UNAME26 in their combinations, and the query; never READ_IMPLIES_EXEC or less randomness. */
function personalityRules(): readonly SeccompRule[] {
  return [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff].map((value) => allow(['personality'], is(0, value)));
}

/**
 * Every `ioctl` but TIOCSTI (0x5412) and TIOCLINUX (0x541c), which type into a terminal (CVE-2017-5226). An allowlist
 * cannot say "not", so: any request that differs from 0x541? in one of the upper 28 bits, or has another last digit.
 */
function terminalRules(): readonly SeccompRule[] {
  const prefix = 0x5410;
  const refused = [0x5412, 0x541c];
  const elsewhere = Array.from({ length: 28 }, (_, index) => 2 ** (index + 4)).map((bit) =>
    allow(['ioctl'], bits(1, bit, hasBit(prefix, bit) ? 0 : bit)),
  );
  const here = Array.from({ length: 16 }, (_, digit) => prefix + digit).filter((request) => !refused.includes(request));
  return [...elsewhere, ...here.map((request) => allow(['ioctl'], is(1, request)))];
}

/**
 * Commands of `fcntl`: descriptors, flags, owners and signals, locks, pipe sizes, seals, hints. Not F_SETLEASE (1024) and
 * F_NOTIFY (1026): with a lease on a file of the workspace every open of it on the host waits 45 seconds (fcntl(2)).
 */
function descriptorRules(): readonly SeccompRule[] {
  const commands = [...range(0, 16), ...range(36, 38), 1025, 1027, 1028, ...range(1030, 1040)];
  return commands.map((command) => allow(['fcntl'], is(1, command)));
}

const coreLimit = 4;
const limits = range(0, 15);

/**
 * Every limit may be changed but that of core dumps (getrlimit(2)). It is 1, and with any other a crash would start the host's
 * handler of dumps, as root, on what the sandbox left there (core(5); CVE-2025-5054, CVE-2025-4598). Who wants less is told
 * that it is so: programs that keep secrets, such as ssh-agent, end where they cannot have it.
 */
function limitRules(): readonly SeccompRule[] {
  const isSet = range(0, 46).map((bit) => bits(2, 2 ** bit, 2 ** bit));
  return [
    ...limits
      .filter((limit) => limit !== coreLimit)
      .flatMap((limit) => [allow(['setrlimit'], is(0, limit)), allow(['prlimit64'], is(1, limit))]),
    // Only asked for. No two of these rules hold for one call: which of them would win is not told.
    allow(['prlimit64'], is(1, coreLimit), { index: 2, value: 0, op: 'SCMP_CMP_EQ' }),
    pretend(['setrlimit'], is(0, coreLimit)),
    ...isSet.map((argument) => pretend(['prlimit64'], is(1, coreLimit), argument)),
  ];
}

/** The call does nothing and answers that it has. */
function pretend(names: readonly string[], ...args: readonly SeccompArgument[]): SeccompRule {
  return { names, action: 'SCMP_ACT_ERRNO', errnoRet: 0, args };
}

function range(first: number, last: number): readonly number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

function hasBit(value: number, bit: number): boolean {
  return Math.floor(value / bit) % 2 === 1;
}
