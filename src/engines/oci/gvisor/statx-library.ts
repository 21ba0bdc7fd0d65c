import type { Machine } from '../../kernel/seccomp.ts';

/**
 * A library (elf(5)) that commands load before their own, if the installed gVisor refuses a flag of statx(2) that it could
 * ignore: `ls PATH` and `stat` of coreutils 9 set it (AT_NO_AUTOMOUNT). It clears the flag and passes the call on to `syscall`
 * of the C library. Pure.
 */
export function statxLibrary(machine: Machine): Buffer {
  const { code, number, relocation } = machines[machine];
  const text = Buffer.concat([code, jumpTo(machine, place.code + code.length)]);
  const file = Buffer.alloc(place.end);
  [
    { at: 0, bytes: header(number) },
    { at: place.segments, bytes: Buffer.concat(segments) },
    { at: place.hash, bytes: words(1, 3, 1, 0, 2, 0) },
    { at: place.symbols, bytes: Buffer.concat([Buffer.alloc(24), symbol(1, 1, place.code), symbol(7, 0, 0)]) },
    { at: place.names, bytes: Buffer.from(names, 'latin1') },
    { at: place.relocations, bytes: longs(shifted + place.slot, 2 * 2 ** 32 + relocation, 0) },
    { at: place.code, bytes: text },
    { at: place.dynamic, bytes: longs(...dynamic.flat()) },
  ].forEach(({ at, bytes }) => bytes.copy(file, at));
  return file;
}

const names = '\0statx\0syscall\0';

/** Offsets in the file. What is written to when it is loaded lies at its end, and in memory this much further. */
const place = {
  segments: 64,
  hash: 288,
  symbols: 312,
  names: 384,
  relocations: 400,
  code: 424,
  dynamic: 512,
  slot: 656,
  end: 664,
} as const;
const shifted = 0x1_0000;

const machines = {
  x64: {
    number: 62,
    // R_X86_64_GLOB_DAT
    relocation: 6,
    // r9 = r8; r8d = ecx; ecx = edx & ~0x800; rdx = rsi; rsi = edi; edi = 332 (statx); eax = 0
    code: Buffer.from('4d89c14189c889d181e1fff7ffff4889f24863f7bf4c01000031c0', 'hex'),
  },
  arm64: {
    number: 183,
    // R_AARCH64_GLOB_DAT
    relocation: 1025,
    // x5 = x4; w4 = w3; w3 = w2 & ~0x800; x2 = x1; x1 = w0; x0 = 291 (statx)
    code: Buffer.from('e50304aae403032a43781412e20301aa017c4093602480d2', 'hex'),
  },
} as const satisfies Record<Machine, { number: number; relocation: number; code: Buffer }>;

/** To the address in the slot, which lies at a fixed distance. */
function jumpTo(machine: Machine, at: number): Buffer {
  const distance = shifted + place.slot - at;
  if (machine === 'x64') {
    // jmp *distance(%rip), counted from its end
    return Buffer.concat([Buffer.from('ff25', 'hex'), words(distance - 6)]);
  }
  // ldr x16, distance; br x16
  return words((0x5800_0010 | ((distance / 4) << 5)) >>> 0, 0xd61f_0200);
}

function header(machine: number): Buffer {
  const bytes = Buffer.alloc(64);
  bytes.write('\u007fELF\u0002\u0001\u0001', 0, 'latin1');
  bytes.writeUInt16LE(3, 16);
  bytes.writeUInt16LE(machine, 18);
  bytes.writeUInt32LE(1, 20);
  bytes.writeBigUInt64LE(BigInt(place.segments), 32);
  bytes.writeUInt16LE(64, 52);
  bytes.writeUInt16LE(56, 54);
  bytes.writeUInt16LE(4, 56);
  return bytes;
}

interface Segment {
  readonly type: number;
  readonly rights: number;
  readonly at: number;
  readonly size: number;
  readonly shift: number;
}

function segment({ type, rights, at, size, shift }: Segment): Buffer {
  return Buffer.concat([words(type, rights), longs(at, at + shift, at + shift, size, size, type === 1 ? shifted : 8)]);
}

/** read and execute; read and write; where the table for the loader is; a stack that is not executed */
const segments = [
  segment({ type: 1, rights: 5, at: 0, size: place.dynamic, shift: 0 }),
  segment({ type: 1, rights: 6, at: place.dynamic, size: place.end - place.dynamic, shift: shifted }),
  segment({ type: 2, rights: 6, at: place.dynamic, size: place.slot - place.dynamic, shift: shifted }),
  segment({ type: 0x6474_e551, rights: 6, at: 0, size: 0, shift: 0 }),
];

/** DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_RELA, DT_RELASZ, DT_RELAENT, the end */
const dynamic = [
  [4, place.hash],
  [5, place.names],
  [6, place.symbols],
  [10, names.length],
  [11, 24],
  [7, place.relocations],
  [8, 24],
  [9, 24],
  [0, 0],
];

/** A function that everybody may call; without a section it is looked for elsewhere. */
function symbol(name: number, section: number, value: number): Buffer {
  return Buffer.concat([words(name, 0x12 + section * 0x1_0000), longs(value, 0)]);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32LE(value, 4 * index));
  return bytes;
}

function longs(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(8 * values.length);
  values.forEach((value, index) => bytes.writeBigUInt64LE(BigInt(value), 8 * index));
  return bytes;
}
