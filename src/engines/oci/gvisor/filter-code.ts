import type { Machine } from '../../kernel/seccomp.ts';

/** Instructions of seccomp programs (seccomp(2), bpf(4)) and their form. Pure. */

export interface Instruction {
  readonly code: number;
  /** instructions to pass over where a test holds, and where it does not */
  readonly yes?: number;
  readonly no?: number;
  readonly value: number;
}

export const architectures: Readonly<Record<Machine, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };

const offset = { number: 0, architecture: 4, arguments: 16 } as const;

const load = (at: number): Instruction => ({ code: 0x20, value: at });
const loadNumber = load(offset.number);
/** the lower or the upper half of an argument's register */
export const loadArgument = (index: number, half: 'lower' | 'upper' = 'lower'): Instruction =>
  load(offset.arguments + 8 * index + (half === 'lower' ? 0 : 4));
export const mask = (value: number): Instruction => ({ code: 0x54, value });
const passOver = (count: number): Instruction => ({ code: 0x05, value: count });

const answer = (value: number): Instruction => ({ code: 0x06, value });
export const allow = answer(0x7fff_0000);
export const fail = (errno: number): Instruction => answer(0x0005_0000 + errno);
export const EPERM = 1;
export const ENOSYS = 38;

/** `block` where the loaded value is this one; else it is passed over. */
export function ifEqual(value: number, block: readonly Instruction[]): readonly Instruction[] {
  return [{ code: 0x15, yes: 0, no: block.length, value }, ...block];
}

/** `block` where one of the bits is set; else it is passed over. */
export function ifAny(bits: number, block: readonly Instruction[]): readonly Instruction[] {
  return [{ code: 0x45, yes: 0, no: block.length, value: bits }, ...block];
}

/** `block` where the loaded value is at least this one; else it is passed over. Of any length. */
export function ifAtLeast(value: number, block: readonly Instruction[]): readonly Instruction[] {
  return [{ code: 0x35, yes: 1, no: 0, value }, passOver(block.length), ...block];
}

/** A program for the machine's own table of calls, with the number of the call loaded; every other table is unknown. */
export function filterProgram(machine: Machine, body: readonly Instruction[]): readonly Instruction[] {
  return [
    load(offset.architecture),
    { code: 0x15, yes: 1, no: 0, value: architectures[machine] },
    fail(ENOSYS),
    loadNumber,
    // x32 has numbers of its own from here on
    ...ifAtLeast(0x4000_0000, [fail(ENOSYS)]),
    ...body,
  ];
}

/** As the kernel reads it (struct sock_filter), in hex; little-endian, as both machines are. */
export function filterHex(program: readonly Instruction[]): string {
  return Buffer.concat(program.map(encode)).toString('hex');
}

function encode({ code, yes = 0, no = 0, value }: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes.writeUInt8(yes, 2);
  bytes.writeUInt8(no, 3);
  bytes.writeUInt32LE(value, 4);
  return bytes;
}
