import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { seccompProfile, type SeccompArgument } from '../../../src/engines/kernel/seccomp.ts';
import { allowedCalls, fallbackCalls } from '../../../src/engines/kernel/system-calls.ts';

const profile = seccompProfile('x64');

/** What the kernel's filter answers: `allow`, or the error number. Arguments are 64-bit registers. */
function answer(call: string, ...args: readonly bigint[]): 'allow' | number {
  const rule = profile.syscalls.find(
    ({ names, args: wanted = [] }) => names.includes(call) && wanted.every((argument) => matches(argument, args)),
  );
  return rule === undefined
    ? profile.defaultErrnoRet
    : rule.action === 'SCMP_ACT_ALLOW'
      ? 'allow'
      : (rule.errnoRet ?? profile.defaultErrnoRet);
}

function matches({ index, op, value, valueTwo = 0 }: SeccompArgument, args: readonly bigint[]): boolean {
  const register = args[index] ?? 0n;
  return op === 'SCMP_CMP_EQ' ? register === BigInt(value) : (register & BigInt(value)) === BigInt(valueTwo);
}

const EPERM = 1;
const ENOSYS = 38;
const high = 1n << 32n;

describe('the system calls of a sandbox', () => {
  it('are those of the machine alone, by allowlist', () => {
    expect(profile.defaultAction).toBe('SCMP_ACT_ERRNO');
    expect(profile.architectures).toEqual(['SCMP_ARCH_X86_64']);
    expect(seccompProfile('arm64').architectures).toEqual(['SCMP_ARCH_AARCH64']);
  });

  it('are named once, either as allowed, as absent or by their arguments', () => {
    const judged = new Set(profile.syscalls.filter(({ args }) => args !== undefined).flatMap(({ names }) => names));
    const plain = [...allowedCalls, ...fallbackCalls];
    expect(new Set(plain).size).toBe(plain.length);
    expect(plain.filter((name) => judged.has(name))).toEqual([]);
  });

  const refused =
    'bpf keyctl add_key request_key userfaultfd perf_event_open mount umount2 unshare setns ptrace open_by_handle_at name_to_handle_at ' +
    'init_module finit_module delete_module kexec_load kexec_file_load pivot_root chroot process_vm_readv process_vm_writev syslog acct ' +
    'settimeofday clock_settime clock_adjtime adjtimex swapon swapoff reboot quotactl quotactl_fd open_tree move_mount fsopen fsconfig ' +
    'fsmount fspick mount_setattr pidfd_getfd kcmp iopl ioperm modify_ldt lookup_dcookie nfsservctl vhangup sethostname setdomainname ' +
    'fanotify_init statmount listmount process_madvise migrate_pages move_pages vm86 uselib';

  it.each(refused.split(' '))('refuse %s', (call) => {
    expect(answer(call)).toBe(EPERM);
  });

  it.each(['clone3', 'openat2', 'io_uring_setup', 'io_uring_enter', 'io_uring_register', 'io_setup', 'io_submit'])(
    'say that %s does not exist',
    (call) => {
      expect(answer(call)).toBe(ENOSYS);
    },
  );

  it('open sockets of four families, of TCP and UDP only, and pairs of one', () => {
    const open = (family: number, type: number, protocol = 0) =>
      answer('socket', BigInt(family), BigInt(type), BigInt(protocol)) === 'allow';
    const families = Array.from({ length: 64 }, (_, family) => family).filter((family) =>
      [1, 2, 3, 5, 10].some((type) => open(family, type)),
    );
    expect(families).toEqual([1, 2, 10, 16]);
    expect([open(2, 1), open(2, 1 | 0o2004000), open(2, 2, 17), open(10, 1, 6)]).toEqual([true, true, true, true]);
    // raw, ICMP, SCTP, MPTCP, UDP-Lite; netlink other than routing
    expect([open(2, 3, 255), open(2, 2, 1), open(2, 1, 132), open(2, 1, 262), open(2, 2, 136)]).toEqual(Array(5).fill(false));
    expect([open(16, 3, 0), open(16, 3, 15), open(16, 3, 16)]).toEqual([true, false, false]);
    expect(answer('socketpair', 2n, 1n, 0n)).toBe(EPERM);
  });

  it('change every limit of a process but that of core dumps, and are told that they changed it', () => {
    const pointer = 0x7ffd_1234_5000n;
    for (const limit of [4n, 4n | high]) {
      expect(answer('setrlimit', limit, pointer)).toBe(0);
      expect(answer('prlimit64', 0n, limit, pointer, 0n)).toBe(0);
      expect(answer('prlimit64', 0n, limit, 8n, 0n)).toBe(0);
      expect(answer('prlimit64', 0n, limit, 0n, pointer)).toBe('allow');
    }
    const others = Array.from({ length: 16 }, (_, limit) => BigInt(limit)).filter((limit) => limit !== 4n);
    expect(others.map((limit) => answer('setrlimit', limit, pointer))).toEqual(others.map(() => 'allow'));
    expect(others.map((limit) => answer('prlimit64', 0n, limit, pointer, 0n))).toEqual(others.map(() => 'allow'));
  });

  it('are judged by rules of which no two say different things of one call', () => {
    const register = fc.oneof(
      fc.nat(20).map(BigInt),
      fc.nat(20).map((low) => BigInt(low) | high),
      fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    );
    const names = [...new Set(profile.syscalls.filter(({ args }) => args !== undefined).flatMap((rule) => rule.names))];
    fc.assert(
      fc.property(fc.constantFrom(...names), fc.array(register, { minLength: 4, maxLength: 4 }), (name, args) => {
        const said = profile.syscalls
          .filter((rule) => rule.names.includes(name) && (rule.args ?? []).every((argument) => matches(argument, args)))
          .map(({ action }) => action);
        expect(new Set(said).size).toBeLessThan(2);
      }),
      { numRuns: 2000 },
    );
  });

  it('judge only the bits the kernel reads of a family', () => {
    expect(answer('socket', 38n | high, 5n, 0n)).toBe(EPERM);
    expect(answer('socket', 1n | high, 1n, 0n)).toBe('allow');
  });

  it.each([0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])(
    'refuse a new namespace (clone flag %#x)',
    (flag) => {
      expect(answer('clone', BigInt(flag | 17))).toBe(EPERM);
      expect(answer('clone', 0x003d0f00n)).toBe('allow');
    },
  );

  it('type into no terminal, whatever the upper half of the register holds (CVE-2019-10063)', () => {
    const typing = [0x5412n, 0x541cn];
    fc.assert(
      fc.property(
        fc.oneof(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), fc.integer({ min: 0x5400, max: 0x5480 }).map(BigInt)),
        (request) => {
          expect(answer('ioctl', 3n, request)).toBe(typing.includes(request & (high - 1n)) ? EPERM : 'allow');
        },
      ),
    );
    expect(answer('ioctl', 0n, 0x5412n | high)).toBe(EPERM);
  });

  it('set no set-user-id or set-group-id bit, by any call that sets modes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0o7777 }), (mode) => {
        const wanted = (mode & 0o6000) === 0 ? 'allow' : EPERM;
        const bits = BigInt(mode);
        expect(answer('chmod', 0n, bits)).toBe(wanted);
        expect(answer('fchmod', 0n, bits)).toBe(wanted);
        expect(answer('fchmodat', 0n, 0n, bits)).toBe(wanted);
        expect(answer('fchmodat2', 0n, 0n, bits)).toBe(wanted);
        expect(answer('creat', 0n, bits)).toBe(wanted);
        expect(answer('open', 0n, 0o101n, bits)).toBe(wanted);
        expect(answer('openat', 0n, 0n, 0o101n, bits)).toBe(wanted);
        expect(answer('openat', 0n, 0n, 0o20200002n, bits)).toBe(wanted);
        // without O_CREAT there is no mode: the register may hold anything
        expect(answer('openat', 0n, 0n, 0n, bits)).toBe('allow');
        expect(answer('mknod', 0n, bits | 0o010000n)).toBe(wanted);
      }),
    );
  });

  it('make no device', () => {
    expect(answer('mknod', 0n, 0o020666n)).toBe(EPERM);
    expect(answer('mknodat', 0n, 0n, 0o060666n)).toBe(EPERM);
    expect(answer('mknodat', 0n, 0n, 0o140666n)).toBe('allow');
  });
});
