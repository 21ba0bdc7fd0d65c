import type { Machine } from '../../kernel/seccomp.ts';

/**
 * A minimal ELF program (elf(5)) that shows what a kernel does with it. Pure. Without an argument it waits for 20 seconds; with
 * one it asks for a new user namespace; with two it asks for the status of a file with a flag that may be ignored
 * (AT_NO_AUTOMOUNT). It exits with the error number.
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
  // rax = (%rsp); je 1f on 2; ja 2f; poll(0, 0, 20000); eax = 0; jmp 3f; 1: unshare(CLONE_NEWUSER); jmp 3f;
  // 2: statx(AT_FDCWD, "/", AT_NO_AUTOMOUNT, 0x7ff, a buffer on the stack); 3: exit_group(-eax); "/"
  x64:
    '488b04244883f8027416772231ff31f6ba204e0000b8070000000f0531c0eb36bf00000010b8100100000f05eb28' +
    '4881ec00010000bf9cffffff488d3520000000ba0008000041baff0700004989e0b84c0100000f05' +
    '89c7f7dfb8e70000000f052f00',
  // the same, with ppoll and its time on the stack
  arm64:
    'e00340f91f0800f180010054e8010054890280d2e97fbfa9e0031faae1031faae2030091e3031faa280980d2010000d4e0031faa0d000014' +
    '0000a2d2280c80d2010000d409000014' +
    'ff0304d1600c801221010010020081d2e3ff80d2e4030091682480d2010000d4' +
    'e00300cbc80b80d2010000d42f000000',
};
