import { readFile } from 'node:fs/promises';

import { askedOnce } from '../../../base/asked-once.ts';
import { dataFile } from '../../../system/data-file.ts';
import type { OciProcess } from '../bundle.ts';
import { machineOf } from '../host.ts';
import type { GvisorChoice } from './gvisor-calls.ts';
import { listFilter } from './list-filter.ts';
import { statxLibrary } from './statx-library.ts';

/**
 * Applies the list of system calls to a command if the installed gVisor does not. A short program starts first, loads the list
 * and becomes the command; if it cannot load the list, the command does not start.
 */
export async function filteredProcess(process: OciProcess, choice: GvisorChoice): Promise<OciProcess> {
  return choice.filtersCommands ? process : { ...process, env: [plainPath], args: [...(await front(choice)), ...own(process)] };
}

const plainPath = 'PATH=/usr/bin:/bin';

function own({ env, args }: OciProcess): readonly string[] {
  return [String(env.length), ...env, ...args];
}

/** number of prctl(2) */
const control = { x64: '157', arm64: '167' } as const;

/** The same for every command of this process. */
async function front({ refusesAutomountFlag }: GvisorChoice): Promise<readonly string[]> {
  const machine = machineOf(process.arch) ?? 'x64';
  const library = refusesAutomountFlag ? statxLibrary(machine).toString('hex') : '-';
  return [...(await program()), control[machine], listFilter(machine), library];
}

const program = askedOnce(async (): Promise<readonly string[]> => {
  const text = await readFile(dataFile('engines/oci/gvisor/filtered.pl'), 'utf8');
  // What is said to readers need not travel.
  return ['/usr/bin/perl', '-e', text.replaceAll(/^\s*#.*\n/gm, '')];
});
