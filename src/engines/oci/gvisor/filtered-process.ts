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
const machine = machineOf(process.arch) ?? 'x64';

function own({ env, args }: OciProcess): readonly string[] {
  return [String(env.length), ...env, ...args];
}

/** number of prctl(2) */
const control = { x64: '157', arm64: '167' } as const;

async function front({ refusesAutomountFlag }: GvisorChoice): Promise<readonly string[]> {
  return [...(await beginning()), refusesAutomountFlag ? statxLibrary(machine).toString('hex') : '-'];
}

/** The same for every command of this process, and some milliseconds to make. */
const beginning = askedOnce(async (): Promise<readonly string[]> => [
  ...(await program()),
  control[machine],
  listFilter(machine),
]);

async function program(): Promise<readonly string[]> {
  const text = await readFile(dataFile('engines/oci/gvisor/filtered.pl'), 'utf8');
  // What is said to readers need not travel, nor what warns who writes it: inside, each module that is read takes milliseconds.
  return ['/usr/bin/perl', '-e', text.replaceAll(/^\s*(?:#.*|use (?:strict|warnings);)\n|no warnings; /gm, '')];
}
