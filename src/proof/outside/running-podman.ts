import { basename, join } from 'node:path';

import { fieldsOf, numberOf, rowsOf, textOf, type Fields } from '../../engines/docker/read-json.ts';
import type { Plan } from '../../sandbox/plan/plan.ts';
import { none, same } from '../compare.ts';
import { attack, type Row } from '../finding.ts';
import { namespaceOf } from '../host-view.ts';
import { podmanParts, type PodmanPart } from '../lab/docker-view.ts';
import type { Lab, LabSandbox } from '../lab/lab.ts';
import { unknownKeys } from './planned-process.ts';
import { linuxMembers } from './running-config.ts';
import {
  hostKernelRow,
  mountFaults,
  parentOf,
  type ShownFolder,
  keeperFoldersRow,
  firstProcessRow,
  toldRow,
} from './running-docker.ts';

/**
 * Compares what Podman gave to the container runtime for a sandbox of the lab with invariants that are written down only here,
 * whatever the product requested and read back.
 */
export async function podmanConfigRows(lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const { keeper, sandbox: own } = await podmanParts(lab, sandbox);
  const { plan } = sandbox.target;
  if (plan === undefined) {
    throw new Error('a sandbox of the lab has a plan');
  }
  const first = (await sandbox.target.processes())[0] ?? 0;
  const hasUsers = process.geteuid?.() !== 0;
  return [
    none('what is against the invariants of a container, in that of the sandbox', podmanFaults(own.configuration, hasUsers)),
    none('what is against the invariants of a container, in the keeper', podmanFaults(keeper.configuration, hasUsers)),
    none(
      'namespaces that the sandbox joins',
      joined(own).filter((type) => !(hasUsers ? ['network', 'user'] : ['network']).includes(type)),
    ),
    none('namespaces that the keeper joins', joined(keeper)),
    await networkRow(first, pidOf(keeper)),
    none('folders of the host beside those of the plan', mountFaults(foldersOf(own), { lab, sandbox, plan })),
    keeperFoldersRow(foldersOf(keeper)),
    ...limitRows(own, plan),
    firstProcessRow(first, pidOf(own)),
  ];
}

async function networkRow(first: number, keeper: number): Promise<Row> {
  const [own, ofKeeper, ofHost] = await Promise.all([first, keeper, 'self' as const].map((pid) => namespaceOf(pid, 'net')));
  return attack('network of the sandbox', {
    expected: "the keeper's, and not this host's",
    seen: own === '' ? 'it cannot be read' : `${own ?? ''}; the keeper has ${ofKeeper ?? ''}, this host ${ofHost ?? ''}`,
    ok: own === '' ? undefined : own === ofKeeper && own !== ofHost,
    from: 'outside',
  });
}

/** Without groups an ordinary user has the bound of the user namespace instead, which is read from the kernel. */
function limitRows({ configuration }: PodmanPart, { limits, waive }: Plan): readonly Row[] {
  const { memory, pids } = fieldsOf(fieldsOf(configuration['linux'])['resources']);
  const processes = fieldsOf(pids)['limit'];
  return [
    ...(waive.includes('memory-limit') ? [] : [same('memory', limits.memoryBytes, fieldsOf(memory)['limit'])]),
    ...(process.geteuid?.() !== 0 && processes === undefined ? [] : [same('processes', limits.pids, processes)]),
  ];
}

function pidOf({ inspected }: PodmanPart): number {
  return numberOf(fieldsOf(inspected['State'])['Pid']) ?? 0;
}

/** Kinds of namespaces that are another container's. */
function joined({ configuration }: PodmanPart): readonly string[] {
  return rowsOf(fieldsOf(configuration['linux'])['namespaces'])
    .map(fieldsOf)
    .filter(({ path }) => textOf(path) !== '')
    .map(({ type }) => textOf(type));
}

/** Without what Podman makes for each container in a folder of the container's own. */
function foldersOf({ configuration, inspected }: PodmanPart): readonly ShownFolder[] {
  const ofPodman = `/overlay-containers/${textOf(inspected['Id'])}/userdata/`;
  // An ordinary user's has this host's where the network belongs to another container; nobody can see it.
  const hidesSys = rowsOf(fieldsOf(configuration['linux'])['maskedPaths']).includes('/sys');
  return rowsOf(configuration['mounts'])
    .map(fieldsOf)
    .map(({ source, destination, options, type }) => ({
      source: textOf(source),
      target: textOf(destination),
      writable: !rowsOf(options).includes('ro'),
      isBind: type === 'bind' || ['bind', 'rbind'].some((option) => rowsOf(options).includes(option)),
    }))
    .filter(({ source, target, isBind, writable }) => {
      const isPodmans = source.includes(ofPodman) && ['/dev/shm', '/etc/hostname', '/run/.containerenv'].includes(target);
      const isHiddenSys = hidesSys && !writable && source === '/sys' && target === '/sys';
      return isBind && !isPodmans && !isHiddenSys;
    });
}

const namespaces = ['cgroup', 'ipc', 'mount', 'network', 'pid', 'uts'];

/** Of any container of ours: each a word of the OCI runtime specification. Pure. */
export function podmanFaults(config: Fields, hasUsers: boolean): readonly string[] {
  const mounts = rowsOf(config['mounts']).map(fieldsOf);
  const rules: Readonly<Record<string, boolean>> = {
    'members beside the known ones': unknownKeys(config, known),
    'a root that can be written': fieldsOf(config['root'])['readonly'] !== true,
    'a mount without nosuid': mounts.some(({ options }) => !rowsOf(options).includes('nosuid')),
    'a mount of another kind': mounts.some(({ type }) => !kindsOfMounts.includes(textOf(type))),
    'the socket of an engine': mounts.some(({ source }) => /(?:docker|podman|containerd)\.sock$/.test(textOf(source))),
    ...linuxRules(fieldsOf(config['linux']), hasUsers),
    ...programRules(fieldsOf(config['process']), hasUsers),
  };
  return Object.entries(rules).flatMap(([name, broken]) => (broken ? [name] : []));
}

const known = ['ociVersion', 'process', 'root', 'hostname', 'mounts', 'annotations', 'linux'];
const kindsOfMounts = ['bind', 'proc', 'tmpfs', 'devpts', 'mqueue', 'sysfs', 'cgroup', 'cgroup2'];
const ofOwnNetwork = /^net\.ipv4\.(?:(?:tcp|udp)_[rw]?mem(?:_min)?|ip_unprivileged_port_start|ping_group_range)$/;

function linuxRules(linux: Fields, hasUsers: boolean): Readonly<Record<string, boolean>> {
  const types = rowsOf(linux['namespaces']).map((row) => textOf(fieldsOf(row)['type']));
  const wanted = hasUsers ? [...namespaces, 'user'] : namespaces;
  return {
    'members of linux beside the known ones': unknownKeys(linux, linuxMembers),
    'another set of namespaces': types.toSorted().join() !== wanted.toSorted().join(),
    'no filter of system calls that refuses by default': fieldsOf(linux['seccomp'])['defaultAction'] !== 'SCMP_ACT_ERRNO',
    'fewer than 25 covered paths': new Set(rowsOf(linux['maskedPaths'])).size < 25,
    'fewer than 5 read-only paths': new Set(rowsOf(linux['readonlyPaths'])).size < 5,
    'a setting of the kernel beyond those of its own network': Object.keys(fieldsOf(linux['sysctl'])).some(
      (name) => !ofOwnNetwork.test(name),
    ),
    'devices that are allowed': JSON.stringify(linux['resources'] ?? {}).includes('"allow":true'),
  };
}

function programRules(program: Fields, hasUsers: boolean): Readonly<Record<string, boolean>> {
  const { uid, gid, additionalGids } = fieldsOf(program['user']);
  const limits = rowsOf(program['rlimits']).map(fieldsOf);
  return {
    rights: Object.values(fieldsOf(program['capabilities'])).some((set) => rowsOf(set).length > 0),
    'no-new-privileges is off': program['noNewPrivileges'] !== true,
    'a first process of root': !isOrdinary(uid) || !isOrdinary(gid),
    // Podman says the first group a second time, and an ordinary user's adds the caller's, which is the agent's inside.
    'more groups': rowsOf(additionalGids).some((id) => id !== gid && !(hasUsers && isOrdinary(id))),
    'a terminal': program['terminal'] === true,
    'a core dump': limits.every(({ type, hard }) => type !== 'RLIMIT_CORE' || hard !== 1),
    'it is spared when memory is short': (numberOf(program['oomScoreAdj']) ?? -1) < 0,
  };
}

function isOrdinary(id: unknown): boolean {
  return typeof id === 'number' && id > 0;
}

/** By the parent of the first process as this host sees it: Podman's monitor, which was told whose container it holds, and by what. */
export async function podmanRuntimeRows(lab: Lab, sandbox: LabSandbox): Promise<readonly Row[]> {
  const { sandbox: own } = await podmanParts(lab, sandbox);
  const { runtime } = sandbox.target.plan ?? { runtime: 'runc' };
  const { words } = await parentOf(sandbox);
  const after = (word: string): string => words[words.indexOf(word) + 1] ?? '';
  const isMonitor = /(?:^|\/)conmon$/.test(words[0] ?? '');
  const holds = words.includes(textOf(own.inspected['Id']));
  return [
    same('runtime that Podman says it used', runtime, basename(textOf(own.inspected['OCIRuntime']))),
    attack('program that the monitor of the first process was given', {
      expected: join('/…', runtime),
      seen: isMonitor ? after('-r') : `no monitor but ${words[0] ?? ''}`,
      ok: isMonitor && basename(after('-r')) === runtime,
      from: 'outside',
    }),
    await hostKernelRow(sandbox),
    toldRow('the monitor was told of this container', holds),
  ];
}
