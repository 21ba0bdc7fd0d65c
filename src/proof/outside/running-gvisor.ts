import { join } from 'node:path';

import { ociConfig } from '../../engines/oci/bundle.ts';
import { gvisorConfig, gvisorHostname, type GvisorConfig } from '../../engines/oci/gvisor/gvisor-config.ts';
import { outOfMemoryScore } from '../../engines/kernel/limits.ts';
import { machineOf } from '../../engines/oci/host.ts';
import type { EngineRecord } from '../../engines/records.ts';
import { sha256Of } from '../../policy/hash.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { specOf } from '../../sandbox/plan/spec.ts';
import { none, same } from '../compare.ts';
import { control, type Row } from '../finding.ts';
import { readProcess } from '../host-view.ts';
import type { Target } from '../target.ts';
import { hostProcesses } from './gvisor-processes.ts';
import { environmentOf, processFaults, unknownKeys, versionRow } from './planned-process.ts';

/** Judges the specification that gVisor read and the options it was started with, as `configRows` does for the others. */

interface Running {
  readonly record: EngineRecord;
  /** of the specification, as it lies in the bundle */
  readonly text: string;
  readonly plan: Plan;
  readonly target: Target;
}

export async function gvisorConfigRows({ record, text, plan, target }: Running): Promise<readonly Row[]> {
  // oxlint-disable-next-line no-unsafe-type-assertion -- what this product wrote; the invariants look at its members one by one
  const config = JSON.parse(text) as GvisorConfig;
  const { id, owner, hostname, rootfs, home } = record.spec;
  const { variables, others } = environmentOf(record.spec.env, plan);
  const spec = specOf(plan, { id, owner, name: hostname, rootfs, folder: join(home, '..'), phantoms: variables });
  const seccomp = !plan.waive.includes('seccomp') || config.linux.seccomp !== undefined;
  const facts = { machine: machineOf(process.arch) ?? 'x64', stage: config.root.path, idMapping: [], cgroup: undefined, seccomp };
  const nameInside = (await target.inside(['cat', '/proc/sys/kernel/hostname'])).out.toString('utf8').trim();
  return [
    same('the specification that runs', sha256Of(gvisorConfig(ociConfig(spec, facts), spec)), sha256Of(config)),
    same('name of the host inside', gvisorHostname, nameInside, 'inside'),
    none('what is against the invariants of every specification', gvisorFaults(config, { seccomp })),
    none('variables of the first process that neither plan nor credentials name', others),
    ...(await optionRows(target)),
    versionRow(config),
  ];
}

/** Whatever the types say. That all of it is in a user and network namespace of its own is seen at gVisor's processes. */
export function gvisorFaults(config: GvisorConfig, { seccomp }: { readonly seccomp: boolean }): readonly string[] {
  const { linux, process, root, mounts } = config;
  const isBelow = (path: string): boolean => path.startsWith(`${root.path}/`) && !path.includes('/../');
  const action: unknown = Object.entries(linux.seccomp ?? {}).find(([name]) => name === 'defaultAction')?.[1];
  const rules: Readonly<Record<string, boolean>> = {
    'members beside the known ones': unknownKeys(config, ['ociVersion', 'process', 'root', 'hostname', 'mounts', 'linux']),
    'members of linux beside the known ones': unknownKeys(linux, ['namespaces', 'seccomp', 'maskedPaths', 'readonlyPaths']),
    'another set of namespaces':
      linux.namespaces
        .map(({ type }) => type)
        .toSorted()
        .join() !== 'ipc,mount,pid,uts',
    'a namespace that is joined': linux.namespaces.some((entry) => unknownKeys(entry, ['type'])),
    'no default of the filter that refuses': seccomp && action !== 'SCMP_ACT_ERRNO',
    'a mount without nosuid or nodev': mounts.some(
      ({ destination, options }) => !options.includes('nosuid') || (!options.includes('nodev') && destination !== '/dev/pts'),
    ),
    'a mount from the host that is not of the sandbox': mounts.some(
      ({ type, source }) => !['proc', 'tmpfs', 'devpts', 'mqueue'].includes(type) && !isBelow(source),
    ),
  };
  return [...Object.entries(rules).flatMap(([name, broken]) => (broken ? [name] : [])), ...processFaults(process)];
}

/** Options of gVisor's kernel that loosen nothing; whatever else stands in its command line is told. */
const harmless: Readonly<Record<string, RegExp>> = {
  root: /^\/proc\/self\/fd\/9\/runsc$/,
  log: /^\/proc\/self\/fd\/9\/log$/,
  'log-fd': /^\d+$/,
  platform: /^(?:systrap|ptrace)$/,
  network: /^host$/,
  'ignore-cgroups': /^true$/,
  overlay2: /^none$/,
  directfs: /^false$/,
  'host-settings': /^ignore$/,
  'oci-seccomp': /^true$/,
};

async function optionRows(target: Target): Promise<readonly Row[]> {
  const processes = await hostProcesses(target);
  const scores = await Promise.all(processes.map(({ pid }) => readProcess(pid, 'oom_score_adj')));
  const kernels = processes.filter(({ role }) => role === 'kernel');
  const lines = await Promise.all(kernels.map(({ pid }) => readProcess(pid, 'cmdline')));
  const words = lines.flatMap((line) => line.split('\0').slice(1));
  return [
    none("options of gVisor's kernel that loosen it", looseOptions(words)),
    same(
      "what of gVisor's is ended first where memory is short",
      String(outOfMemoryScore),
      [...new Set(scores.map((text) => text.trim()))].join(' '),
    ),
    control("read the options of gVisor's kernel", {
      expected: 'a command',
      seen: words.includes('boot') ? 'a command' : 'none',
      ok: words.includes('boot'),
      from: 'outside',
    }),
  ];
}

/** Those in front of the command, which is a word without a dash. */
export function looseOptions(words: readonly string[]): readonly string[] {
  const end = words.findIndex((word) => !word.startsWith('-'));
  return words.slice(0, end === -1 ? words.length : end).filter((word) => {
    const [, name = '', value = ''] = /^--?([\w-]+)(?:=(.*))?$/.exec(word) ?? [];
    return harmless[name]?.test(value) !== true;
  });
}
