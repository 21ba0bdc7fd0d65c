/** Runs a seccomp program as the kernel does (seccomp(2)), so that its answers are seen and not its instructions. */

export interface CallOfFilter {
  readonly number: number;
  readonly architecture: number;
  /** 64-bit registers */
  readonly args: readonly bigint[];
}

/** `allow`, or the number of the error. */
export function runFilter(hex: string, { number, architecture, args }: CallOfFilter): 'allow' | number {
  const code = Buffer.from(hex, 'hex');
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(architecture, 4);
  args.forEach((value, index) => data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index));
  let register = 0;
  for (let at = 0; at < code.length; at += 8) {
    const [operation, yes, no, value] = [code.readUInt16LE(at), code[at + 2] ?? 0, code[at + 3] ?? 0, code.readUInt32LE(at + 4)];
    const jump = (holds: boolean): number => 8 * (holds ? yes : no);
    switch (operation) {
      case 0x20:
        register = data.readUInt32LE(value);
        break;
      case 0x54:
        register = (register & value) >>> 0;
        break;
      case 0x05:
        at += 8 * value;
        break;
      case 0x15:
        at += jump(register === value);
        break;
      case 0x35:
        at += jump(register >= value);
        break;
      case 0x45:
        at += jump((register & value) !== 0);
        break;
      case 0x06:
        return value === 0x7fff_0000 ? 'allow' : value - 0x0005_0000;
      default:
        throw new Error(`the program has an instruction ${operation}`);
    }
  }
  throw new Error('the program has no end');
}
