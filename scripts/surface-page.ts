/** The page of the reachable surface: what is published is read from the program, what was measured from `docs/surface.json`. */
import type { Machine } from '../src/engines/kernel/seccomp.ts';
import { publishedSurface } from '../src/proof/surface/published.ts';
import { familyName, socketPhrases } from '../src/proof/surface/socket-names.ts';
import type { RuntimeSurface, SurfaceReport } from '../src/cli/printing/surface-report.ts';
import { table } from './markdown.ts';

export interface MeasuredReport extends Omit<SurfaceReport, 'published'> {
  readonly casemate: string;
  readonly date: string;
}

export function surfacePage(report: MeasuredReport): string {
  return [
    opening,
    '## Published',
    publishedTable(),
    ...machines.flatMap((machine) => publishedLists(machine)),
    '## Measured',
    measuredOpening(report),
    measuredTable(report),
    ...report.runtimes.flatMap(notReached),
  ].join('\n\n');
}

const machines: readonly Machine[] = ['x64', 'arm64'];

const opening =
  'What of the kernel code in a sandbox can reach. `casemate prove --surface` prints it for the runtimes of a host. The published set is the seccomp profile itself, which holds in every ' +
  'runtime; a probe of the full profile (`kernel.reachable-calls`) tries every system call there is, and one that is reached and not published breaks G1.';

function publishedTable(): string {
  const rows = machines.map((machine) => {
    const { calls, judged, absent, sockets } = publishedSurface(machine);
    return [machine, String(calls.length), String(judged.length), String(absent.length), socketPhrases(sockets).join(', ')];
  });
  return table(['machine', 'system calls', 'more by their arguments', 'answered "not implemented"', 'sockets'], rows);
}

function publishedLists(machine: Machine): readonly string[] {
  const { calls, judged, absent } = publishedSurface(machine);
  return [
    `### System calls on ${machine}`,
    `Whatever their arguments: ${names(calls)}.`,
    `By their arguments (no new namespaces, set-id bits, devices, leases, or typing into a terminal): ${names(judged)}.`,
    `Answered "not implemented", so that programs take another: ${names(absent)}.`,
  ];
}

function measuredOpening({ casemate, date, machine, kernel }: MeasuredReport): string {
  return (
    `Casemate ${casemate}, ${date}, ${machine}, Linux ${kernel}. Every system call by number is made with arguments that none accepts, in a process of its own; one is reached unless it is answered with ` +
    'EPERM or ENOSYS, or the process is killed by the filter. So it is a lower bound: where the kernel itself says EPERM the call counts as refused. Not tried are calls that end, stop or fork the process ' +
    'whatever they are given, those that act on the whole host, and `uretprobe` and `uprobe`, which Linux lets past every filter. In `runsc` the kernel that is reached is gVisor, which makes a shorter list of calls to the host itself.'
  );
}

function measuredTable({ runtimes }: MeasuredReport): string {
  const rows = runtimes.map(({ runtime, version, measured, beyond = [], missing }) =>
    measured === undefined
      ? [runtime, `not measured: ${missing ?? ''}`, '', '', '', '']
      : [
          version,
          `${measured.reached.length} of ${measured.tried} tried`,
          names(beyond) || 'none',
          [...measured.families.map(familyName), ...measured.protocols].join(', '),
          names(measured.procFiles),
          names(measured.telltales) || 'none',
        ],
  );
  return table(
    [
      'runtime',
      'calls reached',
      'not published',
      'socket families',
      'files of `/proc` with something in them',
      'logs, symbols, keys, hardware',
    ],
    rows,
  );
}

function notReached({ runtime, measured }: RuntimeSurface): readonly string[] {
  return measured === undefined ? [] : [`### Reached in ${runtime}`, `${names(measured.reached)}.`];
}

function names(list: readonly string[]): string {
  return list.map((name) => `\`${name}\``).join(' ');
}
