import { callName } from '../../engines/oci/system-call-numbers.ts';
import type { Machine } from '../../engines/kernel/seccomp.ts';
import { textList, textMap } from '../read-answer.ts';
import { isPublishedCall, type PublishedSurface } from './published.ts';

/**
 * Which parts of the kernel were reached from inside, by trying: every system call by number with arguments that none accepts,
 * every socket family, every file of /proc. A lower bound: a call that the kernel itself answers with EPERM counts as refused.
 */
export interface MeasuredSurface {
  /** calls that were carried out or refused for their arguments */
  readonly reached: readonly string[];
  /** how many calls were tried */
  readonly tried: number;
  /** numbers of families of which some socket could be made */
  readonly families: readonly number[];
  /** further kinds of socket that could be made, such as `mptcp` and `netlink 16` */
  readonly protocols: readonly string[];
  /** files of /proc below no process that hold something, by name */
  readonly procFiles: readonly string[];
  /** logs, symbols, keys and hardware of the host that could be read, by path */
  readonly telltales: readonly string[];
}

export const surfaceQuestions = ['reachable_calls', 'families', 'protocols', 'proc_files', 'telltales'] as const;

/** By errno: calls that a filter or the kernel refused for themselves, or that are not there. */
const notReached = new Set(['EPERM', 'ENOSYS', 'killed by signal 31']);

export function measuredSurface(answer: (question: string) => unknown, machine: Machine): MeasuredSurface {
  const calls = Object.entries(textMap(answer('reachable_calls')));
  const numbers = (rows: typeof calls): readonly number[] => rows.flatMap(([, list]) => list.split(' ').map(Number));
  return {
    reached: numbers(calls.filter(([name]) => !notReached.has(name)))
      .map((number) => callName(machine, number))
      .toSorted(),
    tried: numbers(calls).length,
    families: made(answer('families'))
      .map(Number)
      .toSorted((a, b) => a - b),
    protocols: made(answer('protocols')),
    procFiles: textList(answer('proc_files')),
    telltales: Object.entries(textMap(answer('telltales')))
      .filter(([, seen]) => /^[1-9]\d*$/.test(seen))
      .map(([path]) => path)
      .toSorted(),
  };
}

function made(answer: unknown): readonly string[] {
  return Object.entries(textMap(answer))
    .filter(([, seen]) => seen.split(' ').includes('DONE'))
    .map(([name]) => name)
    .toSorted();
}

/** What was reached and is not published: by rights nothing. */
export function beyondPublished(measured: MeasuredSurface, published: PublishedSurface): readonly string[] {
  const families = new Set(published.sockets.map(({ family }) => family));
  return [
    ...measured.reached.filter((name) => !isPublishedCall(name, published)),
    ...measured.families.filter((family) => !families.has(family)).map((family) => `socket family ${family}`),
    ...measured.protocols.map((protocol) => `${protocol} socket`),
  ];
}
