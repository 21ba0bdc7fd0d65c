import { join } from 'node:path';

import { dataFile } from '../../../system/data-file.ts';
import type { Program } from '../delegation.ts';
import type { IdMapping } from '../ids.ts';
import type { Machine } from '../../kernel/seccomp.ts';
import { setIdFilter } from './set-id-filter.ts';

/** The command lines of gVisor's runtime (`runsc`), started by `keep.pl` and called by `enter.pl`. Pure. */

/** What the installed version offers and this host lets it do; found by trying. */
export interface GvisorChoice {
  /** how gVisor catches the calls of programs; the first of those in `platforms` that works here */
  readonly platform: string;
  /** the seccomp list of the bundle holds for commands, and not for the first process alone */
  readonly filtersCommands: boolean;
  /** it refuses AT_NO_AUTOMOUNT, which common programs set (see `statx-library.ts`) */
  readonly refusesAutomountFlag: boolean;
  /** names of its options */
  readonly options: readonly string[];
}

/** Best first. `systrap` came in 2023 and replaced `ptrace`, which needs several threads of the host for one of the sandbox. */
export const platforms: readonly string[] = ['systrap', 'ptrace'];

/** Where `keep.pl` and `enter.pl` put the sandbox's folder. */
const handed = '/proc/self/fd/9';

const inPlace = (name: string): string => join(handed, name);

export interface GvisorStart {
  readonly machine: Machine;
  readonly folder: string;
  readonly mapping: readonly IdMapping[];
  /** what `keep.pl` does to the host's cgroups first */
  readonly steps: readonly string[];
  readonly choice: GvisorChoice;
  /** Its kernel waits before it opens any mount, until `startHeld`. */
  readonly hold?: boolean | undefined;
}

/** What `stage.pl` becomes: it starts gVisor and stays as the sandbox's first process. */
export function startCommand(id: string, start: GvisorStart): readonly string[] {
  const { machine, folder, mapping, steps, choice, hold = false } = start;
  const map = mapping.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}`).join(',');
  const keep = ['perl', dataFile('engines/oci/gvisor/keep.pl'), process.arch, folder, map, setIdFilter(machine), ...steps, '--'];
  const files = ['--bundle', inPlace('bundle'), '--pid-file', inPlace('kernel.pid')];
  return [...keep, 'runsc', ...common('log'), ...confinement(choice), ...(hold ? ['create'] : ['run', '--detach']), ...files, id];
}

function common(log: string): readonly string[] {
  return ['--root', inPlace('runsc'), '--log', inPlace(log)];
}

/**
 * No network stack of its own: the namespace's loopback is the network. No group of ours to rewrite. What the sandbox writes
 * goes to the files themselves, and only by way of the file server.
 */
function confinement({ platform, options }: GvisorChoice): readonly string[] {
  const where = (name: string, value: string): readonly string[] => (options.includes(name) ? [`--${name}=${value}`] : []);
  return [
    `--platform=${platform}`,
    '--network=host',
    '--ignore-cgroups',
    ...where('overlay2', 'none'),
    ...where('directfs', 'false'),
    ...where('host-settings', 'ignore'),
    // for the first process at least
    ...where('oci-seccomp', 'true'),
  ];
}

export interface GvisorPlace {
  readonly kind: 'root' | 'user';
  readonly folder: string;
  /** the sandbox's first process */
  readonly keeper: number;
  /** the id of gVisor's processes, as the namespace around theirs has it */
  readonly id: number;
}

/** A call of `runsc` for a running sandbox. */
export function plainCall(id: string, place: GvisorPlace, command: readonly string[]): Program {
  return enter(id, { ...place, mode: 'plain', pidFile: '-' }, { log: 'call.log', command: [...command, id] });
}

/** For one that was begun with `hold`: its file server opens what is mounted by now. */
export function startHeld(id: string, place: GvisorPlace, choice: GvisorChoice): Program {
  return enter(
    id,
    { ...place, mode: 'plain', pidFile: '-' },
    { log: 'call.log', command: ['start', id], options: confinement(choice) },
  );
}

export interface CommandFiles {
  /** name of the execution, whose files lie in `executions` */
  readonly execution: string;
  /** holds the command's number inside once it has begun */
  readonly pidFile: string;
  readonly tty: boolean;
}

/** A command inside, from a process file of the bundle's form. */
export function commandCall(id: string, place: GvisorPlace, { execution, pidFile, tty }: CommandFiles): Program {
  const name = (ending: string): string => inPlace(`executions/${execution}.${ending}`);
  const command = ['exec', '--process', name('json'), '--internal-pid-file', name('pid'), id];
  return enter(id, { ...place, mode: tty ? 'tty' : 'plain', pidFile }, { log: `executions/${execution}.log`, command });
}

interface Entering extends GvisorPlace {
  readonly mode: 'plain' | 'tty';
  readonly pidFile: string;
}

interface RuntimeCall {
  readonly log: string;
  readonly command: readonly string[];
  readonly options?: readonly string[];
}

function enter(
  id: string,
  { kind, folder, keeper, id: user, mode, pidFile }: Entering,
  { log, command, options = [] }: RuntimeCall,
): Program {
  const how = [process.arch, kind, folder, String(keeper), String(user), mode, id, pidFile];
  return {
    file: 'perl',
    args: [dataFile('engines/oci/gvisor/enter.pl'), ...how, 'runsc', ...common(log), ...options, '--', ...command],
  };
}
