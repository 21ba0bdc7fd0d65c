import type { Machine } from '../seccomp.ts';

/**
 * The smallest program that tells what a kernel does with it, as an ELF file (elf(5)). Pure. Without an argument it waits
 * for 20 seconds; with one it asks for a new user namespace and ends with the number of the error, 0 when it got one.
 */
export function probeProgram(machine: Machine): Buffer {
  const code = Buffer.from(codes[machine], 'hex');
  const size = headerBytes + code.length;
  const file = Buffer.alloc(headerBytes);
  file.write('\u007fELF\u0002\u0001\u0001', 0, 'latin1');
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(machine === 'x64' ? 62 : 183, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(base + BigInt(headerBytes), 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  // one segment: the whole file, read and executed
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(5, 68);
  file.writeBigUInt64LE(base, 80);
  file.writeBigUInt64LE(base, 88);
  file.writeBigUInt64LE(BigInt(size), 96);
  file.writeBigUInt64LE(BigInt(size), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  return Buffer.concat([file, code]);
}

const headerBytes = 120;
const base = 0x40_0000n;

const codes: Readonly<Record<Machine, string>> = {
  // mov (%rsp),%rax; cmp $1,%rax; jne 1f; edi = esi = 0; edx = 20000; eax = 7 (poll); syscall; edi = 0; jmp 2f;
  // 1: edi = CLONE_NEWUSER; eax = 272 (unshare); syscall; edi = -eax; 2: eax = 231 (exit_group); syscall
  x64: '488b04244883f801751431ff31f6ba204e0000b8070000000f0531ffeb10bf00000010b8100100000f0589c7f7dfb8e70000000f05',
  // the same with ppoll (73) and a time of 20 seconds on the stack, unshare (97) and exit_group (94)
  arm64:
    'e00340f91f0400f161010054890280d2e97fbfa9e0031faae1031faae2030091e3031faa280980d2010000d4e0031faa05000014' +
    '0000a2d2280c80d2010000d4e00300cbc80b80d2010000d4',
};
