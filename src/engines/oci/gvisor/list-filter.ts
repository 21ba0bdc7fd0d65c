import { seccompProfile, type Machine, type SeccompArgument, type SeccompRule } from '../../kernel/seccomp.ts';
import { callNumber } from './call-numbers.ts';
import {
  allow,
  EPERM,
  fail,
  filterHex,
  filterProgram,
  ifAtLeast,
  ifEqual,
  loadArgument,
  mask,
  type Instruction,
} from './filter-code.ts';

/**
 * The list of system calls (`seccomp.ts`) as a program that a command loads for itself, where the installed gVisor does not
 * apply the list to commands. Pure. A call is found by binary search, because gVisor interprets the program at every call.
 */
export function listFilter(machine: Machine): string {
  const profile = seccompProfile(machine);
  const refuse = fail(profile.defaultErrnoRet);
  const judged = [...rulesByNumber(profile.syscalls, machine)].toSorted(([a], [b]) => a - b);
  const blocks = ranges(
    judged.map(([number, rules]) => ({ from: number, block: blockFor(rules, refuse) })),
    [refuse],
  );
  return filterHex(filterProgram(machine, halves(blocks)));
}

function rulesByNumber(rules: readonly SeccompRule[], machine: Machine): ReadonlyMap<number, readonly SeccompRule[]> {
  const found = new Map<number, readonly SeccompRule[]>();
  for (const rule of rules) {
    for (const number of rule.names.flatMap((name) => callNumber(name, machine) ?? [])) {
      found.set(number, [...(found.get(number) ?? []), rule]);
    }
  }
  return found;
}

/** The first rule whose arguments match answers. */
function blockFor(rules: readonly SeccompRule[], otherwise: Instruction): readonly Instruction[] {
  return [...rules.flatMap(ruleBlock), otherwise];
}

function ruleBlock({ action, errnoRet, args = [] }: SeccompRule): readonly Instruction[] {
  const answer = action === 'SCMP_ACT_ALLOW' ? allow : fail(errnoRet ?? EPERM);
  return args.reduceRight<readonly Instruction[]>((inner, argument) => ifMatches(argument, inner), [answer]);
}

/** The register of an argument has 64 bits, a program reads 32 at a time. */
function ifMatches({ index, op, value, valueTwo = 0 }: SeccompArgument, block: readonly Instruction[]): readonly Instruction[] {
  const [bits, wanted] = op === 'SCMP_CMP_EQ' ? [2n ** 64n - 1n, BigInt(value)] : [BigInt(value), BigInt(valueTwo)];
  const half = (which: 'lower' | 'upper', inner: readonly Instruction[]): readonly Instruction[] => {
    const part = (whole: bigint): number => Number(which === 'lower' ? whole & 0xffff_ffffn : whole >> 32n);
    return part(bits) === 0 ? inner : [loadArgument(index, which), mask(part(bits)), ...ifEqual(part(wanted), inner)];
  };
  return half('lower', half('upper', block));
}

interface Range {
  readonly from: number;
  readonly block: readonly Instruction[];
}

/** Neighbours with one answer become one, gaps get their own. */
function ranges(calls: readonly Range[], gap: readonly Instruction[]): readonly Range[] {
  const all: Range[] = [{ from: 0, block: gap }];
  for (const [index, { from, block }] of calls.entries()) {
    all.push({ from, block });
    if (calls[index + 1]?.from !== from + 1) {
      all.push({ from: from + 1, block: gap });
    }
  }
  const distinct = all.filter(({ from }, index) => all[index + 1]?.from !== from);
  return distinct.filter(({ block }, index) => index === 0 || !isSame(block, distinct[index - 1]?.block ?? []));
}

function isSame(a: readonly Instruction[], b: readonly Instruction[]): boolean {
  return filterHex(a) === filterHex(b);
}

function halves(rows: readonly Range[]): readonly Instruction[] {
  const middle = Math.floor(rows.length / 2);
  const pivot = rows[middle];
  if (pivot === undefined || middle === 0) {
    return rows[0]?.block ?? [];
  }
  return [...ifAtLeast(pivot.from, halves(rows.slice(middle))), ...halves(rows.slice(0, middle))];
}
